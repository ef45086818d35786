"""Keep filled-in values within what a column can hold: bounds, and whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from narrows.errors import UsageError, did_you_mean

__all__ = ["CellRules", "fit_cell_rules"]

_OBSERVED = "observed"
_WHOLE_FROM = 3.0
"""Least standard deviation of a column that "auto" rounds: its error variance then grows by less
than 1% of the variance of the column, which is 1/12 / 3^2."""


@dataclass(frozen=True)
class CellRules:
    """The least and largest value of each column, (features,), and which columns are rounded."""

    low: np.ndarray
    high: np.ndarray
    whole: np.ndarray

    def apply(self, filled: np.ndarray) -> np.ndarray:
        """Return rows (rows, features), float64, with each value rounded and within the bounds."""
        # a bound that is no whole number must not move a rounded value off the whole numbers
        low, high = np.ceil(self.low), np.floor(self.high)
        whole = self.whole & (low <= high)
        rounded = np.clip(np.round(filled), low, high)
        return np.where(whole, rounded, np.clip(filled, self.low, self.high))


def fit_cell_rules(
    X: np.ndarray, *, min_value: Any = _OBSERVED, max_value: Any = _OBSERVED, whole: Any = "auto"
) -> CellRules:
    """Find the rules for rows X (rows, features) with NaN.

    Parameters
    ----------
    min_value, max_value : "observed", None, float or array-like of shape (n_features,)
        "observed" is the least or largest known value of each column, None no bound.
    whole : "auto", bool or array-like of bool of shape (n_features,)
        Whether columns whose known values are all whole numbers are rounded: "auto" rounds those
        with a standard deviation of 3 or more, an array those that it marks.

    Raises
    ------
    UsageError
        If an argument is none of these, or a least value is above the largest one.
    """
    X = X.astype(np.float64)
    known = ~np.isnan(X)
    some: np.ndarray = np.asarray(known.any(axis=0))
    low = _bounds("min_value", min_value, -np.inf, np.where(known, X, np.inf).min(axis=0), some)
    high = _bounds("max_value", max_value, np.inf, np.where(known, X, -np.inf).max(axis=0), some)
    crossed = low > high
    if crossed.any():
        j = int(crossed.argmax())
        raise UsageError(
            f"min_value: must not be above max_value, got {low[j]:g} and {high[j]:g} in column "
            f"{j}; lower min_value, raise max_value, or pass None for no bound."
        )
    is_whole = some & (~known | (X == np.round(X))).all(axis=0)
    return CellRules(low, high, is_whole & _rounded(whole, X))


def _rounded(whole: Any, X: np.ndarray) -> np.ndarray:
    """Return which columns are rounded if they are whole, (features,)."""
    if isinstance(whole, str) and whole == "auto":
        known = ~np.isnan(X)
        n_known = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, X, 0.0).sum(axis=0) / n_known
        with np.errstate(over="ignore"):
            squares = np.square(np.where(known, X - mean, 0.0)).sum(axis=0) / n_known
        return squares >= _WHOLE_FROM**2
    marks = np.asarray(whole)
    if marks.dtype != bool or marks.shape not in ((), (X.shape[1],)):
        raise UsageError(
            f"whole_numbers: must be 'auto', True, False, or one of these per column, "
            f"({X.shape[1]},), got {whole!r}."
        )
    return np.broadcast_to(marks, X.shape[1])


def _bounds(
    argument: str, value: Any, none: float, observed: np.ndarray, some: np.ndarray
) -> np.ndarray:
    """Return one bound per column; a column without a known value has no observed bound."""
    n_features = len(observed)
    if value is None:
        return np.full(n_features, none)
    if isinstance(value, str):
        if value != _OBSERVED:
            raise UsageError(
                f"{argument}: must be 'observed', None, a number, or one number per column, got "
                f"{value!r}.{did_you_mean(value, [_OBSERVED])}"
            )
        return np.where(some, observed, none)
    try:
        bounds = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        bounds = np.full(1, np.nan)
    if bounds.shape not in ((), (n_features,)) or np.isnan(bounds).any():
        raise UsageError(
            f"{argument}: must be 'observed', None, a number, or one number per column, "
            f"({n_features},), got {value!r}."
        )
    return np.broadcast_to(bounds, n_features).copy()
