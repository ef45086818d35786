"""Hamming distances, and candidates cut to the k nearest by (distance, id)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.indexing.protocol import MISSING, Hits, RaggedHits

__all__ = ["as_words", "distances", "first", "no_hits", "ragged", "scan_within", "top"]

_BLOCK = 1 << 20
"""Distances made at a time, so that memory does not grow with the base."""


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
    """Return how many bits differ between words (..., n_words) that broadcast."""
    if a.shape[-1] == 1:
        return np.bitwise_count(a[..., 0] ^ b[..., 0]).astype(np.int32)
    return np.bitwise_count(a ^ b).sum(axis=-1, dtype=np.int32)


def no_hits(n_queries: int, k: int, dtype: Any = np.int32) -> Hits:
    """Return rows of -1 only."""
    ids = np.full((n_queries, k), MISSING, dtype=np.int64)
    return Hits(np.full((n_queries, k), MISSING, dtype=dtype), ids)


def first(
    k: int, query: NDArray[Any], distance: NDArray[Any], ids: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]:
    """Return each query's k first candidates by (distance, id), sorted by query too.

    ``query``, ``distance`` and ``ids`` are parallel, one entry a candidate, in any order.
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
    """Return the three in the order of query, distance, id."""
    if len(query) and distance.dtype.kind == "i":
        n_ids, n_distances = int(ids.max()) + 1, int(distance.max()) + 1
        if (int(query.max()) + 1) * n_distances * n_ids < 2**63:
            # one number for the three: sorting it is many times quicker than sorting by each
            key = (query.astype(np.int64) * n_distances + distance) * n_ids + ids
            key.sort()
            rest, ids = np.divmod(key, n_ids)
            query, far = np.divmod(rest, n_distances)
            return query, far.astype(distance.dtype), ids
    order = np.lexsort((ids, distance, query))
    return query[order], distance[order], ids[order]


def top(
    n_queries: int, k: int, query: NDArray[Any], distance: NDArray[Any], ids: NDArray[np.int64]
) -> Hits:
    """Return ``first`` of the candidates as a table, -1 where a query has fewer."""
    hits = no_hits(n_queries, k, distance.dtype)
    query, distance, ids = first(k, query, distance, ids)
    rank = np.arange(len(query)) - np.searchsorted(query, np.arange(n_queries))[query]
    hits.distances[query, rank] = distance
    hits.ids[query, rank] = ids
    return hits


def ragged(
    n_queries: int, query: NDArray[Any], distance: NDArray[Any], ids: NDArray[np.int64]
) -> RaggedHits:
    """Return all of each query's candidates by (distance, id)."""
    offsets = np.zeros(n_queries + 1, dtype=np.int64)
    np.cumsum(np.bincount(query, minlength=n_queries), out=offsets[1:])
    return RaggedHits(offsets, *_sorted(query, distance.astype(np.int32), ids)[1:])


def scan_within(
    queries: NDArray[np.uint8], codes: NDArray[np.uint8], ids: NDArray[np.int64], radius: int
) -> RaggedHits:
    """Return all within ``radius`` bits, by comparing with every code.

    Cost: O(n_queries x n), in blocks of about a million distances.
    """
    query_words, words = as_words(queries), as_words(codes)
    found: list[tuple[NDArray[Any], NDArray[Any], NDArray[np.int64]]] = []
    for i, query in enumerate(query_words):
        for start in range(0, len(words), _BLOCK):
            distance = distances(words[start : start + _BLOCK], query)
            near = np.flatnonzero(distance <= radius)
            found.append((np.full(len(near), i), distance[near], ids[start + near]))
    if not found:
        empty = np.empty(0, dtype=np.int64)
        return ragged(len(queries), empty, empty.astype(np.int32), empty)
    query, distance, hit = (np.concatenate(column) for column in zip(*found, strict=True))
    return ragged(len(queries), query, distance, hit)
