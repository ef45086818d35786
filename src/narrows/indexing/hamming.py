"""Compute Hamming distances, and select the k nearest candidates by (distance, id)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.indexing.protocol import MISSING, Hits

__all__ = ["as_words", "distances", "first", "no_hits", "top"]


def as_words(codes: NDArray[np.uint8]) -> NDArray[Any]:
    """Return codes (n, n_bytes) as (n, n_words): uint32 up to 4 bytes, else uint64; zero-padded."""
    n, width = codes.shape
    step = 4 if width <= 4 else 8
    padded = -(-width // step) * step
    if padded != width:
        wide = np.zeros((n, padded), dtype=np.uint8)
        wide[:, :width] = codes
        codes = wide
    return np.ascontiguousarray(codes).view(np.uint32 if step == 4 else np.uint64)


def distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.int32]:
    """Return the number of differing bits between words (..., n_words), which broadcast."""
    if a.shape[-1] == 1:
        return np.bitwise_count(a[..., 0] ^ b[..., 0]).astype(np.int32)
    return np.bitwise_count(a ^ b).sum(axis=-1, dtype=np.int32)


def no_hits(n_queries: int, k: int, dtype: Any = np.int32) -> Hits:
    """Return hits in which every id and distance is -1."""
    ids = np.full((n_queries, k), MISSING, dtype=np.int64)
    return Hits(np.full((n_queries, k), MISSING, dtype=dtype), ids)


def first(
    k: int, query: NDArray[Any], distance: NDArray[Any], ids: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Return the first k candidates of each query, sorted by (query, distance, id).

    ``query``, ``distance`` and ``ids`` have one entry per candidate, in any order.
    """
    query, distance, ids = _sorted(query, distance, ids)
    if len(query) > k:
        starts = np.flatnonzero(np.diff(query, prepend=-1))
        sizes = np.diff(starts, append=len(query))
        keep = np.arange(len(query)) - np.repeat(starts, sizes) < k
        query, distance, ids = query[keep], distance[keep], ids[keep]
    return query, distance, ids


def _sorted(
    query: NDArray[Any], distance: NDArray[Any], ids: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Return the three arrays sorted by (query, distance, id)."""
    if len(query) and distance.dtype.kind == "i":
        n_ids, n_distances = int(ids.max()) + 1, int(distance.max()) + 1
        if (int(query.max()) + 1) * n_distances * n_ids < 2**63:
            # one combined key sorts many times faster than three keys
            key = (query.astype(np.int64) * n_distances + distance) * n_ids + ids
            key.sort()
            rest, ids = np.divmod(key, n_ids)
            query, sorted_distance = np.divmod(rest, n_distances)
            return query, sorted_distance.astype(distance.dtype), ids
    order = np.lexsort((ids, distance, query))
    return query[order], distance[order], ids[order]


def top(
    n_queries: int, k: int, query: NDArray[Any], distance: NDArray[Any], ids: NDArray[np.int64]
) -> Hits:
    """Return the ``first`` k candidates as a table, filled with -1 where a query has fewer."""
    hits = no_hits(n_queries, k, distance.dtype)
    query, distance, ids = first(k, query, distance, ids)
    rank = np.arange(len(query)) - np.searchsorted(query, np.arange(n_queries))[query]
    hits.distances[query, rank] = distance
    hits.ids[query, rank] = ids
    return hits
