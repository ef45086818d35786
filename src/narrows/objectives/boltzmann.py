"""Restricted Boltzmann machine: one layer of features, learned by contrastive divergence.

    E(v, h) = -v b - h c - v W h,     v and h in {0, 1}
    Gaussian units have |v - b|^2 / 2 instead of -v b, and |h - c|^2 / 2 instead of -h c.
    Multinomial visible units are a softmax over all of them, with sum(v) draws.

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
from narrows.core.sparse import Rows, SparseRows, dense_rows
from narrows.core.terms import Terms, Trainable
from narrows.core.weights import mean_over_rows
from narrows.encoders.dense import affine_rows
from narrows.errors import UsageError

__all__ = ["RestrictedBoltzmannMachine"]

_KINDS = ("bernoulli", "gaussian")
_VISIBLE = (*_KINDS, "multinomial")


class RestrictedBoltzmannMachine(Trainable):
    """p(v, h) = exp(-E(v, h)) / Z, trained by the gradient of an objective.

    A step minimizes F(v) - F(v'), with the free energy F(v) = -log sum_h exp(-E(v, h)) in nats, v a
    row, and v' its state after ``steps`` Gibbs steps, held fixed. The gradient of this difference
    is the update of contrastive divergence, positive minus negative statistics. The total is not a
    likelihood, and tends to 0 from either side; monitor ``error`` instead.

    Parameters
    ----------
    n_visible, n_hidden : int
    visible : {"bernoulli", "gaussian", "multinomial"}
        Values in [0, 1], standardized values (of unit variance), or word counts, for which chains
        keep the means instead of draws.
    hidden : {"bernoulli", "gaussian"}
        Logistic units, or linear units with noise of unit variance, as in a code layer.
    steps : int
        k of CD-k. Chains start at the rows, and their visible values are means, which are less
        noisy than draws.
    persistent : bool
        PCD: ``n_chains`` chains continue from step to step, with visible values drawn, whatever
        the rows.
    generator : torch.Generator
        Draws the initial weights, normal with standard deviation 0.01.

    Raises
    ------
    UsageError
        If a number is out of range, or visible and hidden units are both Gaussian: then the energy
        has no lower bound once a singular value of W exceeds 1.

    Examples
    --------
    >>> generator = Generator().manual_seed(0)
    >>> rbm = RestrictedBoltzmannMachine(6, 3, generator=generator)
    >>> x = torch.bernoulli(torch.full((5, 6), 0.5), generator=generator)
    >>> rbm.hidden_mean(x).shape
    torch.Size([5, 3])
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
        # a buffer, so that a resumed training continues the same chains
        start = torch.rand(n_chains if persistent else 0, n_visible, generator=generator)
        self.register_buffer("chains", start.round())

    @torch.no_grad()
    def start_at(self, mean: Tensor) -> None:
        """Set the visible biases so that the model without hidden units outputs the mean."""
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
        """Return F(v) - F(v') of a batch as terms.

        Persistent chains are samples of the model, so ``weights`` do not apply to them.
        """
        after = self._walk(x, generator)
        if isinstance(x, SparseRows):
            at_rows, at_samples = self.free_energy(x), self.free_energy(after)
        else:
            # in one product, so that their statistics cancel before any rounding
            both = self.free_energy(torch.cat([x, after]))
            at_rows, at_samples = both[: len(x)], both[len(x) :]
        sample_weights = None if self.persistent else weights
        total = mean_over_rows(at_rows, weights) - mean_over_rows(at_samples, sample_weights)
        return Terms(total=total, loss=total, penalty=total.new_zeros(()))

    def free_energy(self, v: Rows) -> PerSample:
        """Return F(v) = -log sum_h exp(-E(v, h)), in nats.

        For Gaussian h it is an integral, without its constant.
        """
        if self.hidden == "bernoulli":
            preactivation = affine_rows(v, self.weight, self.hidden_bias).float()
            hidden_part = F.softplus(preactivation).sum(dim=1)
        else:
            a = affine_rows(v, self.weight, torch.zeros_like(self.hidden_bias)).float()
            hidden_part = (self.hidden_bias * a + a.square() / 2).sum(dim=1)
        if self.visible == "gaussian":
            return (dense_rows(v) - self.visible_bias).square().sum(dim=1) / 2 - hidden_part
        return -_product(v, self.visible_bias) - hidden_part

    def hidden_mean(self, v: Rows) -> Codes:
        """Return E[h | v], (batch, n_hidden)."""
        preactivation = affine_rows(v, self.weight, self.hidden_bias).float()
        return preactivation.sigmoid() if self.hidden == "bernoulli" else preactivation

    def visible_mean(self, h: Codes, v: Rows | None = None) -> Batch:
        """Return E[v | h], (batch, n_visible); for words, with the row totals of ``v``."""
        preactivation = affine(h, self.weight, self.visible_bias, transposed=True).float()
        if self.visible == "multinomial":
            assert v is not None
            total = v.row_sums() if isinstance(v, SparseRows) else v.sum(dim=1)
            return preactivation.softmax(dim=1) * total[:, None]
        return preactivation.sigmoid() if self.visible == "bernoulli" else preactivation

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        """Return |v - E[v | E[h | v]]|^2 per row, the error of a mean-field reconstruction."""
        return (dense_rows(x) - self.visible_mean(self.hidden_mean(x), x)).square().sum(dim=1)

    @torch.no_grad()
    def _walk(self, x: Rows, generator: Generator) -> Batch:
        """Run Gibbs steps from the rows, or from the persistent chains; return the last state."""
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
            # the loop detects divergence; a NaN must not fail the draw first
            return torch.bernoulli(mean.nan_to_num(0.5), generator=generator)
        noise = torch.empty_like(mean).normal_(generator=generator)
        return mean + noise


def _product(x: Rows, vector: Tensor) -> PerSample:
    if isinstance(x, SparseRows):
        return x.matmul(vector[:, None])[:, 0]
    return x @ vector
