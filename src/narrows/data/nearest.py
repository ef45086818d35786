"""The nearest rows of every row, by cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

__all__ = ["EXACT", "nearest_rows"]

_BLOCK = 512
EXACT = 20_000
_WIDTH, _CANDIDATES = 64, 100
_PROBED = 16


def nearest_rows(rows: Any, k: int, *, exact: int = EXACT) -> np.ndarray:
    """Return the numbers of the ``k`` rows with the greatest cosine to each, itself left out.

    Dense rows are compared each with all: O(n^2 x n_features). So are up to ``exact`` sparse
    ones; of more, each is compared with the 100 that are nearest to it by latent semantic
    analysis to 64 numbers, as found in a sixteenth or so of the cells of an inverted file:
    nearly always near, not always nearest. Equal ones may come in any order.

    Parameters
    ----------
    rows : CSR matrix or ndarray, (n, n_features), float32
    k : int
        Less than n.

    Returns
    -------
    nearest : ndarray of int64, (n, k)
    """
    if not sp.issparse(rows):
        norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
        unit = rows / np.where(norms > 0, norms, 1)
        return _by_comparing(unit, np.ascontiguousarray(unit.T), k)
    squares = np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    unit: Any = sp.csr_array(sp.diags_array(np.where(squares > 0, squares, 1) ** -0.5) @ rows)
    n, n_features = unit.shape
    if n <= exact or n_features <= 2 * _WIDTH:
        return _by_comparing(unit, unit.T.tocsr(), k)
    candidates = _candidates(unit, max(k, _CANDIDATES))
    found = np.empty((n, k), dtype=np.int64)
    for first in range(0, n, _BLOCK):
        near = candidates[first : first + _BLOCK]
        best = np.argsort(-_cosines(unit, first, near), axis=1, kind="stable")[:, :k]
        found[first : first + len(near)] = np.take_along_axis(near, best, axis=1)
    return found


def _by_comparing(unit: Any, columns: Any, k: int) -> np.ndarray:
    found = np.empty((unit.shape[0], k), dtype=np.int64)
    for first in range(0, unit.shape[0], _BLOCK):
        cosines = unit[first : first + _BLOCK] @ columns
        cosines = torch.from_numpy(cosines.toarray() if sp.issparse(cosines) else cosines)
        there = torch.arange(len(cosines))
        cosines[there, first + there] = -2
        found[first : first + len(cosines)] = cosines.topk(k, dim=1).indices.numpy()
    return found


def _candidates(unit: Any, k: int) -> np.ndarray:
    """Return k others that are near to each row in a space of few dimensions, (n, k)."""
    import faiss
    from sklearn.decomposition import TruncatedSVD

    short = TruncatedSVD(_WIDTH, random_state=0).fit_transform(unit)
    short = np.ascontiguousarray(short, dtype=np.float32)
    faiss.normalize_L2(short)
    n = len(short)
    cells = int(np.sqrt(n))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(_WIDTH), _WIDTH, cells, faiss.METRIC_INNER_PRODUCT)
    index.train(short[:: max(1, n // (64 * cells))])
    index.add(short)
    index.nprobe = _PROBED
    found = index.search(short, k + 1)[1]
    # itself out, and where a cell had too few, the row after it in
    others = found != np.arange(n)[:, None]
    others[others.all(axis=1), -1] = False
    found = found[others].reshape(n, k)
    return np.where(found < 0, (np.arange(n)[:, None] + 1) % n, found)


def _cosines(unit: Any, first: int, near: np.ndarray) -> np.ndarray:
    """Return the cosine of rows ``first``, ... with each of the others named for them."""
    dense = unit[first : first + len(near)].toarray()
    others = unit[near.ravel()]
    row = np.repeat(np.arange(near.size), np.diff(others.indptr))
    products = others.data * dense[row // near.shape[1], others.indices]
    return np.bincount(row, products, minlength=near.size).reshape(near.shape)
