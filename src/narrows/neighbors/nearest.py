"""Find the nearest rows by cosine, exactly or, for many sparse rows, approximately."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.neighbors.ranking import ranked, unit_rows

__all__ = ["EXACT", "nearest_rows"]

EXACT = 20_000
"""More sparse rows than this are searched approximately."""

_BLOCK = 512
_WIDTH, _CANDIDATES = 64, 100
_PROBED = 16


def nearest_rows(rows: Any, k: int, *, queries: Any = None, exact: int = EXACT) -> np.ndarray:
    """Return the numbers of the ``k`` rows with the greatest cosine to each query.

    Without ``queries`` the rows are the queries, and no row is its own neighbor. Dense rows, and
    up to ``exact`` sparse rows, are all compared with each other: O(n^2 x n_features); equal
    cosines are ordered by row number. Of more sparse rows, a query is compared with 100 candidates
    that are nearest to it by latent semantic analysis with 64 components, found in 16 cells of an
    inverted file. The result is then nearly always near, but not always nearest.

    Parameters
    ----------
    rows : CSR matrix or ndarray, (n, n_features), float32
    k : int
        Less than n, or up to n with ``queries``.
    queries : CSR matrix or ndarray, (n_queries, n_features), float32, optional
        Dense or sparse like the rows.

    Returns
    -------
    nearest : ndarray of int64, (n, k) or (n_queries, k)
    """
    n, n_features = rows.shape
    if not sp.issparse(rows) or n <= exact or n_features <= 2 * _WIDTH:
        if queries is None:
            return _without_self(_first_ranked(rows, rows, k + 1))
        return _first_ranked(rows, queries, k)
    unit, own = unit_rows(rows), queries is None
    unit_queries = unit if own else unit_rows(queries)
    candidates = _candidates(unit, unit_queries, max(k, _CANDIDATES), own)
    found = np.empty((len(candidates), k), dtype=np.int64)
    for first in range(0, len(candidates), _BLOCK):
        near = candidates[first : first + _BLOCK]
        cosines = _cosines(unit_queries[first : first + len(near)], unit, near)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
        found[first : first + len(near)] = np.take_along_axis(near, best, axis=1)
    return found


def _first_ranked(rows: Any, queries: Any, k: int) -> np.ndarray:
    """Return the numbers of the ``k`` rows first in the ranking of each query."""
    found = np.empty((queries.shape[0], k), dtype=np.int64)
    for block in ranked(queries, rows, depth=k):
        found[block.queries] = block.rows[:, :k]
    return found


def _without_self(found: np.ndarray) -> np.ndarray:
    """Return row numbers (n, k) from (n, k + 1): without the row itself, or else the last one."""
    others = found != np.arange(len(found))[:, None]
    others[others.all(axis=1), -1] = False
    return found[others].reshape(len(found), -1)


def _candidates(unit: Any, unit_queries: Any, k: int, own: bool) -> np.ndarray:
    """Return k rows that are near to each query in a low-dimensional space, (n_queries, k)."""
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
        found = _without_self(index.search(short, k + 1)[1])
    else:
        found = index.search(_short(svd.transform(unit_queries)), k)[1]
    # if the cells hold too few rows, the next row fills in
    return np.where(found < 0, (np.arange(len(found))[:, None] + 1) % n, found)


def _short(rows: np.ndarray) -> np.ndarray:
    import faiss

    short = np.ascontiguousarray(rows, dtype=np.float32)
    faiss.normalize_L2(short)
    return short


def _cosines(unit_queries: Any, unit: Any, near: np.ndarray) -> np.ndarray:
    """Return the cosines of each query with its rows ``near`` (n_queries, k)."""
    dense = unit_queries.toarray()
    others = unit[near.ravel()]
    row = np.repeat(np.arange(near.size), np.diff(others.indptr))
    products = others.data * dense[row // near.shape[1], others.indices]
    return np.bincount(row, products, minlength=near.size).reshape(near.shape)
