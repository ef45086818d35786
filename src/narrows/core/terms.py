"""Terms of an objective, missing values, losses of targets, and weighted means."""

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
    "of_mean_one",
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
    """What the training loop minimizes: the formula, or another objective.

    ``stochastic`` objectives are validated on J, not on ``error``.
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
        """Return the terms of a batch, averaged over its rows.

        ``weights`` (batch,) say how much each row counts, with mean 1 over all training rows.
        """

    @abstractmethod
    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        """Return the error to monitor on held-out rows, (batch,); it draws nothing."""


def target_errors(
    predictions: Tensor, y: Tensor, *, classification: bool
) -> tuple[PerSample, Tensor]:
    """Return the loss of every row's prediction, 0 where y is unknown, and the mask of known rows.

    Classes: the cross-entropy of softmax(predictions), (batch, n_classes), in nats; y is unknown
    where negative. Values: the squared error of predictions (batch, n_targets), summed over the
    targets that are not NaN, y (batch, n_targets) or (batch,). A row with any target is known.

    Examples
    --------
    >>> y = torch.tensor([1.0, torch.nan])
    >>> target_errors(torch.tensor([[3.0], [3.0]]), y, classification=False)
    (tensor([4., 0.]), tensor([ True, False]))
    """
    predictions, known = predictions.float(), known_rows(y)
    if classification:
        losses = F.cross_entropy(predictions, y.clamp_min(0), reduction="none")
    else:
        targets = y.reshape(len(y), -1)
        given = ~targets.isnan()
        losses = ((predictions - torch.where(given, targets, 0.0)).square() * given).sum(dim=1)
    return losses * known, known


def known_rows(y: Tensor) -> Tensor:
    """Return the mask of known y, (batch,): classes >= 0, or values of which one is not NaN."""
    if not y.is_floating_point():
        return y >= 0
    return ~y.reshape(len(y), -1).isnan().all(dim=1)


def fill_missing(x: Rows, corruption: Corruption) -> tuple[Rows, Tensor | None]:
    """Fill in missing values; return also a mask, 1 where x is known and 0 where it is missing.

    The fill is the corruption's; the mask is None if it admits no missing values.
    """
    if not corruption.admits_missing or isinstance(x, SparseRows):
        return x, None
    known = ~torch.isnan(x)
    return torch.where(known, x, getattr(corruption, "fill", 0.0)), known.to(x.dtype)


def summed(values: Tensor, weights: Tensor | None) -> PerSample:
    """Return the sum over the features of each row, weighted if there are weights."""
    return (values if weights is None else values * weights).sum(dim=1)


def combine_weights(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Return a * b, where None stands for ones."""
    return (b if a is None else a) if a is None or b is None else a * b


def mean_over_rows(values: Tensor, weights: Tensor | None) -> Scalar:
    """Return the mean of values (..., batch), each times the weight of its row.

    The weights (batch,) have mean 1 over all training rows, not over each batch, so that the mean
    of this over the batches is the weighted mean over the rows.

    Examples
    --------
    >>> mean_over_rows(torch.tensor([1.0, 3.0]), torch.tensor([0.5, 1.5]))
    tensor(2.5000)
    """
    return (values if weights is None else values * weights).mean()


def mean_of_features(rows: Tensor, weights: Tensor | None) -> Tensor:
    """Return the weighted mean row, (n_features,), of rows (batch, n_features).

    It is divided by the sum of this batch's weights, since penalties are not linear in it.
    """
    if weights is None:
        return rows.mean(dim=0)
    return (rows * weights[:, None]).sum(dim=0) / weights.sum()


def of_mean_one(weights: Tensor, known: Tensor) -> Tensor:
    """Return weights whose mean over the rows of known y is 1: only their ratios matter."""
    mean = weights[known].double().mean()
    return (weights.double() / mean).float() if bool(mean > 0) else weights.float()
