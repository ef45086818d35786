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

from narrows.objectives.code_task import mean_and_std

__all__ = ["ALPHA", "neighbor_graph", "propagate_classes", "propagate_labels"]

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
        Features of the codes; standardized here.
    y : Tensor (n,) int64
        Class numbers from 0, negative if unknown; known classes stay.
    k : int
        Number of nearest neighbors of a row.
    """
    mean, std = mean_and_std(features.cpu())
    z = ((features.cpu() - mean) / std).numpy()
    weights = propagate_labels(neighbor_graph(z, k), y.numpy())
    propagated = torch.from_numpy(np.where(weights.any(axis=1), weights.argmax(axis=1), -1))
    return torch.where(y < 0, propagated, y)
