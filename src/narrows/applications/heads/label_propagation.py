"""Propagate the labels of a few rows to all others along a graph of nearest codes.

Iterates F <- alpha * D^-1/2 W D^-1/2 F + (1 - alpha) * Y, with W the weights of the k nearest
neighbors: Zhou, Bousquet, Lal, Weston, Scholkopf (2004), "Learning with local and global
consistency", NIPS.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor

from narrows.errors import PropagationWarning, warn
from narrows.fitting.probe import ClassProbe, LabeledRows, parts_of
from narrows.training.early_stopping import HeldOutErrors, clearly_lower

__all__ = [
    "ALPHA",
    "neighbor_graph",
    "propagate_classes",
    "propagate_if_better",
    "propagate_labels",
]

ALPHA = 0.95
"""The share of a row's label that comes from its neighbors."""

_ROUNDS = 300


def neighbor_graph(features: np.ndarray, k: int) -> Any:
    """Return W, (n, n) CSR: exp(-(distance / w)^2) between each row and its k nearest neighbors.

    W is symmetric; ``w`` is the median distance of a row to its neighbors.
    """
    k = min(k, len(features) - 1)
    graph: Any = NearestNeighbors(n_neighbors=k).fit(features)
    graph = graph.kneighbors_graph(mode="distance")
    width = np.median(graph.data) or 1.0
    graph.data = np.exp(-((graph.data / width) ** 2))
    return sp.csr_matrix(graph.maximum(graph.T))


def propagate_labels(graph: Any, y: np.ndarray, *, alpha: float = ALPHA) -> np.ndarray:
    """Return the propagated weight of each class, (n, n_classes).

    Rows sum to 1, or to 0 if no label reaches them.

    Parameters
    ----------
    graph : CSR matrix (n, n)
        From ``neighbor_graph``.
    y : ndarray of int, (n,)
        Class numbers from 0; negative if unknown.
    """
    kernel: Any = lambda a, b: graph  # noqa: E731 -- Any: the stubs allow names only
    propagation = LabelSpreading(kernel=kernel, alpha=alpha, max_iter=_ROUNDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # far rows keep changing a little
        warnings.simplefilter("ignore", RuntimeWarning)  # 0 / 0: no label reaches the row
        propagation.fit(np.zeros((len(y), 1)), np.maximum(y, -1))
    return np.nan_to_num(propagation.label_distributions_)


def propagate_classes(features: Tensor, y: Tensor, *, k: int) -> Tensor:
    """Return the class of every row, known or propagated; -1 if no label reaches the row.

    Parameters
    ----------
    features : Tensor (n, width)
        Nearest rows are found by their distances.
    y : Tensor (n,) int64
        Class numbers from 0, negative if unknown; known classes stay.
    k : int
        Number of nearest neighbors of a row.
    """
    return _spread(neighbor_graph(features.cpu().numpy(), k), y)


def propagate_if_better(
    features: Tensor, y: Tensor, labeled: LabeledRows, *, probe: ClassProbe, k: int
) -> Tensor:
    """Return the class of every row as ``propagate_classes`` does, or y if that is no better.

    Labels of each fold of the ``labeled`` rows are hidden, and predicted by the propagated labels
    of the others and by the ``probe``. Propagation is taken if its errors are lower by more than
    their standard error, or if it makes none.

    Warns
    -----
    PropagationWarning
        If labels are not propagated.
    """
    graph = neighbor_graph(features.cpu().numpy(), k)
    folds = probe.folds(labeled)
    counted = folds >= 0
    if not counted.any():
        _warn("every class has a single label, so that no label can be left out to compare")
        return y
    propagated = labeled.y.copy()
    for _, held_out in parts_of(folds):
        hidden = y.clone()
        rows = torch.from_numpy(labeled.numbers[held_out])
        hidden[rows] = -1
        propagated[held_out] = _spread(graph, hidden)[rows].numpy()
    wrong = {
        "propagated": propagated != labeled.y,
        "probe": probe.held_out_classes(labeled, folds) != labeled.y,
    }
    errors = {
        name: HeldOutErrors(float(w[counted].mean()), torch.from_numpy(w[counted]).double())
        for name, w in wrong.items()
    }
    right = not wrong["propagated"].any()
    if right or clearly_lower(errors["propagated"], errors["probe"], by=1.0):
        return _spread(graph, y)
    counts = {name: int(w[counted].sum()) for name, w in wrong.items()}
    _warn(
        f"of {int(counted.sum())} labels left out in turn they predict {counts['propagated']} "
        f"wrong, a linear head without them {counts['probe']}"
    )
    return y


def _warn(why: str) -> None:
    warn(
        f"n_neighbors: labels are not propagated, since that is not clearly better: {why}; give "
        "more labels, or n_neighbors=None.",
        PropagationWarning,
    )


def _spread(graph: Any, y: Tensor) -> Tensor:
    """Return the class of every row of a graph; known ones stay, -1 if no label reaches the row."""
    known = np.unique(y[y >= 0].numpy())
    weights = propagate_labels(graph, y.numpy())
    propagated = np.where(weights.any(axis=1), known[weights.argmax(axis=1)], -1)
    return torch.where(y < 0, torch.from_numpy(propagated), y)
