"""The same contract on a Milvus server, for bases that outgrow one machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.core.checks import check_number
from narrows.errors import UsageError
from narrows.indexing.hamming import no_hits, ragged, top
from narrows.indexing.milvus_collection import MilvusCollection
from narrows.indexing.protocol import (
    Hits,
    RaggedHits,
    check_codes,
    check_ids,
    check_k,
    check_radius,
    check_width,
)
from narrows.indexing.shared_lock import SharedLock

__all__ = ["MilvusIndex"]

_MOST = 16_384
"""Hits a query, and queries a call, that Milvus answers."""

_HITS = 1_000_000


class MilvusIndex:
    """Binary codes in a Milvus collection, Hamming distance native, exact (``BIN_FLAT``).

    The order is that of every index here, by distance and then by id, though Milvus breaks ties
    as it likes: what is tied at the k-th place is asked for until it is whole.

    Threads may share it. The server has no rule against two rows of one id, so ``add`` asks before
    it inserts: let one process at a time add. Ten thousand rows go in a call; an error between two
    calls leaves the earlier ones added, and says so.

    Parameters
    ----------
    uri : str
        "http://host:19530", or the path of a file that ends in .db (Milvus Lite, in tests).
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    collection : str
        Made if it is not there.
    token : str
        "user:password", where the server asks for it.
    timeout : float
        Seconds that connecting, and each call, may take.

    Raises
    ------
    MissingExtra
        If pymilvus is not installed.
    ResourceError
        If the server cannot be reached, or a call fails.
    UsageError
        If the collection is there and holds something else.
    """

    exact = True

    def __init__(
        self,
        uri: str,
        n_bits: int,
        *,
        collection: str = "narrows",
        token: str = "",
        timeout: float = 10.0,
    ) -> None:
        check_width(n_bits)
        check_number("timeout", timeout, low=0, low_open=True)
        self.n_bits = n_bits
        self._rows = MilvusCollection(uri, n_bits, collection, token, timeout)
        self._lock = SharedLock()

    def __len__(self) -> int:
        return self._rows.count()

    def add(self, ids: Any, codes: NDArray[np.uint8]) -> None:
        codes = check_codes(codes, self.n_bits)
        ids = check_ids(ids, len(codes))
        with self._lock.writing():
            known = self._rows.known(ids)
            if len(known):
                raise UsageError(f"ids: {known[0]} is in the index already; delete it first.")
            self._rows.insert(ids, codes)

    def delete(self, ids: Any) -> None:
        ids = check_ids(ids)
        with self._lock.writing():
            missing = np.setdiff1d(ids, self._rows.known(ids))
            if len(missing):
                first = ids[np.isin(ids, missing)][0]
                raise UsageError(f"ids: {first} is not in the index.")
            self._rows.delete(ids)

    def search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        """Return the k nearest of each code; UsageError if k is above 16,384 and within n."""
        codes, k = check_codes(codes, self.n_bits), check_k(k)
        with self._lock.reading():
            return self._search(codes, k)

    def _search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        found = min(k, len(self))
        if found > _MOST:
            raise UsageError(f"k: Milvus answers with at most {_MOST:,} hits a query, got {k:,}.")
        hits = no_hits(len(codes), k)
        active, limit = np.arange(len(codes) if found else 0), min(_MOST, found + 16)
        while len(active):
            step = max(1, min(_MOST, _HITS // limit))
            left: list[int] = []
            for start in range(0, len(active), step):
                some = active[start : start + step]
                for i, answer in zip(some, self._rows.nearest(codes[some], limit), strict=True):
                    distance, ids = answer
                    tied = len(ids) == limit and distance[-1] == distance[found - 1]
                    if tied and limit < _MOST:
                        left.append(int(i))
                        continue
                    if tied:
                        distance, ids = self._first_tied(codes[i], found, distance, ids)
                    part = top(1, k, np.zeros(len(ids), dtype=np.intp), distance, ids)
                    hits.distances[i], hits.ids[i] = part.distances[0], part.ids[0]
            active, limit = np.array(left, dtype=np.intp), min(_MOST, 8 * limit)
        return hits

    def within(self, codes: NDArray[np.uint8], radius: int) -> RaggedHits:
        codes, radius = check_codes(codes, self.n_bits), check_radius(radius)
        with self._lock.reading():
            return self._within(codes, radius)

    def _within(self, codes: NDArray[np.uint8], radius: int) -> RaggedHits:
        query, distance, ids = [np.empty(0, np.intp)], [np.empty(0, np.int32)], [np.empty(0, int)]
        for i, code in enumerate(codes):
            for near, found in self._ball(code, min(radius, self.n_bits), 0, 2**63 - 1):
                query.append(np.full(len(found), i))
                distance.append(near)
                ids.append(found)
        columns = np.concatenate(query), np.concatenate(distance), np.concatenate(ids)
        return ragged(len(codes), *columns)

    def close(self) -> None:
        """Let the connection go."""
        self._rows.close()

    def drop(self) -> None:
        """Delete the collection with all that is in it, and let the connection go."""
        self._rows.drop()

    def _ball(
        self, code: NDArray[np.uint8], radius: int, low: int, high: int
    ) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int64]]]:
        """Yield all within ``radius`` with ids in [low, high], in as many calls as it takes."""
        ring = {"radius": radius + 1, "range_filter": 0}
        distance, ids = self._rows.nearest(
            code[None], _MOST, ring, f"id >= {low} and id <= {high}"
        )[0]
        if len(ids) < _MOST:
            yield distance, ids
            return
        middle = int(np.median(ids))
        yield from self._ball(code, radius, low, middle)
        yield from self._ball(code, radius, middle + 1, high)

    def _first_tied(
        self, code: NDArray[np.uint8], k: int, distance: NDArray[np.int32], ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the nearer ones and the smallest ids of the thousands tied at the k-th place.

        Each call bounds the ids by the best that are known, so that what is left shrinks.
        """
        at = int(distance[k - 1])
        nearer = distance < at
        needed = k - int(nearer.sum())
        tied = np.sort(ids[distance == at])
        while True:
            bound = int(tied[needed - 1])
            ring = {"radius": at + 1, "range_filter": at}
            tied = np.sort(self._rows.nearest(code[None], _MOST, ring, f"id <= {bound}")[0][1])
            if len(tied) < _MOST:
                break
        return (
            np.append(distance[nearer], np.full(needed, at, dtype=np.int32)),
            np.append(ids[nearer], tied[:needed]),
        )
