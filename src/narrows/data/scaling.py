"""Fit and apply the scaling of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Generator, Tensor

from narrows.core.sparse import Rows, SparseRows, dense_rows, stored_values
from narrows.data.source import Source
from narrows.data.statistics import TINY, Statistics
from narrows.data.tfidf import is_tfidf
from narrows.errors import InvalidData, LostColumnsWarning, WeightingWarning, first_names, warn

__all__ = [
    "SCALES",
    "SHARES",
    "Scaling",
    "fit_scaling",
    "warn_of_lost_columns",
]

_FAR = 1000
"""A mean beyond this many standard deviations is far from 0."""

_SAMPLED = 1000
"""Rows that are looked at to notice tf-idf."""

SHARES = ("proportions", "tfidf")
"""Scales whose rows add up to 1."""

SCALES = ("none", "unit", "center", "standard", "proportions", "tfidf")


@dataclass(frozen=True)
class Scaling:
    """A fitted scaling: x -> (x - shift) / scale per feature.

    "proportions" is x -> x / sum of its row instead, and "tfidf" the same for log(1 + x) / scale,
    where 1 / scale is the inverse document frequency.

    ``shift`` and ``scale`` are tensors of shape (n_features,) or (), or None for 0 and 1. The scale
    of a feature without variance is 1. ``shift`` is float64 if rows are so far from 0 that float32
    would round away their differences; both are float64 if a deviation is too small for float32.
    Rows are then scaled in float64, and cast afterwards. Sparse rows are never shifted. A row whose
    sum is not positive is not divided.

    The weights of "tfidf" are scikit-learn's: 1 + log((1 + n) / (1 + rows with the feature)).
    Salton, Buckley (1988), "Term-weighting approaches in automatic text retrieval", Information
    Processing & Management 24.
    """

    kind: str
    shift: Tensor | None = None
    scale: Tensor | None = None

    @property
    def unit(self) -> str:
        """The unit of a scaled feature."""
        return {
            "none": "input units",
            "center": "input units",
            "unit": "input units scaled to [0, 1]",
            "standard": "standard deviations",
            "proportions": "proportions",
            "tfidf": "shares of tf-idf",
        }[self.kind]

    @property
    def shares(self) -> bool:
        """Whether scaled rows add up to 1."""
        return self.kind in SHARES

    def check(self, x: Rows, origin: str) -> None:
        """Raise InvalidData if shares are scaled and a value of x is negative."""
        values = stored_values(x)
        if self.shares and values.numel() and bool((values < 0).any()):
            raise InvalidData(
                f"Negative values in data: got {float(values[values < 0].amin()):.6g} in {origin}, "
                f"and the model was fitted to counts or shares (scale={self.kind!r}); give such "
                "rows, or fit another model to rows like these."
            )

    @cached_property
    def double(self) -> bool:
        """Whether rows are scaled in float64, because float32 would round them too much."""
        return any(part.dtype == torch.float64 for part in self.tensors().values())

    def as_precise(self, source: Source) -> Source:
        """Return the source with batches in float64 if the scaling needs it."""
        return source.in_float64() if self.double else source

    def for_training(self, source: Source) -> Source:
        """Return the source in float64 if the scaling needs it, else in float32."""
        return source.in_float64() if self.double else source.in_float32()

    def forward(self, x: Rows) -> Rows:
        """Return scaled rows, float32."""
        if isinstance(x, Tensor) and not self.double:
            x = x.float()
        if self.kind == "proportions":
            return _proportions(x)
        if self.kind == "tfidf":
            x = x.with_values(x.values.log1p()) if isinstance(x, SparseRows) else x.log1p()
            return _proportions(self._divided(x))
        if self.shift is not None:
            # a shifted 0 is not 0, so rows become dense; one batch is small
            x = dense_rows(x).to(self.shift.dtype) - self.shift
            if self.scale is None or self.scale.dtype == torch.float32:
                x = x.float()
        return self._divided(x)

    def _divided(self, x: Rows) -> Rows:
        if self.scale is None:
            return x if isinstance(x, SparseRows) else x.float()
        if isinstance(x, SparseRows):
            one = self.scale.ndim == 0
            scale = self.scale if one else self.scale.index_select(0, x.indices)
            return x.with_values((x.values / scale).float())
        return (x / self.scale).float()

    def inverse(self, x: Tensor) -> Tensor:
        """Return scaled rows in input units, as float64 if the shift is.

        Shares become proportions. For "tfidf" these only approximate the proportions of the counts:
        the logarithm of a mean is used for the mean of the logarithm.
        """
        if self.kind == "tfidf":
            assert self.scale is not None
            counts = x * self.scale
            return counts / _positive(counts.sum(dim=1))[:, None]
        if self.scale is not None:
            x = x * self.scale
        return x if self.shift is None else x + self.shift

    def tensors(self) -> dict[str, Tensor]:
        return {
            name: value
            for name, value in (("shift", self.shift), ("scale", self.scale))
            if value is not None
        }

    def to(self, device: str | torch.device) -> Scaling:
        return Scaling(self.kind, **{k: v.to(device) for k, v in self.tensors().items()})


def row_totals(x: Rows) -> Tensor:
    """Return the sum of every row, shape (batch,)."""
    return (
        x.row_sums() if isinstance(x, SparseRows) else x.nansum(dim=1, dtype=torch.float64).float()
    )


def _proportions(x: Rows) -> Rows:
    # in float64, in which sums of float32 values do not overflow
    if isinstance(x, SparseRows):
        wide = x.with_values(x.values.double())
        shares = wide.times_rows(1 / _positive(wide.row_sums()))
        return shares.with_values(shares.values.float())
    totals = x.nansum(dim=1, dtype=torch.float64)
    return (x / _positive(totals)[:, None]).float()


def _positive(totals: Tensor) -> Tensor:
    return torch.where(totals > 0, totals, torch.ones_like(totals))


def fit_scaling(
    kind: str, source: Source, statistics: Statistics, *, bounded: bool = False
) -> Scaling:
    """Return the scaling of a kind, fitted to the training rows.

    Rows that are tf-idf already get no weights of "tfidf" again, but a warning.

    If the loss is ``bounded``, it accepts only values in [0, 1]. The range of "unit" is then that
    of all rows, because held-out rows outside of it would be refused.
    """
    dtype = torch.float64 if statistics.needs_float64 else torch.float32
    scaling = _fitted(kind, source, statistics, dtype, bounded)
    warn_of_lost_columns(scaling.forward, kind, source, statistics)
    return scaling


def _fitted(
    kind: str, source: Source, statistics: Statistics, dtype: torch.dtype, bounded: bool
) -> Scaling:
    if kind == "unit":
        low, high = statistics.low, statistics.high
        if bounded:
            low, high = statistics.lowest, statistics.highest
        if source.kind == "image":
            low, high = 0.0, 255.0
        width = high - low if high > low else 1.0
        shift = None if low == 0 or source.sparse else torch.tensor(low, dtype=dtype)
        return Scaling(kind, shift, _as_small(torch.tensor(width, dtype=torch.float64)))
    if kind in ("none", "proportions"):
        return Scaling(kind)
    if kind == "tfidf":
        if is_tfidf(source.sample(_SAMPLED, generator=Generator().manual_seed(0))):
            _warn_of_tfidf(source)
            return Scaling(kind, scale=torch.ones(source.n_features))
        idf = 1 + ((1 + statistics.n_rows) / (1 + statistics.support)).log()
        return Scaling(kind, scale=(1 / idf).float())
    shift = None if source.sparse else statistics.mean.to(dtype)
    if kind == "center":
        return Scaling(kind, shift)
    deviation = statistics.variance.sqrt()
    scale = torch.where(statistics.constant, 1.0, deviation)
    if source.sparse:
        # divide columns far from 0, which cannot be centered, by their mean: else they dominate
        size = statistics.mean.abs()
        scale = torch.where(size > _FAR * deviation, size, scale)
    return Scaling(kind, shift, _as_small(scale))


def _warn_of_tfidf(source: Source) -> None:
    warn(
        f"{source.origin}: the rows look like tf-idf already (no whole numbers, every row of "
        "length 1), so scale='tfidf' does not weight them by document frequency again; give "
        "counts, or fit with scale='proportions' (--scale proportions).",
        WeightingWarning,
    )


def _as_small(scale: Tensor) -> Tensor:
    """Return a scale in float32, or in float64 if float32 cannot represent it precisely."""
    return scale if bool((scale < TINY).any()) else scale.float()


def warn_of_lost_columns(
    forward: Callable[[Tensor], Rows], kind: str, source: Source, statistics: Statistics
) -> None:
    """Warn of columns that are constant after scaling, although their values differ.

    ``forward`` scales rows; ``kind`` is the kind of scaling. Shares are not checked, because they
    depend on all values of a row.

    Warns
    -----
    LostColumnsWarning
        Naming the columns, or their numbers.
    """
    if kind in ("proportions", "tfidf"):
        return
    if kind == "standard":
        lost = statistics.varying & statistics.constant
    else:
        ends = torch.stack([statistics.smallest, statistics.largest])
        low, high = torch.as_tensor(forward(ends))
        lost = statistics.varying & ~statistics.noise & (low == high)
    _warn(
        source,
        lost,
        f"the values differ by less than scale={kind!r} can show ({{}}), and are treated as "
        "constant; subtract a number near to them, or multiply them, before the fit.",
        statistics,
    )
    size = statistics.largest.abs()
    # 64-bit integers are rounded to float64, so equal values may have been different
    same = ~statistics.varying & (size > 2.0**53) & (size <= 2.0**64)
    _warn(
        source,
        same,
        "all values are read as one ({}), because float64 rounds whole numbers above 2^53; if "
        "they differ, subtract a number near to them before the fit.",
        statistics,
    )


def _warn(source: Source, lost: Tensor, what: str, statistics: Statistics) -> None:
    numbers = lost.nonzero()[:, 0].tolist()
    if not numbers:
        return
    names = [repr(source.names[i]) if source.names else str(i) for i in numbers]
    low, high = (float(ends[numbers[0]]) for ends in (statistics.smallest, statistics.largest))
    between = f"in {names[0]} from {low:.17g} to {high:.17g}" if low < high else f"{low:.17g}"
    warn(
        f"{source.origin}: {'column' if len(names) == 1 else f'{len(names)} columns:'} "
        f"{first_names(names)}: {what.format(between)}",
        LostColumnsWarning,
    )
