"""Anomalies: rows that a model rebuilds badly, how surprising that is, and which features did it.

Vovk, Gammerman, Shafer (2005), "Algorithmic learning in a random world" (conformal p-values);
Bates, Candes, Lei, Romano, Sesia (2023), "Testing for outliers with conformal p-values", Annals of
Statistics 51.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from narrows.core.slots import Rows, dense_rows
from narrows.core.terms import fill_missing
from narrows.data.array_sources import DenseSource
from narrows.data.source import Source
from narrows.losses import Bernoulli, Multinomial
from narrows.model.coding import BATCH, scaled_batches, whole_vectors
from narrows.model.model import Model

__all__ = [
    "at_rows",
    "conformal_p_values",
    "conformal_threshold",
    "excess",
    "feature_names",
    "largest_contributions",
    "contributions",
    "as_contributions",
]


_EQUAL = 1e-6
"""Contributions of a row that differ by less are rounding errors of equal ones."""


def conformal_p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Return p = (1 + #{calibration >= score}) / (n + 1) for every score, float64.

    ``calibration`` (n,) is sorted and comes from rows that training did not see. For a row of their
    kind P(p <= a) <= a, whatever the scores are. Cost: O(log n) a score.
    """
    n = len(calibration)
    return (1 + n - np.searchsorted(calibration, scores, side="left")) / (n + 1)


def conformal_threshold(calibration: np.ndarray, alpha: float) -> float:
    """Return the score t for which p <= alpha exactly where a score is greater than t.

    ``calibration`` (n,) is sorted. inf where n is too small for any p to be so low.
    """
    n = len(calibration) + 1
    most = int((np.arange(1, n + 1) / n <= alpha).sum()) - 1  # as p is rounded
    return np.inf if most < 0 else float(calibration[-1 - most])


@torch.no_grad()
def contributions(model: Model, source: Source) -> Iterator[np.ndarray]:
    """Yield which share each feature has in a row's error, (rows, n_features), float32.

    They are those of ``excess`` and add up to 1; a row that is rebuilt to the last digit has the
    same share everywhere. What is missing has none where anything else has.
    """
    for _, x in scaled_batches(model, source):
        model.objective.loss.check(x)
        yield as_contributions(excess(model, x).cpu().numpy())


def as_contributions(terms: np.ndarray) -> np.ndarray:
    """Return terms >= 0 as contributions, parts of their row's sum, float32; the same everywhere
    where that is 0.

    Terms that are not finite count as the largest numbers there are.
    """
    wide = terms.shape[1]
    terms = np.nan_to_num(terms, nan=_MOST, posinf=_MOST).clip(0, _MOST) / wide
    totals = terms.sum(axis=1, keepdims=True)
    nothing = totals < np.finfo(np.float64).tiny
    return np.where(nothing, 1 / wide, terms / np.where(nothing, 1, totals)).astype(np.float32)


def largest_contributions(contributions: np.ndarray, n: int) -> np.ndarray:
    """Return the numbers of the ``n`` features with the largest contributions, (n_features,).

    None if all contributions are equal, as those of a row in which each feature is usual and only
    their combination is anomalous.
    """
    if len(contributions) > 1 and contributions.max() - contributions.min() < _EQUAL:
        return np.empty(0, dtype=np.int64)
    return np.argsort(-contributions, kind="stable")[:n]


@torch.no_grad()
def excess(model: Model, x: Rows, h: Tensor | None = None) -> Tensor:
    """Return by how much each feature of scaled rows is rebuilt worse than it could be, >= 0.

    Squared error: (x_j - r_j)^2. Bernoulli: KL(x_j || r_j) = the cross-entropy less the entropy of
    x_j. Multinomial: x_j log(x_j / r_j) - x_j + r_j, whose sum over the row is the cross-entropy
    less the entropy of x. In ``model.error_unit``; dense, (batch, n_features).

    ``h`` is the code of ``whole_vectors(x)``, if it is known: encoding is most of the cost.
    """
    objective = model.objective
    if h is None:
        h = objective.encode(whole_vectors(x)).h
    output = objective.decoder(h).float()[: len(x)]
    known, weights = fill_missing(x, objective.corruption)
    x = dense_rows(known)
    # from the natural parameters: a probability that rounds to 0 or 1 has lost its logarithm
    if isinstance(objective.loss, Bernoulli):
        x, o = x.double(), output.double()
        terms = F.softplus(o) - x * o + torch.xlogy(x, x) + torch.xlogy(1 - x, 1 - x)
    elif isinstance(objective.loss, Multinomial):
        x, log_r = x.double(), torch.log_softmax(output.double(), dim=1)
        log_r = log_r + x.sum(dim=1, keepdim=True).log()  # of a row without any, 0 everywhere
        terms = torch.xlogy(x, x) - x * log_r.clamp_min(_LEAST)
        terms = terms - x + log_r.exp()
    else:
        terms = (x - objective.loss.reconstruction(output, x)).double().square()
    terms = terms.clamp_min(0)  # what rounding leaves below
    return terms if weights is None else terms * weights


_MOST = np.finfo(np.float64).max
_LEAST = -1e30
"""The logarithm of nothing, where it is multiplied by 0."""


def at_rows(source: Source, places: np.ndarray) -> DenseSource:
    """Return the rows at ``places``, in that order, in one pass over the source, which has been
    compared with the units of the model."""
    found = torch.empty(len(places), source.n_features)
    wanted, first = torch.from_numpy(np.asarray(places, dtype=np.int64)), 0
    for batch in source.in_order(BATCH):
        for i in ((wanted >= first) & (wanted < first + len(batch))).nonzero()[:, 0].tolist():
            found[i] = dense_rows(batch)[wanted[i] - first]
        first += len(batch)
    rows = DenseSource(found)
    rows.copy_metadata(source).targets = None
    rows.units_checked = True
    return rows


def feature_names(model: Model, source: Source) -> list[str]:
    """Return what to call the features: names of columns, words, places of pixels, or numbers."""
    shape = model.schema.image_shape or source.image_shape
    if model.feature_names is not None:
        return list(model.feature_names)
    if shape is not None:
        return ["pixel " + ",".join(map(str, place)) for place in np.ndindex(*shape)]
    return [f"feature {i}" for i in range(model.schema.n_features)]
