"""Search in the code: the h that explains what is known of a row, and that codes are like.

Minimises over e, h = m + F e:  L(x, g(h)) over the known values + weight |e|^2 / 2,

m and F those of the Gaussian fitted to the codes (of a variational net: of its prior), so that
|e|^2 / 2 is minus the logarithm of the code's density. L in nats takes weight 1; squared error is
a normal's with the variance v of a reconstruction, in training and per value, and takes 2 v.

Bora, Jalal, Price, Dimakis (2017), "Compressed sensing using generative models", ICML.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor

from narrows.applications.coding import BATCH, whole_vectors
from narrows.applications.hidden import Partial, start
from narrows.losses import Bernoulli, Multinomial, SquaredError
from narrows.model import Model

__all__ = ["CodeSearch"]

_STEPS = 150
_RATE = 0.1
_STARTS = 2
_POOL = 1024
_NOWHERE = -1e4
"""A logit that leaves a hidden word no share."""


class CodeSearch:
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

    def best(self, rows: Partial) -> Tensor:
        """Return the decoder's output, (rows, n_features), at the best code of each row."""
        x = self._scaled(rows)
        begin = [self._encoded(rows)]
        if self.n_starts > 1:
            begin += self._likeliest_drawn(x, rows.hidden, self.n_starts - 1)
        found, costs = [], []
        for e in begin:
            e, cost = self._descend(e, x, rows.hidden, torch.zeros_like(e))
            found.append(e)
            costs.append(cost)
        at = torch.stack(costs).argmin(dim=0)
        e = torch.stack(found)[at, torch.arange(len(at), device=at.device)]
        return self._output(e)

    def drawn(self, rows: Partial) -> Tensor:
        """Return the output at one code of each row, drawn given its known values.

        By randomised maximum a posteriori: the known values and the prior's centre are moved by
        a draw of their own noise, and the search is made anew. Exact where g is linear and L
        squared error. Proportions are not moved, but only the centre. Bardsley, Solonen, Haario,
        Laine (2014), "Randomize-then-optimize", SIAM J. Sci. Comput. 36.
        """
        x = self._scaled(rows)
        noise = self._normal(x)
        if isinstance(self.model.objective.loss, SquaredError):
            x = x + self.variance**0.5 * noise
        elif isinstance(self.model.objective.loss, Bernoulli):
            x = x + (x * (1 - x)).clamp_min(0).sqrt() * noise
        begin = self._encoded(rows)
        e, _ = self._descend(begin, x, rows.hidden, self._normal(begin))
        return self._output(e)

    def _descend(
        self, e: Tensor, x: Tensor, hidden: Tensor, anchor: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the e of the least cost that was met on the way down, and that cost, (rows,)."""
        best, least = e, torch.full((len(e),), torch.inf, device=e.device)
        e = e.clone().requires_grad_(True)
        optimizer = torch.optim.Adam([e], lr=_RATE, betas=(0.9, 0.99))
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.n_steps)
        for _ in range(self.n_steps):
            with torch.enable_grad():
                cost = self._cost(e, x, hidden, anchor)
                (gradient,) = torch.autograd.grad(cost.sum(), e)
            better = cost.detach() < least
            best = torch.where(better[:, None], e.detach(), best)
            least = torch.where(better, cost.detach(), least)
            e.grad = gradient.nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
            optimizer.step()
            fall.step()
        cost = self._cost(e.detach(), x, hidden, anchor)
        better = cost < least
        return torch.where(better[:, None], e.detach(), best), torch.where(better, cost, least)

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
        h = h + (self.model.objective.encoder.admissible(h) - h).detach()
        return self.model.objective.decoder(whole_vectors(h))[: len(h)].float()

    def _scaled(self, rows: Partial) -> Tensor:
        x = self.model.scaling.forward(rows.raw)
        assert isinstance(x, Tensor)
        return x.nan_to_num(nan=0.0)

    def _encoded(self, rows: Partial) -> Tensor:
        x = whole_vectors(self.model.scaling.forward(start(self.model, rows)))
        h = self.model.objective.encode(x).h[: len(rows.raw)]
        return (h - self.mean) @ self._inverse.t()

    def _likeliest_drawn(self, x: Tensor, hidden: Tensor, n: int) -> list[Tensor]:
        """Return, n times, of 1,024 drawn codes the next best for each row's known values."""
        e = self._normal(x.new_empty(_POOL, self.factor.shape[1]))
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
