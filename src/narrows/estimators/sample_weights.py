"""Validate the weights of rows and classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight, _num_samples
from torch import Tensor

from narrows.core.checks import check_number
from narrows.core.weights import normalize_weights
from narrows.data.source import Source
from narrows.data.splitting import Selection
from narrows.errors import InvalidData, UsageError
from narrows.estimators.held_out import column_of_groups

_MAX_RATIO = 1e15
"""Greatest allowed ratio of two weights: the product of two such ratios still fits float32."""

__all__ = [
    "CountedRows",
    "check_class_weight",
    "class_weights",
    "weights_of_parts",
    "drop_zero_weight_rows",
]


@dataclass(frozen=True)
class CountedRows:
    """The rows of a fit whose weight is above 0, with their y, groups and weights.

    ``numbers`` are the indices of these rows among all rows of X; None if no row was dropped.
    """

    source: Source
    y: Any
    groups: Any
    weights: np.ndarray | None = None
    numbers: np.ndarray | None = None


def drop_zero_weight_rows(
    sample_weight: Any, source: Source, y: Any, groups: Any, *, keep_places: bool
) -> CountedRows:
    """Read the sample weights of a fit, and drop the rows of weight 0.

    With ``keep_places`` the order of the rows matters, so that none may be dropped.

    Raises
    ------
    InvalidData
        As in ``read_weights``; if y or groups differ in length from the rows; or if fewer than two
        rows have a weight above 0.
    UsageError
        If the rows are streamed, or a row of weight 0 cannot be dropped.
    """
    weights = read_weights(sample_weight, source.n_rows)
    if weights is None:
        return CountedRows(source, y, groups)
    if not source.holds_targets:
        raise UsageError(
            f"sample_weight: {source.origin} is streamed, and weights need rows in memory; read it "
            "with stream=False, or leave the weights out."
        )
    if weights.all():
        return CountedRows(source, y, groups, weights)
    if keep_places:
        raise UsageError(
            "sample_weight: must not be 0 with texts or with block_length, where the order of "
            "the rows matters; leave these rows out of X."
        )
    numbers = np.flatnonzero(weights)
    if len(numbers) < 2:
        raise InvalidData(
            "sample_weight: fewer than two rows have a weight above 0; give at least two."
        )
    return CountedRows(
        source.where(torch.from_numpy(weights > 0)),
        _rows_at("y", y, len(weights), numbers),
        _rows_at(
            "groups",
            None if groups is None else column_of_groups(groups),
            len(weights),
            numbers,
        ),
        weights[numbers],
        numbers,
    )


def _rows_at(name: str, values: Any, n_rows: int, numbers: np.ndarray) -> Any:
    """Return the rows of these numbers of y or groups; None for None."""
    if values is None:
        return None
    try:
        n_values = len(values) if isinstance(values, Source) else _num_samples(values)
    except TypeError as error:
        raise InvalidData(f"{name}: {error}") from None
    if n_values != n_rows:
        raise InvalidData(f"{name}: {n_values} values for {n_rows} rows of X.")
    if isinstance(values, Source):
        mask = torch.zeros(n_rows, dtype=torch.bool)
        mask[torch.from_numpy(numbers)] = True
        return values.where(mask)
    return _safe_indexing(values, numbers)


def weights_of_parts(weights: np.ndarray | None, selection: Selection) -> Tensor | None:
    """Return weights, float32 (n_rows,), that average 1 over the training rows and over the
    held-out rows; None for None."""
    if weights is None:
        return None
    wide, held_out = torch.from_numpy(weights), selection.held_out
    training = normalize_weights(wide, selection.training)
    return torch.where(held_out, normalize_weights(wide, held_out), training)


def read_weights(sample_weight: Any, n_rows: int) -> np.ndarray | None:
    """Return the weight of every row, float64 (n_rows,), scaled so that the largest is 1; None for
    equal weights.

    Raises
    ------
    InvalidData
        If their number is not that of the rows, one is negative or not finite, all are 0, or the
        weights above 0 differ by more than a factor of 1e15.
    """
    if sample_weight is None:
        return None
    try:
        weights = _check_sample_weight(sample_weight, np.empty((n_rows, 1)), dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidData(f"sample_weight: {error}") from None
    if (weights < 0).any():
        row = int(np.flatnonzero(weights < 0)[0])
        raise InvalidData(
            f"sample_weight: must be >= 0, row {row} (the first is 0) has {weights[row]:g}."
        )
    least, greatest = float(weights[weights > 0].min()), float(weights.max())
    if least / greatest < 1 / _MAX_RATIO:
        raise InvalidData(
            f"sample_weight: must differ by a factor of {_MAX_RATIO:g} at most, got {least:g} and "
            f"{greatest:g}; give 0 to rows that should not count."
        )
    return weights / greatest


def check_class_weight(class_weight: Any) -> None:
    """Check ``class_weight`` before y is known.

    Raises
    ------
    UsageError
        If it is none of None, "balanced" and a mapping from classes to numbers above 0.
    """
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, Mapping):
        raise UsageError(
            "class_weight: must be None, 'balanced' or a dict from classes to weights, got "
            f"{class_weight!r}."
        )
    for name, weight in class_weight.items():
        check_number(f"class_weight[{name!r}]", weight, low=0, low_open=True)


def class_weights(
    class_weight: Any, classes: np.ndarray, targets: Tensor, row_weights: Tensor | None = None
) -> Tensor:
    """Return the weight of every class, float32 (n_classes,); only ratios matter.

    "balanced" is total / (n_classes * total of the class), over the weights of the training rows;
    a class missing from a dict has weight 1.

    Parameters
    ----------
    targets : Tensor of any shape
        Class indices of the training rows, negative where unknown.
    row_weights : Tensor, optional
        Weight of every target, of the same shape.

    Raises
    ------
    UsageError
        If a dict names a class that y does not have, or its weights differ by more than a factor
        of 1e15.
    """
    if isinstance(class_weight, Mapping):
        index_of = {name: i for i, name in enumerate(classes.tolist())}
        weights = np.ones(len(classes))
        for name, weight in class_weight.items():
            if name not in index_of:
                raise UsageError(
                    f"class_weight: {name!r} is not a class of y, which has {list(index_of)[:10]}."
                )
            weights[index_of[name]] = float(weight)
        least, greatest = float(weights.min()), float(weights.max())
        if least / greatest < 1 / _MAX_RATIO:
            raise UsageError(
                f"class_weight: must differ by a factor of {_MAX_RATIO:g} at most, got {least:g} "
                f"and {greatest:g} (a class that is not named has weight 1)."
            )
        return torch.from_numpy(weights / greatest).float()
    known = targets >= 0
    counted = None if row_weights is None else row_weights[known].double()
    counts = torch.bincount(targets[known].long(), counted, minlength=len(classes)).double()
    balanced = counts.sum() / (len(classes) * counts.clamp_min(torch.finfo(torch.float64).tiny))
    return torch.where(counts > 0, balanced, 0.0).float()
