"""Reconstruct what a row has in common with its nearest rows.

    J(x) = L( t(x), g( f( x~ ) ) ) + sum of Omega,   t(x) = own * x + (1 - own) * mean of the
                                                     k rows nearest to x by cosine

A row is treated as a noisy sample of its neighborhood, as x~ is a noisy sample of x for a denoising
net: what is particular to single rows is noise, and the code need not hold it.

Hansen, Hansen, Simonsen, Alstrup, Lioma (2020), "Unsupervised semantic hashing with pairwise
reconstruction", SIGIR.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Generator, Tensor

from narrows._types import PerSample
from narrows.core.objective import Objective
from narrows.core.sparse import Rows, SparseRows
from narrows.core.terms import Terms, Trainable
from narrows.data.array_sources import sparse_rows
from narrows.data.scaling import Scaling
from narrows.data.splitting import Split
from narrows.neighbors.nearest import nearest_rows

__all__ = ["NeighborObjective", "Neighborhoods", "neighborhoods", "own_neighborhoods"]

OWN = 0.4
"""Weight of the row itself in t(x)."""


_KEPT_VALUES = 1 << 25
"""All t are computed once if they have no more values than this; others in every batch."""


class Neighborhoods:
    """t(x) by row number: the scaled rows, and the weights that average them.

    ``rows`` is a scipy CSR matrix or an array (n_samples, n_features), float32; ``weights`` a CSR
    matrix (n_samples, n_samples) whose rows sum to 1. Training rows come first, then held-out rows.
    """

    def __init__(self, rows: Any, weights: Any) -> None:
        self._rows, self._weights = rows, weights
        self._means = weights @ rows if _most_values(rows, weights) <= _KEPT_VALUES else None

    def __call__(self, numbers: Tensor) -> Rows:
        """Return t of these row numbers, (batch, n_features), sparse if the rows are."""
        chosen = numbers.cpu().numpy()
        if self._means is None:
            mean = self._weights[chosen] @ self._rows
        else:
            mean = self._means[chosen]
        return sparse_rows(sp.csr_array(mean)) if sp.issparse(mean) else torch.from_numpy(mean)


def neighborhoods(
    rows: Split,
    scaling: Scaling,
    k: int,
    *,
    own: float = OWN,
    codes: np.ndarray | None = None,
) -> Neighborhoods:
    """Find the ``k`` nearest training rows of every row, by cosine; ties go to the earlier row.

    If ``codes`` (n_samples, width), float32, are given, these are compared instead of the rows. A
    held-out row is in no neighborhood but its own.
    """
    x = _scaled(rows, scaling)
    compared, n = x if codes is None else codes, rows.training.n_rows
    weights = [_weights(nearest_rows(compared[:n], min(k, n - 1)), own, 0, x.shape[0])]
    if rows.held_out is not None:
        nearest = nearest_rows(compared[:n], min(k, n), queries=compared[n:])
        weights.append(_weights(nearest, own, n, x.shape[0]))
    return Neighborhoods(x, sp.csr_array(sp.vstack(weights)))


def own_neighborhoods(rows: Split, scaling: Scaling) -> Neighborhoods:
    """Return neighborhoods of one row each, so that every row is reconstructed as itself."""
    x = _scaled(rows, scaling)
    one = np.ones(x.shape[0], np.float32)
    return Neighborhoods(x, sp.csr_array(sp.diags_array(one)))


def _scaled(rows: Split, scaling: Scaling) -> Any:
    """Return all rows scaled, held-out rows last, as a CSR matrix or an array, float32."""
    blocks = [_matrix(scaling.forward(raw)) for part in rows.parts for raw in part.in_order(16384)]
    return sp.csr_array(sp.vstack(blocks)) if rows.training.sparse else np.concatenate(blocks)


def _weights(nearest: np.ndarray, own: float, first: int, n_rows: int) -> Any:
    """Return the weights of the neighborhoods of rows ``first``, ..., (n_nearest, n_rows)."""
    n, k = nearest.shape
    columns = np.concatenate([first + np.arange(n)[:, None], nearest], axis=1).ravel()
    values = np.tile(np.r_[own, np.full(k, (1 - own) / max(k, 1))], n).astype(np.float32)
    return sp.csr_array((values, columns, np.arange(n + 1) * (k + 1)), shape=(n, n_rows))


def _most_values(rows: Any, weights: Any) -> int:
    """Return a bound on the values of all means, from those of the rows that each averages."""
    if sp.issparse(rows):
        return int(np.diff(rows.indptr)[weights.indices].sum())
    return weights.shape[0] * rows.shape[1]


def _matrix(x: Rows) -> Any:
    if isinstance(x, SparseRows):
        return sp.csr_array((x.values.numpy(), x.indices.numpy(), x.indptr.numpy()), shape=x.shape)
    return x.numpy()


class NeighborObjective(Trainable):
    """An objective that reconstructs neighborhoods of rows; y carries the row number.

    ``labels`` (n_samples,) are the y of all rows, by their numbers, for penalties that need them.
    """

    def __init__(
        self, objective: Objective, targets: Neighborhoods, labels: Tensor | None = None
    ) -> None:
        super().__init__()
        self._labels = labels
        self.objective = objective
        self.stochastic = objective.stochastic
        self.judged_by = objective.judged_by
        self._targets = targets

    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        assert y is not None
        target = self._targets(y).to(y.device)
        labels = None if self._labels is None else self._labels[y.cpu()].to(y.device)
        return self.objective(x, labels, generator=generator, weights=weights, target=target)

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        assert y is not None
        output = self.objective.output(self.objective.encode(x).h)
        return self.objective.loss.per_sample(output, self._targets(y).to(y.device))
