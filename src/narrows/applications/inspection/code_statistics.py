"""Measure the units of a code over many rows: dead, saturated and duplicate units, rank, KL.

Only sums are kept, so that memory does not grow with the rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from narrows.core.activations import SLOPES
from narrows.core.slots import Code
from narrows.data.source import Source
from narrows.model.coding import scaled_batches
from narrows.model.model import Model
from narrows.penalties import KLSparsity

__all__ = ["MAX_UNITS", "CodeStatistics", "code_statistics", "effective_rank"]

MAX_UNITS = 4096
"""For wider codes no covariance is computed, and so no duplicates and no effective rank."""

STILL = 1e-3
"""A unit is dead if its standard deviation is below this share of the root mean square over all
units."""

ALIKE = 0.99
AT_THE_END = 0.01
"""A bounded unit is at an end of its range if it is within this share of the range from it."""
MOSTLY = 0.95
IN_USE = 0.01

_ENDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}
"""The range of bounded units, by their activation."""


@dataclass(frozen=True)
class CodeStatistics:
    """The units of a code over ``n_rows`` rows; None for what is undefined for them.

    Attributes
    ----------
    dead : list of int or None
        Units that never change: their standard deviation is below 0.001 of the root mean square
        over all units. Units that are always 0 are among them. None for a single row.
    saturated : list of int or None
        Other units within 1% of an end of their range in over 95% of the rows; None for unbounded
        units. With KL sparsity, which wants units to be off, only the upper end counts.
    at_the_ends : float or None
        Share of all numbers of the code within 1% of an end.
    duplicates : list of (int, int) or None
        Units with |correlation| > 0.99 to an earlier unit, and the first such unit.
    effective_rank : float or None
        exp of the entropy of the normalized eigenvalues of the covariance of the code: from 1, all
        variance on one axis, to n_components, equal variance on all axes (Roy, Vetterli 2007, "The
        effective rank: a measure of effective dimensionality").
    kl : list of float or None
        KL(q(h | x) || N(0, 1)) of every dimension in nats, mean over the rows, if the code has a
        posterior; ``in_use`` counts those above 0.01.
    l0 : float or None
        Number of nonzero components of a row's code, mean over the rows, if some are 0.
    """

    n_rows: int
    n_components: int
    dead: list[int] | None
    saturated: list[int] | None
    at_the_ends: float | None
    duplicates: list[tuple[int, int]] | None
    effective_rank: float | None
    kl: list[float] | None
    in_use: int | None
    l0: float | None

    @property
    def dead_share(self) -> float | None:
        return None if self.dead is None else len(self.dead) / self.n_components


@torch.no_grad()
def code_statistics(model: Model, source: Source) -> CodeStatistics:
    """Return the statistics of the units, by one pass over the rows.

    Cost beside encoding: O(rows x n_components^2) for codes up to ``MAX_UNITS`` wide.
    """
    sums = _Sums(model)
    for _, x in scaled_batches(model, source):
        sums.add(model.objective.encode(x))
    return sums.statistics()


class _Sums:
    """Sums over the rows, in float64, so that large means cancel to the precision of the codes."""

    def __init__(self, model: Model) -> None:
        width = model.n_components
        zeros = torch.zeros(width, dtype=torch.float64, device=model.device)
        self.n = 0
        self.ends = _ends_of(model)
        self.total, self.square = zeros, zeros.clone()
        self.on, self.at_ends, self.kl = zeros.clone(), zeros.clone(), None
        self.products = zeros.new_zeros(width, width) if width <= MAX_UNITS else None

    def add(self, code: Code) -> None:
        h = code.h.double()
        self.n += len(h)
        self.total += h.sum(dim=0)
        self.square += h.square().sum(dim=0)
        self.on += (h != 0).sum(dim=0)
        if self.ends is not None:
            self.at_ends += self.ends(h).sum(dim=0)
        if code.posterior is not None:
            kl = code.posterior.kl_per_component().double().sum(dim=0)
            self.kl = kl if self.kl is None else self.kl + kl
        if self.products is not None:
            self.products += h.t() @ h

    def statistics(self) -> CodeStatistics:
        width, n = len(self.total), max(self.n, 1)
        variance = (self.square / n - (self.total / n).square()).clamp_min(0)
        std = variance.sqrt()
        typical_std = float(variance.mean().sqrt())
        # a smaller std than float32 resolves in numbers of this size is rounding
        varies = self.n > 1 and typical_std > 1e-6 * float((self.square.mean() / n).sqrt())
        dead = ~(std > STILL * typical_std) if varies else torch.ones_like(std).bool()
        covariance = None
        if self.products is not None and varies:
            mean = self.total / n
            covariance = self.products / n - mean[:, None] * mean
        kl = None if self.kl is None else self.kl / n
        l0 = float(self.on.sum() / n)
        bounded = self.ends is not None and self.n > 0
        stuck = (self.at_ends > MOSTLY * n) & ~dead
        return CodeStatistics(
            n_rows=self.n,
            n_components=width,
            dead=_places(dead) if self.n > 1 else None,
            saturated=_places(stuck) if bounded and self.n > 1 else None,
            at_the_ends=float(self.at_ends.mean() / n) if bounded else None,
            duplicates=None if covariance is None else _duplicates(covariance, dead),
            effective_rank=None if covariance is None else effective_rank(covariance),
            kl=None if kl is None else kl.tolist(),
            in_use=None if kl is None else int((kl > IN_USE).sum()),
            l0=l0 if l0 < width else None,
        )


def effective_rank(covariance: Tensor) -> float | None:
    """Return exp(- sum_i p_i log p_i), p the eigenvalues over their sum; None where that is 0."""
    values = torch.linalg.eigvalsh(covariance).clamp_min(0)
    if float(values.sum()) <= 0:
        return None
    p = values / values.sum()
    return math.exp(float(torch.special.entr(p).sum()))


def _duplicates(covariance: Tensor, dead: Tensor) -> list[tuple[int, int]]:
    """Return pairs (unit, first earlier unit that it duplicates)."""
    std = covariance.diagonal().clamp_min(0).sqrt()
    inverse = torch.where(dead, 0.0, 1 / std.clamp_min(torch.finfo(std.dtype).tiny))
    alike = (covariance * inverse[:, None] * inverse).abs().tril(-1) > ALIKE
    later = alike.any(dim=1).nonzero()[:, 0]
    return [(int(unit), int(alike[unit].int().argmax())) for unit in later]


def _places(mask: Tensor) -> list[int]:
    return mask.nonzero()[:, 0].tolist()


class _Ends:
    """Tells which numbers of a bounded code are within 1% of an end."""

    def __init__(self, low: float, high: float, *, lower_counts: bool) -> None:
        margin = AT_THE_END * (high - low)
        self.low, self.high = (low + margin if lower_counts else -math.inf), high - margin

    def __call__(self, h: Tensor) -> Tensor:
        return (h <= self.low) | (h >= self.high)


def _ends_of(model: Model) -> _Ends | None:
    slope = getattr(model.objective.encoder, "code_slope", None)
    sparse = any(isinstance(omega, KLSparsity) for omega in model.objective.penalties)
    for name, (low, high) in _ENDS.items():
        if slope is SLOPES[name]:
            return _Ends(low, high, lower_counts=not sparse)
    return None
