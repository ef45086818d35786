"""The training plan: every setting of a fit, resolved."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from narrows.core.checks import check_number
from narrows.core.custom_specs import json_pieces
from narrows.data.scaling import Scaling
from narrows.data.source import Source, identity_of
from narrows.data.splitting import Split
from narrows.data.statistics import Statistics
from narrows.errors import UsageError
from narrows.training.layerwise import LayerwisePretraining
from narrows.training.stages import digest_of

__all__ = ["Plan", "batch_size_for", "epochs_for_steps", "training_settings"]

_ROWS_FOR_LARGER_STEPS = 700


@dataclass(frozen=True)
class Plan:
    """Every setting of a fit, resolved for its data."""

    variant: str
    parameters: dict[str, Any]
    scaling: Scaling
    statistics: Statistics
    max_epochs: int
    batch_size: int
    learning_rate: float
    validation_fraction: float | str
    patience: int | None
    precision: str
    device: str
    seed: int
    augmentation: dict[str, Any] | None = None
    weight_decay: float = 0.0
    pretraining: LayerwisePretraining | None = None
    n_neighbors: int = 0
    neighbors_by: str = "rows"
    sampled_words: int = 0
    linear_start: bool = False
    bounded: bool = False
    """Whether an epoch has to reconstruct clean rows better than the linear start to be chosen."""

    refit: str | None = None
    """When the net is trained again on all rows: "always", "at_start" (if the linear start is the
    best, which costs little), or never."""

    grouping: dict[str, Any] = field(default_factory=dict)
    """``Grouping.identity`` of the rows; empty if they are independent."""

    validation_data: bool = False
    """Whether the user gave the held-out rows, so that they are not in the source."""

    def identity(self, source: Source, rows: Split) -> dict[str, Any]:
        """Return what must be equal for training to be resumed from a checkpoint."""
        names = (
            "variant parameters max_epochs batch_size learning_rate validation_fraction patience "
            "precision seed augmentation weight_decay"
        )
        identity = {name: getattr(self, name) for name in names.split()}
        identity["parameters"] = json_pieces(self.parameters, strict=True)
        identity["augmentation"] = json_pieces({"augmentation": self.augmentation})["augmentation"]
        identity |= {"scale": self.scaling.kind, **identity_of(source)}
        if self.pretraining is not None:
            identity["pretraining"] = asdict(self.pretraining)
        if self.sampled_words:
            identity["sampled_words"] = self.sampled_words
        if self.n_neighbors:
            identity["n_neighbors"] = self.n_neighbors
            if self.neighbors_by != "rows":
                identity["neighbors_by"] = self.neighbors_by
        elif source.targets is not None:
            identity["y"] = digest_of(source.targets)
        if source.weights is not None:
            identity["sample_weight"] = digest_of(source.weights)
        identity |= self.grouping
        if self.validation_data and rows.held_out is not None:
            identity["validation_data"] = rows.held_out.fingerprint()
        if rows.inputs is not None:
            identity["corrupted"] = [part.fingerprint() for part in rows.inputs.parts]
        return identity


def training_settings(plan: Plan) -> dict[str, Any]:
    """Return the settings that are stored in a model's training record."""
    names = "seed max_epochs batch_size learning_rate n_neighbors neighbors_by"
    return {name: getattr(plan, name) for name in names.split()}


def batch_size_for(batch_size: Any, n_rows: int, *, least: int = 1) -> int:
    """Resolve ``batch_size``. "auto" is a power of two near n_rows / 64, from 16 to 256, so that
    small data sets get enough steps per epoch and large ones efficient products. Of 700 rows or
    more it is at least 32: steps of 16 and of 32 rows learn as much, and half as many take less
    time. ``least`` rows are the fewest, if there are as many."""
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise UsageError(f"batch_size: must be 'auto' or an integer, got {batch_size!r}.")
        least = max(least, 16 if n_rows < _ROWS_FOR_LARGER_STEPS else 32)
        return int(min(256, max(least, 2 ** round(np.log2(max(n_rows / 64, 1))))))
    check_number("batch_size", batch_size, low=1, integer=True)
    return min(int(batch_size), n_rows)


def epochs_for_steps(n_steps: int, steps_per_epoch: int, *, most: int) -> int:
    """Return the number of epochs that make ``n_steps`` steps, at least 50 and at most ``most``."""
    return min(most, max(50, -(-n_steps // steps_per_epoch)))
