"""Labels told of a few rows, spread to the others along a graph of the nearest codes.

F <- alpha * D^-1/2 W D^-1/2 F + (1 - alpha) * Y until it stays, W the weights of k nearest
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

from narrows.objectives.code_task import mean_and_deviation

__all__ = ["ALPHA", "neighbor_graph", "propagate_classes", "propagate_labels"]

ALPHA = 0.95
"""How much of a row's label comes from its neighbors."""

_ROUNDS = 300


def neighbor_graph(features: np.ndarray, k: int) -> Any:
    """Return W, (n, n) CSR: exp(-(distance / w)^2) between k nearest neighbors, either's.

    ``w`` is the median distance of a row to its neighbors.
    """
    k = min(k, len(features) - 1)
    graph: Any = NearestNeighbors(n_neighbors=k).fit(features)
    graph = graph.kneighbors_graph(mode="distance")
    width = np.median(graph.data) or 1.0
    graph.data = np.exp(-((graph.data / width) ** 2))
    return sp.csr_matrix(graph.maximum(graph.T))


def propagate_labels(graph: Any, y: np.ndarray, *, alpha: float = ALPHA) -> np.ndarray:
    """Return how much of every class reaches every row, (n, n_classes), rows sum to 1 or are 0.

    Parameters
    ----------
    graph : CSR matrix (n, n)
        From ``neighbor_graph``.
    y : ndarray of int, (n,)
        Classes by their places from 0; negative where not known.
    """
    kernel: Any = lambda a, b: graph  # noqa: E731 -- Any: the stubs know of names only
    spread = LabelSpreading(kernel=kernel, alpha=alpha, max_iter=_ROUNDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # far rows go on changing by a little
        warnings.simplefilter("ignore", RuntimeWarning)  # 0 / 0: rows that nothing reaches
        spread.fit(np.zeros((len(y), 1)), np.maximum(y, -1))
    return np.nan_to_num(spread.label_distributions_)


def propagate_classes(features: Tensor, told: Tensor, *, k: int) -> Tensor:
    """Return the class of every row, by those told; -1 where none of them reaches.

    Parameters
    ----------
    features : Tensor (n, width)
        Of the codes; standardized here.
    told : Tensor (n,) int64
        Classes by their places from 0, negative where not known; they stay as they are.
    k : int
        Nearest neighbors of a row.
    """
    mean, deviation = mean_and_deviation(features.cpu())
    z = ((features.cpu() - mean) / deviation).numpy()
    reached = propagate_labels(neighbor_graph(z, k), told.numpy())
    said = torch.from_numpy(np.where(reached.any(axis=1), reached.argmax(axis=1), -1))
    return torch.where(told < 0, said, told)
