"""Optimize the code of a row so that it explains the known values and is likely.

Minimizes over e, with h = m + F e:  L(x, g(h)) over the known values + weight |e|^2 / 2.

m and F are those of the Gaussian fitted to the codes (for a variational net, of its prior), so that
|e|^2 / 2 is minus the log density of the code. For L in nats the weight is 1. Squared error is that
of a normal whose variance v is the error per value of held-out rows; there the weight is 2 v.

Bora, Jalal, Price, Dimakis (2017), "Compressed sensing using generative models", ICML.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from narrows.applications.filling.hidden import PartialRows, start
from narrows.losses import Bernoulli, Multinomial, SquaredError
from narrows.model.coding import BATCH, code_of, padded_call
from narrows.model.model import Model

__all__ = ["LatentOptimizer"]

_STEPS = 150
_RATE = 0.1
_STARTS = 2
_POOL = 1024
_NO_SHARE = -1e4
"""Logit that gives a hidden word no share."""


class LatentOptimizer:
    """Optimizes the codes of many rows at once.

    Each row starts from the code of its mean fill, and from the best of 1,024 drawn codes.
    ``prior`` multiplies the weight; 0 ignores the density. Cost for a batch: 2 starts x 150
    forward and backward passes of the decoder.
    """

    def __init__(
        self,
        model: Model,
        generator: Generator,
        *,
        prior: float = 1.0,
        n_steps: int = _STEPS,
        n_starts: int = _STARTS,
    ) -> None:
        self.model = model
        self.generator = generator
        self.n_steps = n_steps
        self.n_starts = n_starts
        self.variance = _variance(model)
        squared = isinstance(model.objective.loss, SquaredError)
        self.weight = prior * (2 * self.variance if squared else 1.0)
        self.mean, self.factor = (part.to(model.device) for part in _gaussian(model))
        self._inverse = torch.linalg.pinv(self.factor)
        # one pool for all rows, so that a row's fill does not depend on other rows
        self._pool = self._normal(self.mean.new_empty(_POOL, self.factor.shape[1]))

    @torch.no_grad()
    def best(self, rows: PartialRows) -> Tensor:
        """Return the output of the decoder at the best code of each row, (rows, n_features)."""
        x = self._scaled(rows)
        begin = [self._encoded(rows)]
        if self.n_starts > 1:
            begin += self._nearest_drawn(x, rows.hidden, self.n_starts - 1)
        n = len(begin)
        e, cost = self._descend(torch.cat(begin), x.repeat(n, 1), rows.hidden.repeat(n, 1))
        at = cost.view(n, -1).argmin(dim=0)
        return self._output(e.view(n, len(x), -1)[at, torch.arange(len(x), device=e.device)])

    @torch.no_grad()
    def drawn(self, rows: PartialRows, n: int) -> Iterator[Tensor]:
        """Yield, n times, the output at a code of each row drawn given its known values.

        By randomized maximum a posteriori: noise is added to the known values and to the center of
        the prior, and the code is optimized again. Exact for a linear g and squared error. For
        proportions only the center gets noise. Bardsley, Solonen, Haario, Laine (2014),
        "Randomize-then-optimize", SIAM J. Sci. Comput. 36.
        """
        scaled, encoded = self._scaled(rows), self._encoded(rows)
        together = max(1, BATCH // len(scaled))
        for first in range(0, n, together):
            copies = min(together, n - first)
            x, begin = scaled.repeat(copies, 1), encoded.repeat(copies, 1)
            noise = self._normal(x)
            if isinstance(self.model.objective.loss, SquaredError):
                x = x + self.variance**0.5 * noise
            elif isinstance(self.model.objective.loss, Bernoulli):
                x = x + (x * (1 - x)).clamp_min(0).sqrt() * noise
            hidden = rows.hidden.repeat(copies, 1)
            anchor = self._normal(begin)
            # without known values this start is the minimum already
            e, _ = self._descend(begin + anchor, x, hidden, anchor)
            yield from self._output(e).split(len(scaled))

    @torch.no_grad()
    def drawn_from_density(self, n_rows: int, n: int) -> Iterator[Tensor]:
        """Yield, n times, the outputs (n_rows, n_features) at codes drawn from the density."""
        for _ in range(n):
            yield self._output(self._normal(self.mean.new_empty(n_rows, self.factor.shape[1])))

    def _descend(
        self, e: Tensor, x: Tensor, hidden: Tensor, anchor: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the e with the smallest cost seen while descending by Adam, and its cost, (rows,).

        Adam treats every number separately, so that rows do not influence each other.
        """
        anchor = torch.zeros_like(e) if anchor is None else anchor
        best, least = e, torch.full((len(e),), torch.inf, device=e.device)
        momentum, square = torch.zeros_like(e), torch.zeros_like(e)
        for step in range(self.n_steps + 1):
            with torch.enable_grad():
                e = e.detach().requires_grad_(True)
                cost = self._cost(e, x, hidden, anchor)
                (gradient,) = torch.autograd.grad(cost.sum(), e)
            e, cost = e.detach(), cost.detach()
            better = cost < least
            best = torch.where(better[:, None], e, best)
            least = torch.where(better, cost, least)
            gradient = gradient.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
            momentum = momentum.lerp(gradient, 0.1)
            square = square.lerp(gradient.square(), 0.01)
            rate = _RATE * 0.5 * (1 + math.cos(math.pi * step / self.n_steps))
            rate *= (1 - 0.99 ** (step + 1)) ** 0.5 / (1 - 0.9 ** (step + 1))
            e = e - rate * momentum / (square.sqrt() + 1e-8)
        return best, least

    def _cost(self, e: Tensor, x: Tensor, hidden: Tensor, anchor: Tensor) -> Tensor:
        output = self._output(e)
        prior = 0.5 * self.weight * (e - anchor).square().sum(dim=1)
        loss: Any = self.model.objective.loss
        if isinstance(loss, Multinomial):
            # condition on the known words: hidden words get no share
            output = output.masked_fill(hidden, _NO_SHARE)
        return loss.per_sample(output, x, (~hidden).to(x.dtype)) + prior

    def _output(self, e: Tensor) -> Tensor:
        h = self.mean + e @ self.factor.t()
        # the gradient passes straight through the projection to bits, codebook or top k
        h = h + (self.model.objective.encoder.project(h) - h).detach()
        return padded_call(self.model.objective.output, h)

    def _scaled(self, rows: PartialRows) -> Tensor:
        x = self.model.scaling.forward(rows.raw)
        assert isinstance(x, Tensor)
        return x.nan_to_num(nan=0.0)

    def _encoded(self, rows: PartialRows) -> Tensor:
        h = code_of(self.model, self.model.scaling.forward(start(self.model, rows))).h
        return (h - self.mean) @ self._inverse.t()

    def _nearest_drawn(self, x: Tensor, hidden: Tensor, n: int) -> list[Tensor]:
        """Return the n drawn codes whose outputs are nearest to the known values of each row."""
        e = self._pool
        means = torch.cat([
            self.model.objective.loss.expectation(self._output(part)) for part in e.split(BATCH)
        ])  # fmt: skip
        known = (~hidden).to(x.dtype)
        known_values = torch.where(hidden, 0.0, x)
        distance = known @ means.square().t() - 2 * known_values @ means.t()
        nearest = distance.topk(n, dim=1, largest=False).indices
        return [e[nearest[:, i]] for i in range(n)]

    def _normal(self, like: Tensor) -> Tensor:
        return torch.empty(like.shape).normal_(generator=self.generator).to(like.device)


def _gaussian(model: Model) -> tuple[Tensor, Tensor]:
    """Return mean (components,) and factor (components, rank) of the Gaussian of the codes."""
    if model.objective.encoder.stochastic or "gaussian" not in model.densities:
        return torch.zeros(model.n_components), torch.eye(model.n_components)
    density = model.densities["gaussian"]
    return density.means[0], density.factors[0]


def _variance(model: Model) -> float:
    """Return the mean squared error of a value of held-out rows, in squared scaled units.

    Without held-out rows it is that of the training rows in the last epoch.
    """
    if model.calibration is not None:
        error = float(model.calibration.mean())
    else:
        epochs = model.record.get("epochs") or [{}]
        error = float(epochs[-1].get("loss") or 0.0)
    return max(error / model.schema.n_features, 1e-6)
