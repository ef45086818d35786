"""How much features and rows count in a loss: a missing value not at all, a row by its weight."""

from __future__ import annotations

import torch
from torch import Tensor

from narrows._types import PerSample, Scalar
from narrows.slots import Corruption, Rows, SparseRows

__all__ = ["known_part", "mean_of_features", "mean_over_rows", "product_of", "summed"]


def known_part(x: Rows, corruption: Corruption) -> tuple[Rows, Tensor | None]:
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


def product_of(a: Tensor | None, b: Tensor | None) -> Tensor | None:
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
