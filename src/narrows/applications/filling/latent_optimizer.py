"""Search in the code: the h that explains what is known of a row, and that codes are like.

Minimizes over e, h = m + F e:  L(x, g(h)) over the known values + weight |e|^2 / 2,

m and F those of the Gaussian fitted to the codes (of a variational net: of its prior), so that
|e|^2 / 2 is minus the logarithm of the code's density. L in nats takes weight 1; squared error is
a normal's with the variance v of a reconstruction, in training and per value, and takes 2 v.

Bora, Jalal, Price, Dimakis (2017), "Compressed sensing using generative models", ICML.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Generator, Tensor

from narrows.applications.filling.hidden import Partial, start
from narrows.losses import Bernoulli, Multinomial, SquaredError
from narrows.model.coding import BATCH, code_of, padded_call
from narrows.model.model import Model

__all__ = ["LatentOptimizer"]

_STEPS = 150
_RATE = 0.1
_STARTS = 2
_POOL = 1024
_NOWHERE = -1e4
"""A logit that leaves a hidden word no share."""


class LatentOptimizer:
    """Searches for many rows at once, each from the code of its mean fill, and from the best of
    1,024 codes that were drawn; ``prior`` multiplies the weight, and 0 leaves the density out.

    Cost: 2 starts x 150 passes of the decoder and back, for a batch.
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
        # one pool for all rows, so that a row's fill does not depend on the others
        self._pool = self._normal(self.mean.new_empty(_POOL, self.factor.shape[1]))

    @torch.no_grad()
    def best(self, rows: Partial) -> Tensor:
        """Return the decoder's output, (rows, n_features), at the best code of each row."""
        x = self._scaled(rows)
        begin = [self._encoded(rows)]
        if self.n_starts > 1:
            begin += self._likeliest_drawn(x, rows.hidden, self.n_starts - 1)
        n = len(begin)
        e, cost = self._descend(torch.cat(begin), x.repeat(n, 1), rows.hidden.repeat(n, 1))
        at = cost.view(n, -1).argmin(dim=0)
        return self._output(e.view(n, len(x), -1)[at, torch.arange(len(x), device=e.device)])

    @torch.no_grad()
    def drawn(self, rows: Partial, n: int) -> Iterator[Tensor]:
        """Yield n times the output at one code of each row, drawn given its known values.

        By randomized maximum a posteriori: the known values and the prior's center are moved by
        a draw of their own noise, and the search is made anew. Exact where g is linear and L
        squared error. Proportions are not moved, but only the center. Bardsley, Solonen, Haario,
        Laine (2014), "Randomize-then-optimize", SIAM J. Sci. Comput. 36.
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
            # where nothing known pulls at e, it is there already
            e, _ = self._descend(begin + anchor, x, hidden, anchor)
            yield from self._output(e).split(len(scaled))

    @torch.no_grad()
    def drawn_alone(self, n_rows: int, n: int) -> Iterator[Tensor]:
        """Yield n times the outputs (n_rows, n_features) at codes drawn from the density alone."""
        for _ in range(n):
            yield self._output(self._normal(self.mean.new_empty(n_rows, self.factor.shape[1])))

    def _descend(
        self, e: Tensor, x: Tensor, hidden: Tensor, anchor: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the e of the least cost on the way down, by Adam, and that cost, (rows,).

        Adam looks at every number alone, so that a row's way does not depend on the others'.
        """
        anchor = torch.zeros_like(e) if anchor is None else anchor
        best, least = e, torch.full((len(e),), torch.inf, device=e.device)
        speed, square = torch.zeros_like(e), torch.zeros_like(e)
        for step in range(self.n_steps + 1):
            with torch.enable_grad():
                e = e.detach().requires_grad_(True)
                cost = self._cost(e, x, hidden, anchor)
                (slope,) = torch.autograd.grad(cost.sum(), e)
            e, cost = e.detach(), cost.detach()
            better = cost < least
            best = torch.where(better[:, None], e, best)
            least = torch.where(better, cost, least)
            slope = slope.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
            speed = speed.lerp(slope, 0.1)
            square = square.lerp(slope.square(), 0.01)
            rate = _RATE * 0.5 * (1 + math.cos(math.pi * step / self.n_steps))
            rate *= (1 - 0.99 ** (step + 1)) ** 0.5 / (1 - 0.9 ** (step + 1))
            e = e - rate * speed / (square.sqrt() + 1e-8)
        return best, least

    def _cost(self, e: Tensor, x: Tensor, hidden: Tensor, anchor: Tensor) -> Tensor:
        output = self._output(e)
        prior = 0.5 * self.weight * (e - anchor).square().sum(dim=1)
        loss: Any = self.model.objective.loss
        if isinstance(loss, Multinomial):
            # given that a word is a known one: hidden ones take no share of it
            output = output.masked_fill(hidden, _NOWHERE)
        return loss.per_sample(output, x, (~hidden).to(x.dtype)) + prior

    def _output(self, e: Tensor) -> Tensor:
        h = self.mean + e @ self.factor.t()
        # codes that are bits, entries or the k largest: the gradient passes as if they were not
        h = h + (self.model.objective.encoder.project(h) - h).detach()
        return padded_call(self.model.objective.output, h)

    def _scaled(self, rows: Partial) -> Tensor:
        x = self.model.scaling.forward(rows.raw)
        assert isinstance(x, Tensor)
        return x.nan_to_num(nan=0.0)

    def _encoded(self, rows: Partial) -> Tensor:
        h = code_of(self.model, self.model.scaling.forward(start(self.model, rows))).h
        return (h - self.mean) @ self._inverse.t()

    def _likeliest_drawn(self, x: Tensor, hidden: Tensor, n: int) -> list[Tensor]:
        """Return, n times, of 1,024 drawn codes the next best for each row's known values."""
        e = self._pool
        means = torch.cat([
            self.model.objective.loss.expectation(self._output(part)) for part in e.split(BATCH)
        ])  # fmt: skip
        known = (~hidden).to(x.dtype)
        seen = torch.where(hidden, 0.0, x)
        distance = known @ means.square().t() - 2 * seen @ means.t()
        nearest = distance.topk(n, dim=1, largest=False).indices
        return [e[nearest[:, i]] for i in range(n)]

    def _normal(self, like: Tensor) -> Tensor:
        return torch.empty(like.shape).normal_(generator=self.generator).to(like.device)


def _gaussian(model: Model) -> tuple[Tensor, Tensor]:
    """Return mean (components,) and factor (components, rank) of the codes' density."""
    if model.objective.encoder.stochastic or "gaussian" not in model.densities:
        return torch.zeros(model.n_components), torch.eye(model.n_components)
    density = model.densities["gaussian"]
    return density.means[0], density.factors[0]


def _variance(model: Model) -> float:
    """Return the mean squared error of a value in training, in squared scaled units."""
    epochs = model.record.get("epochs") or [{}]
    loss = epochs[-1].get("loss")
    return max(float(loss or 0.0) / model.schema.n_features, 1e-6)
