"""Find the nearest rows by cosine."""

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


def nearest_rows(rows: Any, k: int, *, queries: Any = None, exact: int = EXACT) -> np.ndarray:
    """Return the numbers of the ``k`` rows with the greatest cosine to each query.

    Without ``queries`` the rows are the queries, and none is its own neighbor. Dense rows are
    compared each with all: O(n^2 x n_features). So are up to ``exact`` sparse
    ones; of more, each is compared with the 100 that are nearest to it by latent semantic
    analysis to 64 numbers, as found in a sixteenth or so of the cells of an inverted file:
    nearly always near, not always nearest. Equal ones may come in any order.

    Parameters
    ----------
    rows : CSR matrix or ndarray, (n, n_features), float32
    k : int
        Less than n, or up to n where there are queries.
    queries : CSR matrix or ndarray, (n_queries, n_features), float32, optional
        As dense or sparse as the rows.

    Returns
    -------
    nearest : ndarray of int64, (n, k) or (n_queries, k)
    """
    unit, own = _of_length_1(rows), queries is None
    unit_queries = unit if own else _of_length_1(queries)
    if not sp.issparse(rows):
        return _by_comparing(unit_queries, np.ascontiguousarray(unit.T), k, own)
    n, n_features = unit.shape
    if n <= exact or n_features <= 2 * _WIDTH:
        return _by_comparing(unit_queries, unit.T.tocsr(), k, own)
    candidates = _candidates(unit, unit_queries, max(k, _CANDIDATES), own)
    found = np.empty((len(candidates), k), dtype=np.int64)
    for first in range(0, len(candidates), _BLOCK):
        near = candidates[first : first + _BLOCK]
        cosines = _cosines(unit_queries[first : first + len(near)], unit, near)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        found[first : first + len(near)] = np.take_along_axis(near, best, axis=1)
    return found


def _of_length_1(rows: Any) -> Any:
    if not sp.issparse(rows):
        norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
        return rows / np.where(norms > 0, norms, 1)
    squares = np.asarray(rows.multiply(rows).sum(axis=1)).ravel()
    return sp.csr_array(sp.diags_array(np.where(squares > 0, squares, 1) ** -0.5) @ rows)


def _by_comparing(unit_queries: Any, columns: Any, k: int, own: bool) -> np.ndarray:
    found = np.empty((unit_queries.shape[0], k), dtype=np.int64)
    for first in range(0, unit_queries.shape[0], _BLOCK):
        cosines = unit_queries[first : first + _BLOCK] @ columns
        cosines = torch.from_numpy(cosines.toarray() if sp.issparse(cosines) else cosines)
        if own:
            there = torch.arange(len(cosines))
            cosines[there, first + there] = -2
        found[first : first + len(cosines)] = cosines.topk(k, dim=1).indices.numpy()
    return found


def _candidates(unit: Any, unit_queries: Any, k: int, own: bool) -> np.ndarray:
    """Return k rows that are near to each query in a space of few dimensions, (n_queries, k)."""
    import faiss
    from sklearn.decomposition import TruncatedSVD

    svd = TruncatedSVD(_WIDTH, random_state=0)
    short = _short(svd.fit_transform(unit))
    n = len(short)
    cells = int(np.sqrt(n))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(_WIDTH), _WIDTH, cells, faiss.METRIC_INNER_PRODUCT)
    index.train(short[:: max(1, n // (64 * cells))])
    index.add(short)
    index.nprobe = _PROBED
    if own:
        found = index.search(short, k + 1)[1]
        # itself out, and where a cell had too few, the row after it in
        others = found != np.arange(n)[:, None]
        others[others.all(axis=1), -1] = False
        found = found[others].reshape(n, k)
    else:
        found = index.search(_short(svd.transform(unit_queries)), k)[1]
    return np.where(found < 0, (np.arange(len(found))[:, None] + 1) % n, found)


def _short(rows: np.ndarray) -> np.ndarray:
    import faiss

    short = np.ascontiguousarray(rows, dtype=np.float32)
    faiss.normalize_L2(short)
    return short


def _cosines(unit_queries: Any, unit: Any, near: np.ndarray) -> np.ndarray:
    """Return the cosine of each query with each of the rows named for it."""
    dense = unit_queries.toarray()
    others = unit[near.ravel()]
    row = np.repeat(np.arange(near.size), np.diff(others.indptr))
    products = others.data * dense[row // near.shape[1], others.indices]
    return np.bincount(row, products, minlength=near.size).reshape(near.shape)
