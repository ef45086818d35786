"""Choose and fit the best linear fill of a table: mean, probabilistic PCA or Gaussian.

A share of the known cells is hidden, every candidate fills them in, and the one with the smallest
error is fitted again to all known cells. Cells that are missing, and rows that are filled in later,
have no part in the choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from narrows.model.incomplete_gaussian import IncompleteGaussian, fit_incomplete_gaussian
from narrows.model.probabilistic_pca import ProbabilisticPCA, fit_probabilistic_pca

__all__ = ["ColumnScale", "LinearFill", "fit_linear_fill", "hide_cells"]

HIDDEN = 0.2
"""Share of the known cells that are hidden for the choice."""

_SHRINKAGES = (0.5, 0.2, 0.05, 0.01, 0.001)
_FIRST = 2
"""The Gaussian that is tried first: its neighbors follow while the error falls."""

_STRONG = 0.05
_WIDTHS = (1, 2, 4, 8)
_WIDE_WIDTHS = (2, 10, 30)
"""Widths of probabilistic PCA, beside a Gaussian and in place of one."""

_FEW_CELLS = 5_000
_REPEATS = 3
"""Tables with fewer cells are hidden in this many ways, for a steadier choice."""

_CHOICE_COST, _FIT_COST = 1e8, 3e8
_CHOICE_ROWS, _FIT_ROWS = 1_000, 20_000
"""Limits on the products in a step of EM, and on its rows: of more rows a sample is used."""

_ENOUGH_ROWS = 4
"""A Gaussian is tried if at least this many rows per column are affordable, or all rows."""

_CHOICE_LIMITS = {"max_steps": 15, "tolerance": 2e-3}
_FIT_LIMITS = {"max_steps": 40, "tolerance": 3e-4}

_CHUNK = 16_384


@dataclass(frozen=True)
class ColumnScale:
    """The mean and the standard deviation of the known cells of each column, (features,).

    A constant column has the deviation 1, one without a known cell the mean 0.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, x: Tensor) -> ColumnScale:
        """Measure rows x (rows, features) with NaN, in float64."""
        x = x.double()
        known = ~x.isnan()
        mean = x.nanmean(dim=0).nan_to_num(nan=0.0)
        off = torch.where(known, x - mean, 0.0)
        largest = off.abs().amax(dim=0)  # squares of very large or small values stay finite
        largest = torch.where(largest > 0, largest, 1.0)
        squares = (off / largest).square().sum(dim=0) / known.sum(dim=0).clamp_min(1)
        std = largest * squares.sqrt()
        return cls(mean, torch.where(std > 0, std, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (x.double() - self.mean) / self.std

    def inverse(self, z: Tensor) -> Tensor:
        return z * self.std + self.mean


@dataclass(frozen=True)
class LinearFill:
    """The chosen linear fill, for scaled rows (rows, features) with NaN.

    Attributes
    ----------
    scale : ColumnScale
    model : IncompleteGaussian, ProbabilisticPCA or None
        None fills in the means.
    name : str
        What was chosen.
    errors : dict of str to float
        Root mean squared error of the hidden cells of every candidate, in standard deviations.
    """

    scale: ColumnScale
    model: IncompleteGaussian | ProbabilisticPCA | None
    name: str = "mean"
    errors: dict[str, float] = field(default_factory=dict)

    def fill(self, z: Tensor) -> Tensor:
        """Return scaled rows with missing cells filled in, float64."""
        if self.model is None:
            return z.double().nan_to_num(nan=0.0)
        parts = [self.model.fill(part) for part in z.split(_CHUNK)]
        return torch.cat(parts) if parts else z.double()


def hide_cells(z: Tensor, share: float | Tensor, *, generator: Generator) -> Tensor:
    """Draw which known cells of z (rows, features) to hide, each with probability ``share``.

    Every column keeps a known cell, if it has one.
    """
    known = ~z.isnan()
    draws = torch.rand(z.shape, generator=generator, dtype=torch.float64).where(known, -1.0)
    hidden = known & (draws < share)
    last = draws.argmax(dim=0)
    hidden[last, torch.arange(z.shape[1])] = False
    return hidden


@dataclass(frozen=True)
class Gaussian:
    """A candidate: a Gaussian with a full covariance."""

    shrinkage: float

    def __str__(self) -> str:
        return f"Gaussian, shrinkage {self.shrinkage:g}"

    def cost(self, n_features: int, n_missing: float) -> float:
        """Return the products of a step of EM for one row."""
        return max(n_missing, 1.0) ** 3 + n_features**2

    def fit(self, z: Tensor, start: Any = None, **limits: Any) -> IncompleteGaussian:
        return fit_incomplete_gaussian(z, shrinkage=self.shrinkage, start=start, **limits)


@dataclass(frozen=True)
class Components:
    """A candidate: probabilistic PCA."""

    width: int

    def __str__(self) -> str:
        plural = "s" if self.width > 1 else ""
        return f"probabilistic PCA, {self.width} component{plural}"

    def cost(self, n_features: int, n_missing: float) -> float:
        """Return the products of a step of EM for one row."""
        return n_features * self.width**2 / 50  # large products are fast

    def fit(self, z: Tensor, start: Any = None, **limits: Any) -> ProbabilisticPCA:
        return fit_probabilistic_pca(z, self.width, **limits)


def fit_linear_fill(x: Tensor, *, generator: Generator) -> LinearFill:
    """Choose a linear fill for rows x (rows, features) with NaN, and fit it to them.

    Gaussians of more and less shrinkage are tried. Where strong shrinkage is best, or the table is
    too wide for a Gaussian, probabilistic PCA of several widths is tried, too. Cost: some tens of
    steps of EM, on a sample of rows if there are many.
    """
    scale = ColumnScale.of(x)
    z = scale.forward(x)
    z = z[torch.randperm(len(z), generator=generator)]
    choice = _Choice(z, generator)
    choice.add(None)
    n_features = z.shape[1]
    wide = choice.n_rows(Gaussian(0.0)) < min(len(z), _ENOUGH_ROWS * n_features)
    best = None if wide or n_features == 1 else _best_gaussian(choice)
    if n_features > 1 and (best is None or best.shrinkage >= _STRONG):
        for width in _WIDE_WIDTHS if wide else _WIDTHS:
            if width < min(n_features, choice.n_rows(Components(width))):
                choice.add(Components(width))
    chosen = choice.best
    return LinearFill(scale, choice.fitted(chosen), _name(chosen), choice.errors)


def _best_gaussian(choice: _Choice) -> Gaussian:
    """Try shrinkages from the middle one on, in the direction in which the error falls."""
    candidates = [Gaussian(shrinkage) for shrinkage in _SHRINKAGES]
    at = _FIRST
    choice.add(candidates[at])
    for step in (1, -1):
        while 0 <= at + step < len(candidates):
            choice.add(candidates[at + step])
            if choice.error(candidates[at + step]) >= choice.error(candidates[at]):
                break
            at += step
        if at != _FIRST:
            break
    return candidates[at]


class _Choice:
    """Hides cells of rows, and measures candidates on them.

    Parameters
    ----------
    z : Tensor
        Scaled rows (rows, features) in random order, with NaN.
    generator : Generator
        Draws the cells.
    """

    def __init__(self, z: Tensor, generator: Generator) -> None:
        self._z, self._generator = z, generator
        self._missing = float(z.isnan().double().mean())
        known = ~z.isnan()
        low = z.where(known, torch.inf).amin(dim=0)
        high = z.where(known, -torch.inf).amax(dim=0)
        self._range = (low.where(known.any(dim=0), 0.0), high.where(known.any(dim=0), 0.0))
        self._repeats = _REPEATS if z.numel() < _FEW_CELLS else 1
        self._hidden = [
            hide_cells(z[:_CHOICE_ROWS], HIDDEN, generator=generator) for _ in range(self._repeats)
        ]
        self._starts: list[Any] = [None] * self._repeats
        self._errors: dict[Candidate, float] = {}

    @property
    def errors(self) -> dict[str, float]:
        """Root mean squared error of the hidden cells, by the name of the candidate."""
        return {_name(candidate): error for candidate, error in self._errors.items()}

    @property
    def best(self) -> Candidate:
        return min(self._errors, key=self._errors.__getitem__)

    def error(self, candidate: Candidate) -> float:
        return self._errors[candidate]

    def n_rows(self, candidate: Candidate, *, final: bool = False) -> int:
        """Return on how many rows to fit a candidate, for the choice or for good."""
        most, products = (_FIT_ROWS, _FIT_COST) if final else (_CHOICE_ROWS, _CHOICE_COST)
        n_features = self._z.shape[1]
        share = self._missing if final else self._missing + HIDDEN * (1 - self._missing)
        cost = 1.0 if candidate is None else candidate.cost(n_features, share * n_features)
        return max(2, min(len(self._z), most, int(products / cost)))

    def add(self, candidate: Candidate) -> None:
        """Measure a candidate; Gaussians start where the one before has ended."""
        squares, count = 0.0, 0
        for i, hidden in enumerate(self._hidden):
            n_rows = self.n_rows(candidate)
            rows, hidden = self._z[:n_rows], hidden[:n_rows]
            holed = rows.masked_fill(hidden, torch.nan)
            fill = torch.zeros_like(rows)
            if candidate is not None:
                model = candidate.fit(holed, self._starts[i], **_CHOICE_LIMITS)
                fill = model.fill(holed)
                if isinstance(candidate, Gaussian):
                    self._starts[i] = model
            off = (fill.clamp(*self._range) - rows)[hidden]
            squares += float(off.square().sum())
            count += int(hidden.sum())
        self._errors[candidate] = (squares / max(count, 1)) ** 0.5

    def fitted(self, candidate: Candidate) -> Any:
        """Fit a candidate to all known cells."""
        rows = self._z[: self.n_rows(candidate, final=True)]
        return None if candidate is None else candidate.fit(rows, **_FIT_LIMITS)


def _name(candidate: Candidate) -> str:
    return "mean" if candidate is None else str(candidate)


Candidate = Gaussian | Components | None
"""A linear fill before it is fitted; None is the mean."""
