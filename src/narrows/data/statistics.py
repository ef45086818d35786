"""Compute mean, variance and range in one pass over the data, and check for finite values."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from narrows.core.sparse import Rows, SparseRows, stored_values
from narrows.data.readers.naming import dropping
from narrows.data.source import Source, is_from_file, place_in
from narrows.data.value_range import Sizes, ValueRange, row_sizes
from narrows.errors import InvalidData, ResourceError

__all__ = ["Statistics", "check_finite", "describe"]

RESOLUTION = 1e-4
"""The largest rounding error of float32 that is accepted, in standard deviations."""

_NOISE = 4
"""A column varies by rounding alone if its range is at most this many rounding steps."""

_SMALLEST = 1e-150
"""Deviations below this underflow when squared in float64."""

TINY = 1e-35
"""Below this, float32 loses precision."""

_OF_NAN = (
    "impute such values (CodeImputer does) or drop the rows or columns that have them, or use an "
    "autoencoder with corruption='missing', which takes them"
)
_OF_NAN_IN_FILE = (
    "fill them in, or leave out the rows or columns{} that have such values, or fit with "
    "--corruption missing (corruption='missing'), which takes them; a detector takes such a model "
    "by --like"
)
_OF_INFINITY = "remove or replace such values first"
_OF_INFINITY_IN_FILE = f"{_OF_INFINITY}, or leave out the rows or columns{{}} that have them"

_BLOCK = 16384
_MAX_FEATURES = 1 << 28


@dataclass(frozen=True)
class Statistics:
    """Statistics of the training rows, weighted if the rows have weights.

    Per feature, float64: ``mean``, ``variance``, and ``support``, the number of rows in which it is
    not 0. ``smallest`` and ``largest`` are its range, 0 and 0 if no value is known; ``whole`` says
    whether its values are whole numbers; ``rounding`` is the largest rounding error of float32.
    ``low`` and ``high`` are the range of all values, and ``typical`` is a size that most rows have
    (see ``ValueRange``).

    ``lowest`` and ``highest`` are the range of all rows, including held-out rows, because a loss
    that refuses values must accept every row. ``least``, the size of the smallest row that is not
    all 0, also includes held-out rows.
    """

    mean: Tensor
    variance: Tensor
    support: Tensor
    low: float
    high: float
    lowest: float
    highest: float
    smallest: Tensor
    largest: Tensor
    whole: Tensor
    n_rows: int
    rounding: Tensor
    typical: float
    least: float

    @property
    def value_range(self) -> ValueRange | None:
        """The range of the values, or None if no value is known."""
        if not self.low <= self.high:
            return None
        least = self.least if np.isfinite(self.least) else 0.0
        return ValueRange(self.low, self.high, self.typical, least)

    @property
    def whole_numbers(self) -> bool:
        """Whether every value is a whole number."""
        return bool(self.whole.all())

    @property
    def varying(self) -> Tensor:
        """Which columns hold two different values, bool (n_features,)."""
        return self.largest > self.smallest

    @property
    def noise(self) -> Tensor:
        """Which columns vary by rounding alone, bool (n_features,).

        Their range is at most ``_NOISE`` steps between adjacent numbers of their size: of float32
        if it represents every value of the column, else of float64. Columns of whole numbers never
        vary by rounding.
        """
        size = torch.maximum(self.smallest.abs(), self.largest.abs())
        exponent = torch.frexp(size).exponent.double()
        step = torch.where(self.rounding == 0, exponent - 24, exponent - 53).exp2()
        few = self.largest - self.smallest <= _NOISE * step
        return self.varying & ~self.whole & few

    @property
    def constant(self) -> Tensor:
        """Which columns are not divided by their deviation, bool (n_features,).

        They do not vary, vary by rounding alone, or by so little that float64 cannot square it.
        """
        return ~self.varying | self.noise | (self.variance.sqrt() < _SMALLEST)

    @property
    def tiny(self) -> bool:
        """Whether a varying column has a deviation too small for float32."""
        return bool(((self.variance.sqrt() < TINY) & ~self.constant).any())

    @property
    def needs_float64(self) -> bool:
        """Whether float32 would round a varying column by more than ``RESOLUTION``."""
        coarse = self.rounding > RESOLUTION * self.variance.sqrt()
        narrow = 0 < self.high - self.low < TINY
        return narrow or self.tiny or bool((coarse & ~self.constant).any())

    def with_range_of(self, others: Statistics) -> Statistics:
        """Return these statistics with the range of all rows extended to held-out rows."""
        return replace(
            self,
            lowest=min(self.lowest, others.lowest),
            highest=max(self.highest, others.highest),
            least=min(self.least, others.least),
        )


def describe(
    source: Source, *, held_out: Tensor | None = None, missing: bool = False
) -> Statistics:
    """Return statistics of a source in one pass; refuse infinity, and NaN unless ``missing``.

    Rows in the mask ``held_out``, bool (n_rows,), are checked, but count only in the range of all
    rows.

    Mean and variance of the known values are merged block by block (Chan, Golub, LeVeque 1983), so
    they are precise for large means and for more rows than float32 can count. Rows are weighted by
    the source's weights, which have mean 1 over the training rows.

    Raises
    ------
    InvalidData
        Naming the first row and column with NaN or infinity.
    ResourceError
        If there are more than 2^28 features.
    """
    if source.n_features > _MAX_FEATURES:
        raise ResourceError(
            f"{source.origin}: {source.n_features} features; at most {_MAX_FEATURES} are read."
        )
    n_rows = n_read = 0
    mean = torch.zeros(source.n_features, dtype=torch.float64)
    n, deviations, support = (torch.zeros_like(mean) for _ in range(3))
    low, high = float("inf"), float("-inf")
    lowest, highest = low, high
    smallest, largest = torch.full_like(mean, low), torch.full_like(mean, high)
    whole = torch.ones_like(mean, dtype=torch.bool)
    rounding, sizes, least = torch.zeros_like(mean), Sizes(), float("inf")
    for batch in source.in_float64().in_order(_BLOCK):
        check_finite(batch, source, first_row=n_read, missing=missing)
        weights = None
        if source.weights is not None:
            weights = source.weights[n_read : n_read + len(batch)].double()
        of_rows = row_sizes(batch)
        least = min(least, float(of_rows.where(of_rows > 0, float("inf")).min()))
        if held_out is not None:
            apart = held_out[n_read : n_read + len(batch)]
            n_read += len(batch)
            lowest, highest = _widened(lowest, highest, batch)
            batch = batch.where(~apart) if isinstance(batch, SparseRows) else batch[~apart]
            weights = None if weights is None else weights[~apart]
            of_rows = of_rows[~apart]
            if not len(batch):
                continue
        else:
            n_read += len(batch)
        low, high = _widened(low, high, batch)
        ends = _ends(batch, missing)
        smallest = torch.minimum(smallest, ends[0])
        largest = torch.maximum(largest, ends[1])
        if bool(whole.any()):
            whole &= _whole(batch)
        support += _support(batch, weights)
        sizes.add(of_rows)
        if isinstance(batch, Tensor) and batch.dtype == torch.float64:
            off = (batch - batch.float()).abs().nan_to_num(nan=0.0)
            rounding = torch.maximum(rounding, off.amax(dim=0))
        m, block_mean, block_deviations = _moments(batch, missing, weights)
        shift = block_mean - mean
        both = _divisor(n + m)
        deviations += block_deviations + shift.square() * (n * m / both)
        mean += shift * (m / both)
        n += m
        n_rows += len(batch)
    if held_out is None:
        lowest, highest = low, high
    known = smallest <= largest
    found = Statistics(
        mean,
        deviations / _divisor(n),
        support,
        low,
        high,
        lowest,
        highest,
        smallest.where(known, 0.0),
        largest.where(known, 0.0),
        whole,
        n_rows,
        rounding,
        sizes.typical,
        least,
    )
    if found.needs_float64:
        return found
    # the range of the values after rounding to float32
    low, high, lowest, highest = (float(np.float32(v)) for v in (low, high, lowest, highest))
    return replace(found, low=low, high=high, lowest=lowest, highest=highest)


def _widened(low: float, high: float, batch: Rows) -> tuple[float, float]:
    """Return the range extended by the known values of a batch."""
    values = stored_values(batch)
    values = values[~values.isnan()] if bool(values.isnan().any()) else values
    if values.numel():
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    return (min(low, 0.0), max(high, 0.0)) if isinstance(batch, SparseRows) else (low, high)


def _support(batch: Rows, weights: Tensor | None) -> Tensor:
    """Return the number, or total weight, of rows in which each feature is not 0; NaN counts."""
    if isinstance(batch, SparseRows):
        stored = batch.values != 0
        counted = None if weights is None else weights[batch.row_of[stored]]
        return torch.bincount(batch.indices[stored], counted, minlength=batch.n_features)
    if weights is None:
        return torch.count_nonzero(batch, dim=0)
    return weights @ (batch != 0).double()


def _ends(batch: Rows, missing: bool) -> tuple[Tensor, Tensor]:
    """Return the smallest and the largest known value of each feature, float64 (n_features,).

    They are infinite if no value is known.
    """
    infinity = float("inf")
    if not isinstance(batch, SparseRows):
        if not missing:
            return batch.amin(dim=0).double(), batch.amax(dim=0).double()
        unknown = batch.isnan()
        low, high = batch.where(~unknown, infinity), batch.where(~unknown, -infinity)
        return low.amin(dim=0).double(), high.amax(dim=0).double()
    columns, values = batch.indices.long(), batch.values.double()
    full = torch.bincount(columns, minlength=batch.n_features) >= len(batch)
    low = torch.where(full, infinity, 0.0).double()  # values that are not stored are 0
    high = torch.where(full, -infinity, 0.0).double()
    return (
        low.scatter_reduce(0, columns, values, "amin"),
        high.scatter_reduce(0, columns, values, "amax"),
    )


def _whole(batch: Rows) -> Tensor:
    """Return which features have only whole numbers, bool (n_features,); NaN is ignored."""
    values = stored_values(batch)
    broken = (values != values.round()) & ~values.isnan()
    if isinstance(batch, SparseRows):
        return torch.bincount(batch.indices[broken], minlength=batch.n_features) == 0
    return ~broken.any(dim=0)


def _divisor(counts: Tensor) -> Tensor:
    """Return counts, or sums of weights, with 0 replaced by 1."""
    return torch.where(counts > 0, counts, 1.0)


def _moments(batch: Rows, missing: bool, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Return the number of known values, their mean and their sum of squared deviations.

    Each is per feature, weighted if there are ``weights``.
    """
    if weights is not None:
        return _weighted_moments(batch, weights)
    m = torch.full((batch.shape[1],), len(batch), dtype=torch.float64)
    if isinstance(batch, SparseRows):
        values, columns = batch.values.double(), batch.indices.long()
        total = values.new_zeros(batch.n_features).index_add_(0, columns, values)
        stored = torch.bincount(columns, minlength=batch.n_features)
        mean = total / m
        # around the mean: E x^2 - (E x)^2 loses all precision if the mean is large
        deviations = (m - stored) * mean.square()
        return m, mean, deviations.index_add_(0, columns, (values - mean[columns]).square_())
    wide = batch.double()
    if missing:
        m = (~wide.isnan()).sum(dim=0).double()
        mean = wide.nansum(dim=0) / m.clamp_min(1)
        return m, mean, (wide - mean).square_().nansum(dim=0)
    mean = wide.mean(dim=0)
    return m, mean, (wide - mean).square_().sum(dim=0)


