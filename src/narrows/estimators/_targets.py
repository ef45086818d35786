"""y as users have it, to a tensor that the loop reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import assert_all_finite, column_or_1d
from torch import Tensor

from narrows.errors import InvalidData

__all__ = ["read_classes", "read_values"]


def read_classes(
    y: Any, n_rows: int, *, unknown: Any = None, classes: np.ndarray | None = None
) -> tuple[Tensor, np.ndarray]:
    """Return the position of each row's class, int64, -1 where y is ``unknown``, and the classes.

    ``classes`` are those of an earlier call.

    Raises
    ------
    InvalidData
        If y has another length than X, fewer than two classes, or one not seen before.
    """
    values = _column(y, n_rows)
    known = np.ones(n_rows, dtype=bool)
    if unknown is not None:
        known = np.array([value != unknown for value in values.tolist()], dtype=bool)
    if values.dtype.kind == "f":
        assert_all_finite(values[known], input_name="y")
    if known.any():
        check_classification_targets(values[known])
    present = np.unique(values[known])
    if classes is None:
        classes = present
        if len(classes) < 2:
            raise InvalidData(f"y: a classification needs two classes, got {len(classes)}.")
    elif not np.isin(present, classes).all():
        new = present[~np.isin(present, classes)][0]
        raise InvalidData(f"y: class {new!r} was not in the first call; call fit.")
    positions = np.searchsorted(classes, np.where(known, values, classes[0]))
    return torch.from_numpy(np.where(known, positions, -1)), classes


def read_values(y: Any, n_rows: int, *, missing: bool) -> tuple[Tensor, float, float]:
    """Return y standardised, float32, with its mean and deviation; NaN stays where ``missing``.

    Raises
    ------
    InvalidData
        If y has another length than X, is infinite, or no value is known.
    """
    wide = _column(y, n_rows).astype(np.float64)
    if not missing:
        assert_all_finite(wide, input_name="y")
    known = np.isfinite(wide)
    if not known.any():
        raise InvalidData("y: no value is known.")
    if np.isinf(wide).any():
        raise InvalidData(f"y: row {int(np.isinf(wide).argmax())} is infinite.")
    mean, deviation = float(wide[known].mean()), float(wide[known].std()) or 1.0
    return torch.from_numpy((wide - mean) / deviation).float(), mean, deviation


def _column(y: Any, n_rows: int) -> np.ndarray:
    if y is None:
        raise InvalidData("y: requires y to be passed, but the target y is None.")
    values: Any = column_or_1d(y, warn=True)
    if len(values) != n_rows:
        raise InvalidData(f"y: {len(values)} values for {n_rows} rows of X.")
    return values
