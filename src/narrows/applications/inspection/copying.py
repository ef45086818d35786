"""The copying test: does a net know what belongs where, or only pass its input on?

An overcomplete net without corruption or penalty can rebuild every row and know nothing of the
data. What it lacks shows where something is hidden from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from narrows.core.slots import dense_rows
from narrows.core.terms import fill_missing
from narrows.data.source import Source
from narrows.data.statistics import check_finite
from narrows.model.coding import reconstruct_corrupted
from narrows.model.model import Model

__all__ = ["Copying", "measure_copying"]

MAX_ROWS = 4096
MAX_VALUES = 16 << 20
"""More rows, or more dense values, than this are thinned evenly: memory and time stay bounded."""

PARTS = 4
"""Each row is asked for a quarter of its features at a time, until it was asked for all."""

SHARE = 0.5
"""A net that fills in less than this share of what could be expected of it is a copier."""

STRUCTURE = 0.05
"""Where no more than this could be expected, there is nothing to know."""

FLAT = 1e-10
"""A variance below this share of the squared mean is rounding."""


@dataclass(frozen=True)
class Copying:
    """What a net fills in where features are hidden, over ``n_rows`` rows.

    A quarter of the features, drawn at random, is put at 0 in scaled units (at the value next to
    0 that a feature takes), the rows go through the code and back, and what comes out *at the
    hidden places* is held against the truth; four times, so that each is hidden once:

        filled_in = 1 - sum (g(f(x~)) - x)^2 / sum (mean - x)^2

    A net that copies gives back the 0 that it was shown and gets 0 or less, however well it
    rebuilds clean rows; one that knows how features go together gets more, at most 1. What can be
    expected of it is ``linear``, what a simple guess from the other features knows, or
    ``rebuilt`` where the code is too narrow for that much: below half of the smaller one, the net
    is called a copier. Narrow nets, PCA's too, pass; denoising nets pass at any width.

    Attributes
    ----------
    filled_in : float or None
        The share above; None where nothing varies.
    linear : float or None
        The same of a ridge regression of the hidden features on the others, fitted on every
        other row and measured on the rest.
    rebuilt : float or None
        1 - sum (g(f(x)) - x)^2 / sum (mean - x)^2, with nothing hidden.
    passed_on : float or None
        Share of an independent disturbance of all features, normal and as wide as they spread,
        that comes out again: sum (g(f(x + e)) - g(f(x))) e / sum e^2. 1 for the identity.
    copies : bool or None
        The verdict; None where less than 0.05 can be expected, so that there is nothing to know.
    """

    n_rows: int
    filled_in: float | None
    linear: float | None
    rebuilt: float | None
    passed_on: float | None

    @property
    def copies(self) -> bool | None:
        if self.filled_in is None or self.linear is None or self.rebuilt is None:
            return None
        expected = min(self.linear, self.rebuilt)
        return self.filled_in < SHARE * expected if expected >= STRUCTURE else None


@torch.no_grad()
def measure_copying(model: Model, source: Source, *, generator: Generator) -> Copying:
    """Return how much of what is hidden the model fills in, on rows spread through the source.

    Dense copies of at most ``MAX_ROWS`` rows and ``MAX_VALUES`` values are held. Missing values
    are asked for nowhere. Cost: 6 reconstructions of those rows and a ridge regression, O(rows^2
    features) or less.
    """
    x, known = _rows(model, source)
    n_rows, n_features = x.shape
    count = known.sum(dim=0).clamp_min(1)
    mean = ((x * known).double().sum(dim=0) / count).float()
    filled = torch.where(known.bool(), x, mean)
    spread = ((filled - mean).double().square().sum(dim=0) / count).sqrt()
    if float(spread.square().sum()) <= FLAT * float(mean.double().square().sum()):
        return Copying(n_rows, None, None, None, None)  # rounding is no spread
    part = torch.randperm(n_features, generator=generator).to(x.device) % min(PARTS, n_features)
    clean = reconstruct_corrupted(model, x, x)
    shown = torch.zeros_like(mean).clamp(filled.amin(dim=0), filled.amax(dim=0))
    of_mean, of_net, of_clean = x.new_zeros(3, dtype=torch.float64)
    linear = x.new_zeros(2, dtype=torch.float64)
    for i in range(min(PARTS, n_features) if n_features > 1 else 0):
        hidden = part == i
        corrupted = torch.where(hidden, shown, x)
        asked = known[:, hidden]
        truth = x[:, hidden]
        of_clean += _squared(clean[:, hidden], truth, asked)
        of_net += _squared(reconstruct_corrupted(model, corrupted, x)[:, hidden], truth, asked)
        of_mean += _squared(mean[hidden].expand_as(truth), truth, asked)
        linear += _linear_guess(filled - mean, asked, hidden)
    noise = torch.empty(x.shape).normal_(generator=generator).to(x) * spread.float() * known
    moved = (reconstruct_corrupted(model, x + noise, x).double() - clean) * noise
    return Copying(
        n_rows=n_rows,
        filled_in=_explained(of_net, of_mean),
        rebuilt=_explained(of_clean, of_mean),
        linear=_explained(linear[0], linear[1]),
        passed_on=_ratio(moved.sum(), noise.double().square().sum()),
    )


def _rows(model: Model, source: Source) -> tuple[Tensor, Tensor]:
    """Return scaled dense rows, 0 where missing, and 1 where known, 0 where not."""
    raw = source.evenly(min(MAX_ROWS, max(2, MAX_VALUES // source.n_features)))
    missing = model.objective.corruption.admits_missing
    check_finite(raw, source, missing=missing)
    x = model.scaling.forward(raw.to(model.device))
    x = dense_rows(x)
    x, known = fill_missing(x, model.objective.corruption)
    assert isinstance(x, Tensor)
    return x, torch.ones_like(x) if known is None else known


def _squared(guess: Tensor, truth: Tensor, asked: Tensor) -> Tensor:
    return ((guess.double() - truth).square() * asked).sum()


def _linear_guess(centered: Tensor, asked: Tensor, hidden: Tensor) -> Tensor:
    """Return the squared errors of ridge regression and of 0 at the hidden places of odd rows."""
    even, odd = centered[::2].double(), centered[1::2].double()
    if len(even) < 2 or not len(odd):
        return centered.new_zeros(2, dtype=torch.float64)
    given, wanted = even[:, ~hidden], even[:, hidden]
    n, p = given.shape
    # as large as the sampling error of a covariance: no row too few makes the guess worse than 0
    strength = (given.square().mean() * (n * p) ** 0.5).clamp_min(1e-12)
    if n < p:
        gram = given @ given.t()
        gram.diagonal().add_(strength)
        weights = given.t() @ torch.linalg.solve(gram, wanted)
    else:
        gram = given.t() @ given
        gram.diagonal().add_(strength)
        weights = torch.linalg.solve(gram, given.t() @ wanted)
    truth, counted = odd[:, hidden], asked[1::2]
    guess = odd[:, ~hidden] @ weights
    return torch.stack((_squared(guess, truth, counted), _squared(0 * truth, truth, counted)))


def _explained(error: Tensor, of_mean: Tensor) -> float | None:
    share = _ratio(error, of_mean)
    return None if share is None else 1 - share


def _ratio(a: Tensor, b: Tensor) -> float | None:
    value = float(a) / float(b) if float(b) > 0 else float("nan")
    return value if abs(value) < float("inf") else None
