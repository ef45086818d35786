"""Test whether a net only copies its input, by hiding features from it.

An overcomplete net without corruption or penalty can reconstruct every row without having learned
how features depend on each other. It cannot fill in hidden features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from narrows.core.sparse import dense_rows
from narrows.core.weights import fill_missing
from narrows.data.source import Source, evenly_spaced_rows
from narrows.data.statistics import check_finite
from narrows.model.coding import reconstruct_corrupted
from narrows.model.model import Model

__all__ = ["Copying", "measure_copying"]

MAX_ROWS = 4096
MAX_VALUES = 16 << 20
"""Of more rows, or more dense values, evenly spaced rows are used: memory and time stay bounded."""

PARTS = 4
"""A quarter of the features is hidden at a time, until each was hidden once."""

SHARE = 0.5
"""A net that fills in less than this share of the expected variance copies."""

STRUCTURE = 0.05
"""If less than this is expected, the features do not depend on each other: no verdict."""

FLAT = 1e-10
"""A variance below this share of the squared mean is rounding."""


@dataclass(frozen=True)
class Copying:
    """The variance of hidden features that a net fills in, over ``n_rows`` rows.

    A random quarter of the features is set to 0 in scaled units (or to the value nearest to 0 that
    a feature takes), the rows are reconstructed, and the output *at the hidden places* is compared
    with the truth; four times, so that each feature is hidden once:

        filled_in = 1 - sum (g(f(x~)) - x)^2 / sum (mean - x)^2

    A net that copies returns the 0 of its input and scores 0 or less, however well it reconstructs
    clean rows; a net that has learned how features depend on each other scores more, at most 1. The
    expected score is ``linear``, that of a linear guess from the other features, or ``rebuilt`` if
    the code is too narrow for that; a net below half of the smaller of the two copies. Narrow nets
    and PCA pass; denoising nets pass at any width.

    Attributes
    ----------
    filled_in : float or None
        The share above; None if no feature varies.
    linear : float or None
        The same share for a ridge regression of the hidden features on the others, fitted to every
        other row and measured on the rest.
    rebuilt : float or None
        1 - sum (g(f(x)) - x)^2 / sum (mean - x)^2, without hidden features.
    passed_on : float or None
        Share of independent normal noise, with the variances of the features, that appears in the
        output: sum (g(f(x + e)) - g(f(x))) e / sum e^2. 1 for the identity.
    copies : bool or None
        The verdict; None if less than 0.05 is expected.
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
    """Measure how much of hidden features a model fills in, on evenly spaced rows of the source.

    Dense copies of at most ``MAX_ROWS`` rows and ``MAX_VALUES`` values are held. Missing values do
    not count. Cost: 6 reconstructions of those rows and a ridge regression, O(rows^2 features) or
    less.
    """
    x, known = _rows(model, source)
    n_rows, n_features = x.shape
    count = known.sum(dim=0).clamp_min(1)
    mean = ((x * known).double().sum(dim=0) / count).float()
    filled = torch.where(known.bool(), x, mean)
    std = ((filled - mean).double().square().sum(dim=0) / count).sqrt()
    if float(std.square().sum()) <= FLAT * float(mean.double().square().sum()):
        return Copying(n_rows, None, None, None, None)  # only rounding varies
    part = torch.randperm(n_features, generator=generator).to(x.device) % min(PARTS, n_features)
    clean = reconstruct_corrupted(model, x, x)
    shown = torch.zeros_like(mean).clamp(filled.amin(dim=0), filled.amax(dim=0))
    of_mean, of_net, of_clean = x.new_zeros(3, dtype=torch.float64)
    linear = x.new_zeros(2, dtype=torch.float64)
    for i in range(min(PARTS, n_features) if n_features > 1 else 0):
        hidden = part == i
        corrupted = torch.where(hidden, shown, x)
        counted = known[:, hidden]
        truth = x[:, hidden]
        of_clean += _squared(clean[:, hidden], truth, counted)
        of_net += _squared(reconstruct_corrupted(model, corrupted, x)[:, hidden], truth, counted)
        of_mean += _squared(mean[hidden].expand_as(truth), truth, counted)
        linear += _linear_guess(filled - mean, counted, hidden)
    noise = torch.empty(x.shape).normal_(generator=generator).to(x) * std.float() * known
    moved = (reconstruct_corrupted(model, x + noise, x).double() - clean) * noise
    return Copying(
        n_rows=n_rows,
        filled_in=_explained(of_net, of_mean),
        rebuilt=_explained(of_clean, of_mean),
        linear=_explained(linear[0], linear[1]),
        passed_on=_ratio(moved.sum(), noise.double().square().sum()),
    )


def _rows(model: Model, source: Source) -> tuple[Tensor, Tensor]:
    """Return scaled dense rows, missing values filled in, and which are known, 1 or 0."""
    raw = evenly_spaced_rows(source, min(MAX_ROWS, max(2, MAX_VALUES // source.n_features)))
    missing = model.objective.corruption.admits_missing
    check_finite(raw, source, missing=missing)
    x = model.scaling.forward(raw.to(model.device))
    x = dense_rows(x)
    x, known = fill_missing(x, model.objective.corruption)
    assert isinstance(x, Tensor)
    return x, torch.ones_like(x) if known is None else known


def _squared(guess: Tensor, truth: Tensor, known: Tensor) -> Tensor:
    return ((guess.double() - truth).square() * known).sum()


def _linear_guess(centered: Tensor, known: Tensor, hidden: Tensor) -> Tensor:
    """Return the squared errors of ridge regression and of 0 at the hidden places of odd rows."""
    even, odd = centered[::2].double(), centered[1::2].double()
    if len(even) < 2 or not len(odd):
        return centered.new_zeros(2, dtype=torch.float64)
    inputs, targets = even[:, ~hidden], even[:, hidden]
    n, p = inputs.shape
    # as large as the sampling error of a covariance, so that few rows do not make it worse than 0
    strength = (inputs.square().mean() * (n * p) ** 0.5).clamp_min(1e-12)
    if n < p:
        gram = inputs @ inputs.t()
        gram.diagonal().add_(strength)
        weights = inputs.t() @ torch.linalg.solve(gram, targets)
    else:
        gram = inputs.t() @ inputs
        gram.diagonal().add_(strength)
        weights = torch.linalg.solve(gram, inputs.t() @ targets)
    truth, counted = odd[:, hidden], known[1::2]
    guess = odd[:, ~hidden] @ weights
    return torch.stack((_squared(guess, truth, counted), _squared(0 * truth, truth, counted)))


def _explained(error: Tensor, of_mean: Tensor) -> float | None:
    share = _ratio(error, of_mean)
    return None if share is None else 1 - share


def _ratio(a: Tensor, b: Tensor) -> float | None:
    value = float(a) / float(b) if float(b) > 0 else float("nan")
    return value if abs(value) < float("inf") else None
