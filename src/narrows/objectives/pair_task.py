"""Predict whether two rows are the same thing from the distance of their embeddings.

    p(same | x, x') = sigma( a - b |e - e'|^2 ),   e = c(h) / |c(h)|,   b > 0

It is symmetric, and no row is more likely to be the same as x than x itself.

Chopra, Hadsell, LeCun (2005), "Learning a similarity metric discriminatively", CVPR (two copies of
one net, trained by a loss of the distance between their outputs).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from narrows._types import PerSample, Scalar
from narrows.core.sparse import Rows
from narrows.objectives.code_task import FeatureTask, Head

__all__ = ["PairTask"]


class PairTask(FeatureTask):
    """Cross-entropy of pairs, in nats; same and different pairs count one half each.

    Pairs are all those within a batch whose classes y are known (y >= 0), at a cost of
    O(batch^2 x width). If pairs are ``given``, a batch holds the first rows of all pairs and then
    the second ones, and y is 1 where they are the same, else 0.

    ``slope`` (b = e^slope) and ``intercept`` (a) train with the head and are then dropped: the
    probabilities that users get are calibrated on held-out pairs.
    """

    def __init__(self, head: Head, *, given: bool = False, dropout: float = 0.0) -> None:
        super().__init__(head, dropout=dropout)
        self.given = given
        self.slope = nn.Parameter(torch.tensor([0.7]))
        self.intercept = nn.Parameter(torch.tensor([2.0]))

    def loss(
        self,
        features: Tensor,
        y: Tensor,
        *,
        noise: Callable[[Tensor], Tensor] | None = None,
        weights: Tensor | None = None,
    ) -> Scalar:
        assert weights is None  # rows have weights, pairs do not
        errors, same, different = self._pairs(self.head(features, noise=noise), y)
        return 0.5 * (_mean(errors, same) + _mean(errors, different))

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        """Return the mean error of each row's pairs within its batch, (batch,)."""
        assert isinstance(x, Tensor) and y is not None
        errors, same, different = self._pairs(self.head(x), y)
        if self.given:
            errors = 0.5 * errors * (same | different)  # shared by its two rows
            return torch.cat([errors, errors])
        means = 0.5 * (_mean(errors, same, dim=1) + _mean(errors, different, dim=1))
        return means * (y >= 0)

    def _pairs(self, outputs: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the error of every pair, and the masks of same and of different pairs."""
        e = F.normalize(outputs.float(), dim=1, eps=1e-12)
        if self.given:
            n = len(e) // 2
            squared = (e[:n] - e[n:]).square().sum(dim=1)
            same, different = y[:n] == 1, y[:n] == 0
        else:
            squared = (2 - 2 * e @ e.T).clamp_min(0)
            others = ~torch.eye(len(e), dtype=torch.bool, device=e.device)
            known = (y >= 0)[:, None] & (y >= 0) & others
            same = known & (y[:, None] == y)
            different = known & ~same
        logit = self.intercept - self.slope.exp() * squared
        return F.softplus(torch.where(same, -logit, logit)), same, different


def _mean(errors: Tensor, counted: Tensor, dim: int | None = None) -> Tensor:
    """Return the mean of the errors that count, 0 if none does."""
    total, n = (errors * counted).sum(dim=dim), counted.sum(dim=dim)
    return total / n.clamp_min(1)
