"""Warn when rows look like they are in different units from the training data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from narrows.core.sparse import Rows, SparseRows, stored_values
from narrows.data.source import Source
from narrows.errors import RangeWarning, warn

__all__ = ["Sizes", "ValueRange", "read_value_range", "row_sizes"]

_ROWS = 64
"""Number of first rows that are checked."""

_TIMES = 16
"""Values in other units are at least this many times larger or smaller."""

_FEW = 4
"""Fewer rows than this may all be among the smallest by chance."""

_SMALL = 0.05
"""Share of the fitted rows, without rows of zeros, whose size is below ``typical``."""

_LOWEST = -1100
"""Below the exponent of every float64."""


@dataclass(frozen=True)
class ValueRange:
    """The range of the values that a model was fitted to, and the sizes of its rows.

    The size of a row is its largest magnitude; rows of zeros are ignored. ``typical`` is the
    largest power of 2 not above the 5% quantile of the sizes of training rows, or 0 if there are
    none. ``least`` is the size of the smallest row, including held-out rows; None in older files.
    """

    low: float
    high: float
    typical: float
    least: float | None = None

    def merged(self, other: ValueRange) -> ValueRange:
        """Return the combined range."""
        return ValueRange(
            min(self.low, other.low),
            max(self.high, other.high),
            min(self.typical, other.typical),
            None if self.least is None or other.least is None else min(self.least, other.least),
        )

    def check_units(self, source: Source) -> None:
        """Warn if more than half of the first rows are far larger or smaller than fitted rows.

        Far larger is more than 16 times the largest fitted value; far smaller is less than 1/16 of
        the ``typical`` size. Fewer than 4 rows must also be smaller than half of every fitted row,
        because skewed data have a few rows that small. Cost: O(64 x n_features).

        Warns
        -----
        RangeWarning
        """
        first = next(source.in_order(_ROWS))
        sizes = row_sizes(first)
        sizes = sizes[(sizes > 0) & sizes.isfinite()]
        largest = max(abs(self.low), abs(self.high))
        small = self.typical / _TIMES
        if len(sizes) < _FEW and self.least is not None:
            small = min(small, self.least / 2)
        outside, inside = sizes > _TIMES * largest, sizes < small
        if not largest or not 2 * max(int(outside.sum()), int(inside.sum())) > len(sizes):
            return
        values = stored_values(first)
        values = values[values.isfinite()]
        low, high = float(values.min()), float(values.max())
        if isinstance(first, SparseRows):
            low, high = min(low, 0.0), max(high, 0.0)
        warn(
            f"{source.origin}: values from {low:g} to {high:g}, but the model was fitted to values "
            f"from {self.low:g} to {self.high:g}: are they in the same units? Scale the rows like "
            "those of the fit, or fit to rows like these.",
            RangeWarning,
        )


class Sizes:
    """Count rows by the power of 2 of their size."""

    def __init__(self) -> None:
        self._counts = torch.zeros(-2 * _LOWEST, dtype=torch.int64)

    def add(self, sizes: Tensor) -> None:
        exponents = torch.frexp(sizes[sizes > 0]).exponent.long() - _LOWEST
        self._counts += torch.bincount(exponents, minlength=len(self._counts))

    @property
    def typical(self) -> float:
        total = int(self._counts.sum())
        if not total:
            return 0.0
        reached = self._counts.cumsum(0) > _SMALL * total
        exponent = int(reached.int().argmax()) + _LOWEST
        return math.ldexp(0.5, exponent)


def row_sizes(rows: Rows) -> Tensor:
    """Return the largest magnitude of every row, (batch,), float64; NaN is ignored."""
    if isinstance(rows, SparseRows):
        if not len(rows.values):
            return torch.zeros(len(rows), dtype=torch.float64)
        sizes = torch.segment_reduce(rows.values.double().abs(), "max", offsets=rows.indptr)
        return sizes.clamp_min(0)  # the maximum of no values is minus infinity
    return rows.abs().nan_to_num(nan=0.0, posinf=math.inf).amax(dim=1).double()


def read_value_range(spec: Any) -> ValueRange:
    """Return the range in JSON values of a file.

    Raises
    ------
    TypeError, ValueError
        If they are not a valid range.
    """
    found = ValueRange(**spec)
    numbers = [found.low, found.high, found.typical]
    if found.least is not None:
        numbers.append(found.least)
    if not all(type(number) is float and math.isfinite(number) for number in numbers):
        raise ValueError(f"invalid range of values: {numbers}")
    if found.low > found.high or min(numbers[2:]) < 0:
        raise ValueError(f"invalid range of values: {numbers}")
    return found
