"""Read what a user says stands for a missing value: a number, NaN, None or pandas.NA."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from narrows.errors import UsageError

__all__ = ["check_missing_values", "mark_missing", "without_na"]


def check_missing_values(value: Any) -> None:
    """Refuse a marker of missing values that is no number, NaN, None or pandas.NA.

    Raises
    ------
    UsageError
    """
    if not (value is None or isinstance(value, Real) or _is_na(value)):
        raise UsageError(
            f"missing_values: must be a number, nan, None or pandas.NA, got {value!r}; code texts "
            "as numbers first."
        )


def without_na(X: Any) -> Any:
    """Return arrays of objects with None and pandas.NA replaced by NaN; anything else unchanged."""
    if not (isinstance(X, np.ndarray) and X.dtype == object):
        return X
    absent = np.array([value is None or _is_na(value) for value in X.ravel()], dtype=bool)
    return np.where(absent.reshape(X.shape), np.nan, X) if absent.any() else X


def mark_missing(X: np.ndarray, value: Any) -> np.ndarray:
    """Return floats X with the marker ``value`` replaced by NaN."""
    if not isinstance(value, Real) or np.isnan(float(value)):
        return X
    return np.where(float(value) == X, np.asarray(np.nan, dtype=X.dtype), X)


def _is_na(value: Any) -> bool:
    """Return whether a value is pandas.NA; pandas is not imported for it."""
    return type(value).__name__ == "NAType"
