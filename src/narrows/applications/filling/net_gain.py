"""Find out on hidden cells what a net adds to a linear fill.

The net reads rows whose missing cells hold the linear fill, and is trained on pairs: copies of the
rows with more cells hidden, and the rows themselves. Its answer is

    fill = linear + w ( g(f(linear)) - linear )

with the weight w, and the choice whether to use it at all, from rows that it was not trained on.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from narrows.applications.filling.linear_fill import LinearFill, hide_cells

__all__ = ["Copies", "NetGain", "hidden_copies", "promises_gain", "weighted_gain"]

_HELD_OUT = 0.2
_LEAST, _MOST = 0.1, 0.5
"""Bounds of the share of known cells that is hidden in a copy."""

_FEWEST_ROWS = 100
_COPIED_ROWS = 8_000
_MOST_COPIES = 8
_MOST_ROWS = 10_000
_LARGEST_WEIGHT = 2.0

_FEATURES = 256
_RIDGE = 30.0
_FAR = 4.0
_STEEP = 1.5
_WORTHWHILE = 0.02
"""A net is trained for at least this share of the linear fill's squared error."""


@dataclass(frozen=True)
class Copies:
    """Copies of scaled rows in which known cells were hidden.

    ``filled`` (rows, features) holds the linear fill in hidden and in missing cells, ``clean`` the
    linear fill in missing cells only, float64. ``hidden`` says which known cells were hidden, and
    ``held_out`` (rows,) which copies are of rows that measure the gain. The ``n_copies`` of all
    rows follow each other.
    """

    filled: Tensor
    clean: Tensor
    hidden: Tensor
    held_out: Tensor
    n_copies: int

    @property
    def training(self) -> tuple[Tensor, Tensor]:
        """The corrupted and the clean rows to train on."""
        return self.filled[~self.held_out], self.clean[~self.held_out]


@dataclass(frozen=True)
class NetGain:
    """What a correction adds to a linear fill, on hidden cells of held-out rows.

    Attributes
    ----------
    weight : float
        The w that fills in best, between 0 and 2.
    linear_error, error : float
        Root mean squared error of a hidden cell, in standard deviations, without and with it.
    gain, standard_error : float
        By how much the squared error of a cell falls, and the standard error over the rows.
    """

    weight: float
    linear_error: float
    error: float
    gain: float
    standard_error: float

    @property
    def certain(self) -> bool:
        """Whether the gain is larger than its standard error."""
        return self.gain > self.standard_error

    @property
    def worthwhile(self) -> bool:
        """Whether the gain is certain, and large enough to spend time on."""
        return self.certain and self.gain > _WORTHWHILE * self.linear_error**2


def hidden_copies(fill: LinearFill, z: Tensor, *, generator: Generator) -> Copies | None:
    """Return copies of scaled rows z (rows, features) with NaN; None if there are too few rows."""
    if len(z) < _FEWEST_ROWS or z.shape[1] < 2 or fill.model is None:
        return None
    z = z[torch.randperm(len(z), generator=generator)[:_MOST_ROWS]]
    held_out = torch.arange(len(z)) < _HELD_OUT * len(z)
    n_copies = min(_MOST_COPIES, max(1, _COPIED_ROWS // len(z)))
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for _ in range(n_copies):
        draws = torch.rand(len(z), 1, generator=generator, dtype=torch.float64)
        hidden = hide_cells(z, _LEAST + (_MOST - _LEAST) * draws, generator=generator)
        filled = fill.fill(z.masked_fill(hidden, torch.nan))
        parts.append((filled, torch.where(z.isnan(), filled, z), hidden))
    filled, clean, hidden = (torch.cat(part) for part in zip(*parts, strict=True))
    return Copies(filled, clean, hidden, held_out.repeat(n_copies), n_copies)


def promises_gain(copies: Copies, *, generator: Generator) -> NetGain:
    """Measure a correction that takes no training, a ridge regression on random units.

    Where it gains nothing, a net has not been seen to gain more than it by much; it costs less
    than a tenth of a net. Cost: O(rows x units x (features + units)).

    Rahimi, Recht (2008), "Weighted sums of random kitchen sinks", NIPS 21.
    """
    n_features = copies.filled.shape[1]
    weights = torch.randn(n_features, _FEATURES, generator=generator, dtype=torch.float64)
    biases = torch.randn(_FEATURES, generator=generator, dtype=torch.float64)
    inputs = copies.filled.clamp(-_FAR, _FAR) @ (weights * _STEEP / n_features**0.5) + biases
    units = torch.nn.functional.silu(inputs)
    units = torch.cat([units, torch.ones_like(units[:, :1])], dim=1)
    train = units[~copies.held_out]
    target = (copies.clean - copies.filled)[~copies.held_out]
    gram = train.t() @ train + _RIDGE * torch.eye(_FEATURES + 1, dtype=torch.float64)
    solved = torch.linalg.solve(gram, train.t() @ target)
    return weighted_gain(copies, units[copies.held_out] @ solved, largest=2 * _LARGEST_WEIGHT)


def weighted_gain(
    copies: Copies, correction: Tensor, *, largest: float = _LARGEST_WEIGHT
) -> NetGain:
    """Weigh a correction of the held-out copies, (held-out rows, features), by least squares."""
    hidden = copies.hidden[copies.held_out]
    wanted = (copies.clean - copies.filled)[copies.held_out].masked_fill(~hidden, 0.0)
    correction = correction.double().masked_fill(~hidden, 0.0)
    length = float(correction.square().sum())
    weight = float((wanted * correction).sum()) / length if length > 0 else 0.0
    weight = min(max(weight, 0.0), largest)
    before = wanted.square().sum(dim=1)
    after = (wanted - weight * correction).square().sum(dim=1)
    n_hidden = max(int(hidden.sum()), 1)
    # the copies of a row are not independent: their gains are added first
    gains = (before - after).view(copies.n_copies, -1).sum(dim=0)
    n_rows = len(gains)
    return NetGain(
        weight=weight,
        linear_error=(float(before.sum()) / n_hidden) ** 0.5,
        error=(float(after.sum()) / n_hidden) ** 0.5,
        gain=float(gains.sum()) / n_hidden,
        standard_error=float(gains.std()) * n_rows**0.5 / n_hidden if n_rows > 1 else 0.0,
    )
