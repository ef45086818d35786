"""Weight values and rows: give missing values the weight 0, and take weighted sums and means."""

from __future__ import annotations

import torch
from torch import Tensor

from narrows._types import PerSample, Scalar
from narrows.core.slots import Corruption
from narrows.core.sparse import Rows, SparseRows

__all__ = [
    "combine_weights",
    "fill_missing",
    "mean_of_features",
    "mean_over_rows",
    "normalize_weights",
    "summed",
]


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


def normalize_weights(weights: Tensor, known: Tensor) -> Tensor:
    """Return weights whose mean over the rows of known y is 1: only their ratios matter."""
    mean = weights[known].double().mean()
    return (weights.double() / mean).float() if bool(mean > 0) else weights.float()
