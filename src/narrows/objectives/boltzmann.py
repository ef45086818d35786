"""Restricted Boltzmann machine: one layer of features, learned by contrastive divergence.

    E(v, h) = -v b - h c - v W h,     v and h in {0, 1}
    Gaussian units put |v - b|^2 / 2 in the place of -v b, |h - c|^2 / 2 in the place of -h c.
    Multinomial visible units are a softmax over all of them, drawn as often as v adds up to.

Hinton (2002), "Training products of experts by minimizing contrastive divergence", Neural
Computation 14; Tieleman (2008), "Training restricted Boltzmann machines using approximations to
the likelihood gradient", ICML; Hinton (2012), "A practical guide to training restricted Boltzmann
machines"; Salakhutdinov, Hinton (2009), "Replicated softmax: an undirected topic model", NIPS.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from narrows._types import Batch, Codes, PerSample
from narrows.core.checks import check_number
from narrows.core.linear_kernels import affine
from narrows.core.slots import Rows, SparseRows, dense_rows
from narrows.core.terms import Terms, Trainable, mean_over_rows
from narrows.encoders.dense import affine_rows
from narrows.errors import UsageError

__all__ = ["RestrictedBoltzmannMachine"]

_KINDS = ("bernoulli", "gaussian")
_VISIBLE = (*_KINDS, "multinomial")


class RestrictedBoltzmannMachine(Trainable):
    """p(v, h) = exp(-E(v, h)) / Z, trained as an objective is: by its gradient.

    A step minimizes F(v) - F(v'), F the free energy -log sum_h exp(-E(v, h)) in nats, v a row and
    v' where ``steps`` Gibbs steps have taken it, held fixed: the gradient of that difference is
    the update of contrastive divergence, positive statistics less negative ones. The total is no
    likelihood and falls towards 0 from either side; ``error`` is the one to watch.

    Parameters
    ----------
    n_visible, n_hidden : int
    visible : {"bernoulli", "gaussian", "multinomial"}
        Values in [0, 1], standardized ones (unit variance is assumed), or amounts of words: these
        stay means in a chain, also in a persistent one.
    hidden : {"bernoulli", "gaussian"}
        Logistic units, or linear ones with unit-variance noise, as in a code layer.
    steps : int
        k of CD-k. Rows start the chain, and its visible values are means: less noise, same mean.
    persistent : bool
        PCD: ``n_chains`` chains go on from step to step, drawn all the way, whatever the rows.
    generator : torch.Generator
        Draws the initial weights, normal with deviation 0.01.

    Raises
    ------
    UsageError
        If a number is out of range, or visible and hidden units are both Gaussian: their energy
        has no lower bound where a singular value of W passes 1.
    """

    chains: Tensor

    def __init__(
        self,
        n_visible: int,
        n_hidden: int,
        *,
        visible: str = "bernoulli",
        hidden: str = "bernoulli",
        steps: int = 1,
        persistent: bool = False,
        n_chains: int = 100,
        generator: Generator,
    ) -> None:
        super().__init__()
        check_number("RBM: steps", steps, low=1, integer=True)
        if visible not in _VISIBLE or hidden not in _KINDS or visible == hidden == "gaussian":
            raise UsageError(
                f"RBM: units are 'bernoulli' or 'gaussian', at most one side Gaussian, or visible "
                f"ones 'multinomial', got visible={visible!r} and hidden={hidden!r}."
            )
        self.visible, self.hidden = visible, hidden
        self.steps, self.persistent = steps, persistent
        weight = torch.empty(n_visible, n_hidden).normal_(std=0.01, generator=generator)
        self.weight = nn.Parameter(weight)
        self.visible_bias = nn.Parameter(torch.zeros(n_visible))
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        # a buffer, so that a resumed training goes on with the same chains
        start = torch.rand(n_chains if persistent else 0, n_visible, generator=generator)
        self.register_buffer("chains", start.round())

    @torch.no_grad()
    def start_at(self, mean: Tensor) -> None:
        """Set the visible biases so that, without hidden units, the model says the mean."""
        if self.visible == "bernoulli":
            mean = torch.logit(mean, eps=1e-3)
        elif self.visible == "multinomial":
            mean = mean.clamp_min(1e-6).log()
        self.visible_bias.copy_(mean)

    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        """Return F(v) - F(v') of a batch as an objective's terms.

        Where v' are chains that are kept, they are samples of the model, and all weigh alike.
        """
        after = self._walk(x, generator)
        if isinstance(x, SparseRows):
            of_rows, of_samples = self.free_energy(x), self.free_energy(after)
        else:
            # both at once: their statistics then cancel in one product, before any rounding
            both = self.free_energy(torch.cat([x, after]))
            of_rows, of_samples = both[: len(x)], both[len(x) :]
        walked = None if self.persistent else weights
        total = mean_over_rows(of_rows, weights) - mean_over_rows(of_samples, walked)
        return Terms(total=total, loss=total, penalty=total.new_zeros(()))

    def free_energy(self, v: Rows) -> PerSample:
        """Return F(v) = -log sum_h exp(-E(v, h)) (an integral where h is Gaussian), in nats.

        For Gaussian h the constant is left out.
        """
        if self.hidden == "bernoulli":
            preactivation = affine_rows(v, self.weight, self.hidden_bias).float()
            of_hidden = F.softplus(preactivation).sum(dim=1)
        else:
            a = affine_rows(v, self.weight, torch.zeros_like(self.hidden_bias)).float()
            of_hidden = (self.hidden_bias * a + a.square() / 2).sum(dim=1)
        if self.visible == "gaussian":
            return (dense_rows(v) - self.visible_bias).square().sum(dim=1) / 2 - of_hidden
        return -_product(v, self.visible_bias) - of_hidden

    def hidden_mean(self, v: Rows) -> Codes:
        """Return E[h | v], (batch, n_hidden)."""
        preactivation = affine_rows(v, self.weight, self.hidden_bias).float()
        return preactivation.sigmoid() if self.hidden == "bernoulli" else preactivation

    def visible_mean(self, h: Codes, v: Rows | None = None) -> Batch:
        """Return E[v | h], (batch, n_visible); of words as many as there are in ``v``."""
        preactivation = affine(h, self.weight, self.visible_bias, transposed=True).float()
        if self.visible == "multinomial":
            assert v is not None
            total = v.row_sums() if isinstance(v, SparseRows) else v.sum(dim=1)
            return preactivation.softmax(dim=1) * total[:, None]
        return preactivation.sigmoid() if self.visible == "bernoulli" else preactivation

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        """Return |v - E[v | E[h | v]]|^2 per row: a mean-field reconstruction."""
        return (dense_rows(x) - self.visible_mean(self.hidden_mean(x), x)).square().sum(dim=1)

    @torch.no_grad()
    def _walk(self, x: Rows, generator: Generator) -> Batch:
        """Return where Gibbs steps lead: from the rows themselves, or from the kept chains."""
        v: Any = self.chains if self.persistent else x
        for _ in range(self.steps):
            h = self._draw(self.hidden_mean(v), self.hidden, generator)
            v = self.visible_mean(h, v)
            if self.persistent and self.visible != "multinomial":
                v = self._draw(v, self.visible, generator)
        if self.persistent:
            self.chains.copy_(v)
        return v

    @staticmethod
    def _draw(mean: Tensor, kind: str, generator: Generator) -> Tensor:
        if kind == "bernoulli":
            # a training that has diverged is the loop's to notice, not a fault of the draw
            return torch.bernoulli(mean.nan_to_num(0.5), generator=generator)
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + noise


def _product(x: Rows, vector: Tensor) -> PerSample:
    if isinstance(x, SparseRows):
        return x.matmul(vector[:, None])[:, 0]
    return x @ vector
