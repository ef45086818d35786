"""Are new rows new? How near they come to the training rows, and how near real rows come."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from narrows.applications.closest import closest_rows
from narrows.applications.coding import scaled_batches, whole_vectors
from narrows.applications.nearness import Memorisation
from narrows.checks import check_number
from narrows.data.array_sources import DenseSource
from narrows.data.source import Source, evenly_spaced
from narrows.errors import InvalidData
from narrows.model import Model
from narrows.slots import dense_rows
from narrows.weighting import known_part

__all__ = ["MAX_CHECKED", "measure_memorisation"]

MAX_CHECKED = 10_000
"""Samples that are compared at most: they are held in memory."""

_MAX_REFERENCE = 2_000
_MAX_VALUES = 32 << 20
_BLOCK = 1024


def measure_memorisation(
    model: Model,
    samples: np.ndarray,
    train: Source,
    held_out: Source | None = None,
    *,
    block: int = _BLOCK,
) -> Memorisation:
    """Return how near samples (n, n_features), in input units, come to the training rows.

    Every sample is compared with every training row, in float64: O(n x n_train x n_features) time,
    memory of ``block`` times n distances at a time. The reference are up to 2,000 rows of
    ``held_out``, spaced evenly; without it training rows, each compared with all others but itself.

    Raises
    ------
    InvalidData
        If there are no samples, or more than 10,000; if widths differ; values that are not finite;
        fewer than two training rows.
    """
    check_number("block", block, low=1, integer=True)
    samples = np.asarray(samples)
    samples = samples.astype(np.float64 if samples.dtype == np.float64 else np.float32, copy=False)
    _check(model, samples, train, held_out)
    real, own = _reference(model, train if held_out is None else held_out)
    own = own if held_out is None else None
    at = _scaled(model, DenseSource(samples))
    asked = [(at, None), (real, own), (_rebuilt(model, real), own)]
    found = closest_rows(model, train, asked, block)
    (numbers, distances), (_, of_real), (_, of_rebuilt) = found
    return Memorisation(
        distances=distances,
        nearest=numbers,
        real_distances=of_real,
        rebuilt_distances=of_rebuilt,
        n_train=train.n_rows,
        reference="held-out rows" if held_out is not None else "training rows, from the others",
        unit=model.scaling.unit,
    )


def _check(model: Model, samples: np.ndarray, train: Source, held_out: Source | None) -> None:
    if samples.ndim != 2 or not 1 <= len(samples) <= MAX_CHECKED:
        raise InvalidData(
            f"samples: from 1 to {MAX_CHECKED} rows are compared, got shape {samples.shape}."
        )
    widths = {"samples": samples.shape[1], train.origin: train.n_features}
    if held_out is not None:
        widths[held_out.origin] = held_out.n_features
    for name, width in widths.items():
        if width != model.schema.n_features:
            raise InvalidData(
                f"{name}: has {width} features, the model has {model.schema.n_features}."
            )
    if train.n_rows < 2:
        raise InvalidData(f"{train.origin}: two training rows at least, got {train.n_rows}.")


def _reference(model: Model, source: Source) -> tuple[Tensor, Tensor]:
    """Return scaled rows, (n, n_features), and their numbers in the source."""
    n = min(_MAX_REFERENCE, max(2, _MAX_VALUES // source.n_features))
    rows = dense_rows(source.evenly(n))
    picked = DenseSource(rows)
    picked.origin = source.origin
    return _scaled(model, picked), evenly_spaced(source.n_rows, n)


@torch.no_grad()
def _scaled(model: Model, source: Source) -> Tensor:
    corruption = model.objective.corruption
    blocks = [known_part(x, corruption)[0] for _, x in scaled_batches(model, source)]
    return torch.cat([dense_rows(x) for x in blocks])


@torch.no_grad()
def _rebuilt(model: Model, x: Tensor) -> Tensor:
    batches = x.split(_BLOCK)
    return torch.cat([model.objective.reconstruct(whole_vectors(b))[: len(b)] for b in batches])
