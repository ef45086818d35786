"""Terms of an objective, rows of known targets, and weighted means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from narrows._types import PerSample, Scalar
from narrows.core.slots import Corruption, Rows, SparseRows

__all__ = [
    "Terms",
    "Trainable",
    "fill_missing",
    "known_rows",
    "mean_of_features",
    "mean_over_rows",
    "combine_weights",
    "summed",
    "target_errors",
]


@dataclass(frozen=True)
class Terms:
    """The objective of a batch and its two parts, each a scalar in the unit of the loss."""

    total: Scalar
    loss: Scalar
    penalty: Scalar


class Trainable(nn.Module, ABC):
    """What the loop minimizes: the formula, or what stands in its place for a while.

    Where it is ``stochastic``, its error says too little, and rows held out are judged by the
    objective itself.
    """

    stochastic: bool = False

    @abstractmethod
    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        """Return the terms of a batch, means over its rows.

        ``weights`` (batch,), of mean 1 over the rows of a training, say how much each row counts.
        """

    @abstractmethod
    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        """Return what to watch on rows held out, per row; it draws nothing."""


def target_errors(said: Tensor, y: Tensor, *, classification: bool) -> tuple[PerSample, Tensor]:
    """Return the error of every row, 0 where y is unknown, and where it is known, (batch,).

    For classes the cross-entropy of softmax(said), said (batch, n_classes), in nats, y unknown
    where negative; for values the squared error of said (batch, n_targets), summed over those of
    y, (batch, n_targets), or (batch,) for one, that are not NaN. A row is known if one of them is.
    """
    said, known = said.float(), known_rows(y)
    if classification:
        each = F.cross_entropy(said, y.clamp_min(0), reduction="none")
    else:
        wanted = y.reshape(len(y), -1)
        told = ~wanted.isnan()
        each = ((said - torch.where(told, wanted, 0.0)).square() * told).sum(dim=1)
    return each * known, known


def known_rows(y: Tensor) -> Tensor:
    """Return where y is known, (batch,): not negative; of values, where one of them is not NaN."""
    if not y.is_floating_point():
        return y >= 0
    return ~y.reshape(len(y), -1).isnan().all(dim=1)


def fill_missing(x: Rows, corruption: Corruption) -> tuple[Rows, Tensor | None]:
    """Return x with the corruption's fill for what is missing, and 1 where it is known, else 0.

    The second is None where the corruption admits nothing missing.
    """
    if not corruption.admits_missing or isinstance(x, SparseRows):
        return x, None
    known = ~torch.isnan(x)
    return torch.where(known, x, getattr(corruption, "fill", 0.0)), known.to(x.dtype)


def summed(values: Tensor, weights: Tensor | None) -> PerSample:
    """Return the sum over the features of each row, weighted where there are weights."""
    return (values if weights is None else values * weights).sum(dim=1)


def combine_weights(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Return a b, where None stands for ones."""
    return (b if a is None else a) if a is None or b is None else a * b


def mean_over_rows(values: Tensor, weights: Tensor | None) -> Scalar:
    """Return the mean of values (..., batch), each times the weight of its row.

    The weights (batch,) have mean 1 over all rows of a training, not over each batch: the mean of
    this over the batches is the weighted mean over the rows.
    """
    return (values if weights is None else values * weights).mean()


def mean_of_features(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Return the weighted mean of rows (batch, n_features), (n_features,).

    It is divided by the weights of this batch, since what a penalty makes of it is not linear.
    """
    if weights is None:
        return rows.mean(dim=0)
    return (rows * weights[:, None]).sum(dim=0) / weights.sum()
