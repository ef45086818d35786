"""y as users have it, to a tensor that the loop reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from narrows.errors import InvalidData, UsageError

__all__ = ["read_targets"]


def read_targets(
    y: Any, n_rows: int, *, task: str, classes: np.ndarray | None = None
) -> tuple[Tensor, np.ndarray | None]:
    """Return y for the loop, and the classes where the task is a classification.

    Classes become their positions, int64, -1 where y is -1 (unknown); values are standardised,
    float32, NaN where unknown. ``classes`` are those of an earlier call.

    Raises
    ------
    UsageError
        If there is no y.
    InvalidData
        If y has another length than X, fewer than two classes, or one not seen before.
    """
    if y is None:
        raise UsageError("y: a penalty is another task and needs it; call fit(X, y).")
    values: Any = column_or_1d(y, warn=True)
    if len(values) != n_rows:
        raise InvalidData(f"y: {len(values)} values for {n_rows} rows of X.")
    if task == "regression":
        return _standardised(values), None
    unknown = values == -1 if values.dtype.kind in "iuf" else np.zeros(len(values), dtype=bool)
    known = np.unique(values[~unknown])
    if classes is None:
        classes = known
        if len(classes) < 2:
            raise InvalidData(f"y: a classification needs two classes, got {len(classes)}.")
    elif not np.isin(known, classes).all():
        new = known[~np.isin(known, classes)][0]
        raise InvalidData(f"y: class {new!r} was not in the first call; call fit.")
    positions = np.searchsorted(classes, np.where(unknown, classes[0], values))
    return torch.from_numpy(np.where(unknown, -1, positions)), classes


def _standardised(values: Any) -> Tensor:
    wide = values.astype(np.float64)
    known = np.isfinite(wide)
    if not known.any():
        raise InvalidData("y: no value is known.")
    if np.isinf(wide).any():
        raise InvalidData(f"y: row {int(np.isinf(wide).argmax())} is infinite.")
    spread = wide[known].std()
    return torch.from_numpy((wide - wide[known].mean()) / (spread or 1.0)).float()
