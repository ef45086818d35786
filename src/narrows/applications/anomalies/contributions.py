"""Attribute the error of a row to its features."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from narrows._types import Codes
from narrows.core.sparse import Rows, dense_rows
from narrows.core.weights import fill_missing
from narrows.data.array_sources import DenseSource
from narrows.data.source import Source, rows_at
from narrows.losses import Bernoulli, Multinomial
from narrows.model.coding import code_of, padded_call, scaled_batches
from narrows.model.model import Model

__all__ = [
    "as_contributions",
    "at_rows",
    "contributions",
    "excess",
    "feature_names",
    "largest_contributions",
]

_MOST = np.finfo(np.float64).max
_LEAST = -1e30
"""Stands for log 0 in a product with 0."""

_EQUAL = 1e-6
"""Contributions of a row that differ by less are equal but for rounding."""


@torch.no_grad()
def contributions(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield the share of each feature in the error of its row, (rows, n_features), float32.

    They are the shares of ``excess`` and add up to 1. If a row is reconstructed exactly, its
    features share alike; otherwise missing values have no share.
    """
    for _, x in scaled_batches(model, source):
        model.objective.loss.check(x)
        yield as_contributions(excess(model, x).cpu().numpy())


def as_contributions(terms: np.ndarray) -> np.ndarray:
    """Return terms >= 0 divided by the sum of their row, float32; all alike where the sum is 0.

    Terms that are not finite count as the largest float64.
    """
    wide = terms.shape[1]
    terms = np.nan_to_num(terms, nan=_MOST, posinf=_MOST).clip(0, _MOST) / wide
    totals = terms.sum(axis=1, keepdims=True)
    nothing = totals < np.finfo(np.float64).tiny
    return np.where(nothing, 1 / wide, terms / np.where(nothing, 1, totals)).astype(np.float32)


def largest_contributions(shares: np.ndarray, n: int) -> np.ndarray:
    """Return the numbers of the ``n`` features with the largest shares (n_features,) of an error.

    None if all shares are equal, as those of a row in which each feature is usual and only their
    combination is anomalous.
    """
    if len(shares) > 1 and shares.max() - shares.min() < _EQUAL:
        return np.empty(0, dtype=np.int64)
    return np.argsort(-shares, kind="stable")[:n]


@torch.no_grad()
def excess(model: Model, x: Rows, h: Codes | None = None) -> Tensor:
    """Return the error of each feature of scaled rows above that of a perfect reconstruction.

    Squared error: (x_j - r_j)^2. Bernoulli: KL(x_j || r_j), the cross-entropy minus the entropy of
    x_j. Multinomial: x_j log(x_j / r_j) - x_j + r_j, whose sum over the row is the cross-entropy
    minus the entropy of x. All are >= 0, in ``model.error_unit``, dense (batch, n_features).

    ``h`` is the code of x, if the caller has it; encoding is most of the cost.
    """
    objective = model.objective
    output = padded_call(objective.output, code_of(model, x).h if h is None else h)
    known, weights = fill_missing(x, objective.corruption)
    x = dense_rows(known)
    # from the natural parameters: the logarithm of a probability that rounds to 0 or 1 is lost
    if isinstance(objective.loss, Bernoulli):
        x, o = x.double(), output.double()
        terms = F.softplus(o) - x * o + torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)
    elif isinstance(objective.loss, Multinomial):
        x, log_r = x.double(), torch.log_softmax(output.double(), dim=1)
        log_r = log_r + x.sum(dim=1, keepdim=True).log()  # in a row of zeros, r is 0
        terms = torch.xlogy(x, x) - x * log_r.clamp_min(_LEAST)
        terms = terms - x + log_r.exp()
    else:
        terms = (x - objective.loss.reconstruction(output, x)).double().square()
    terms = terms.clamp_min(0)  # rounding leaves some a little below 0
    return terms if weights is None else terms * weights


def at_rows(source: Source, places: np.ndarray) -> DenseSource:
    """Return the rows with the numbers ``places``, in that order.

    The units of the source have been checked already.
    """
    rows = DenseSource(rows_at(source, places))
    rows.copy_metadata(source).targets = None
    rows.units_checked = True
    return rows


def feature_names(model: Model, source: Source) -> list[str]:
    """Return names for the features: those of columns, words, positions of pixels, or numbers."""
    shape = model.schema.image_shape or source.image_shape
    if model.feature_names is not None:
        return list(model.feature_names)
    if shape is not None:
        return ["pixel " + ",".join(map(str, place)) for place in np.ndindex(*shape)]
    return [f"feature {i}" for i in range(model.schema.n_features)]