def _weighted_moments(batch: Rows, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``_moments`` with ``weights`` (batch,); NaN is unknown."""
    if isinstance(batch, SparseRows):
        m = weights.sum().expand(batch.n_features)
        values, columns = batch.values.double(), batch.indices.long()
        of_value = weights[batch.row_of]
        zeros = values.new_zeros(batch.n_features)
        mean = zeros.index_add(0, columns, of_value * values) / m
        stored = zeros.index_add(0, columns, of_value)
        deviations = (m - stored).clamp_min(0) * mean.square()
        return (
            m,
            mean,
            deviations.index_add_(0, columns, of_value * (values - mean[columns]).square()),
        )
    wide = batch.double()
    known = ~wide.isnan()
    m = weights @ known.double()
    mean = weights @ torch.where(known, wide, 0.0) / _divisor(m)
    return m, mean, weights @ torch.where(known, wide - mean, 0.0).square()


def check_finite(batch: Rows, source: Source, *, first_row: int = 0, missing: bool = False) -> None:
    """Raise InvalidData, naming the first value of the batch that is not finite.

    With ``missing``, NaN is accepted.
    """
    values = stored_values(batch).float()
    if missing and not isinstance(batch, SparseRows):
        values = torch.where(values.isnan(), 0.0, values)
    # the sum is finite only if every value is: usually one pass, and no array of booleans
    if bool(torch.isfinite(values.sum(dtype=torch.float64))):
        return
    bad = ~torch.isfinite(values)
    if not bool(bad.any()):
        return
    if isinstance(batch, SparseRows):
        at = int(bad.nonzero()[0])
        row, column = int(batch.row_of[at]), int(batch.indices[at])
        value = float(values[at])
    else:
        row, column = (int(i) for i in bad.nonzero()[0])
        value = float(values[row, column])
    what, way_out = "infinity or a value too large for dtype('float32')", _OF_INFINITY
    if value != value:
        what, way_out = "NaN", _OF_NAN
    if is_from_file(source):
        drop = f" ({dropping(source.origin, source.names[column])})" if source.names else ""
        way_out = (_OF_NAN_IN_FILE if value != value else _OF_INFINITY_IN_FILE).format(drop)
    counted = ", counted from 0" if is_from_file(source) and source.lines is None else ""
    raise InvalidData(
        f"Input {source.origin} contains {what} at {place_in(source, first_row + row, column)}"
        f"{counted}; {way_out}."
    )
