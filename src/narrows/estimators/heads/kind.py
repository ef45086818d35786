"""What distinguishes one kind of head, such as a classifier, from the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Generator, Tensor

from narrows.data.source import Source
from narrows.data.splitting import Selection
from narrows.estimators.autoencoders.autoencoder import Autoencoder
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.fitting.head import feature_head
from narrows.model.model import Model
from narrows.objectives.code_task import READS, Head
from narrows.training.stages import Stages

__all__ = ["HeadKind", "RawTargets", "Train"]


@dataclass(frozen=True)
class RawTargets:
    """The y of a fit, not yet validated, and what is needed to read it.

    Statistics of y are computed over the rows of the mask ``training``, bool (n_rows,), with
    ``weights`` (n_rows,). ``names`` are the column names of y, None if it has none.
    """

    y: Any
    n_rows: int
    training: Tensor
    weights: np.ndarray | None
    names: list[str] | None
    model: Model


Train = Callable[[Any, Source, Stages, Selection | None], None]
"""Trains a head on rows with targets, and sets its fitted attributes."""


def _untrained_feature_head(model: Model, spec: Mapping[str, Any]) -> Head:
    layer, widths, activation = spec["layer"], spec["widths"], spec["activation"]
    reads = spec.get("features", "code")  # absent in older files
    if reads not in READS:
        raise ValueError(f"a head that reads {reads!r}")
    return feature_head(model, layer, widths, activation, reads=reads, generator=Generator())


@dataclass(frozen=True)
class HeadKind:
    """One kind of head: how it reads y, trains, predicts in an export and is restored.

    The functions take the estimator first, except the last two.
    """

    read_y: Callable[[Any, RawTargets], Tensor]
    """Validates y, sets the attributes that prediction needs, and returns the targets."""

    train: Train

    target_spec: Callable[[Any], dict[str, Any]]
    """Returns the attributes that prediction needs, as JSON values."""

    restore_targets: Callable[[Any, dict[str, Any]], None]
    """Sets those attributes from the spec of a model file; raises ValueError if they are
    invalid."""

    exported: Callable[[Any], dict[str, Any]]
    """Returns the arguments of ``ExportedHead``, beside head and layer."""

    check_parameters: Callable[[Any], None] = lambda head: None
    """Raises UsageError if an argument that not all heads have is invalid."""

    check_held_out_y: Callable[[Any, np.ndarray, int], None] = lambda head, y, n_rows: None
    """Raises if the y of held-out rows, from row ``n_rows`` on, has values unseen in training."""

    default_autoencoder: type[AbstractAutoencoder] = Autoencoder

    widths_in: Callable[[Mapping[str, Tensor]], list[int]] = Head.widths_in
    """Returns the widths of the net, in any order, from its tensors."""

    untrained_net: Callable[[Model, Mapping[str, Any]], Any] = _untrained_feature_head
    """Returns a net of the ``layer``, ``widths`` and ``activation`` in the spec of a model file."""
