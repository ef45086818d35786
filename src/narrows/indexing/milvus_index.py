"""Search codes on a Milvus server, for collections too large for one machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.core.checks import check_number
from narrows.errors import UsageError
from narrows.indexing.hamming import no_hits, top
from narrows.indexing.milvus_collection import MilvusCollection
from narrows.indexing.protocol import Hits, check_codes, check_ids, check_k, check_width
from narrows.indexing.shared_lock import SharedLock

__all__ = ["MilvusIndex"]

_MOST = 16_384
"""Milvus's limit on hits per query and on queries per call."""

_HITS = 1_000_000


class MilvusIndex:
    """Binary codes in a Milvus collection, searched exactly by Hamming distance (``BIN_FLAT``).

    Hits are ordered by distance, then by id, as in every index here. Milvus orders ties
    arbitrarily, so the search requests more hits until all ties at the k-th place are known.

    Threads may share it. The server allows several rows with one id, so ``add`` looks the ids up
    before it inserts: only one process at a time may add. A call inserts ten thousand rows; if a
    later call fails, the rows of earlier calls stay, and the error says so.

    Parameters
    ----------
    uri : str
        "http://host:19530", or the path of a .db file (Milvus Lite, for tests).
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    collection : str
        Created if it does not exist.
    token : str
        "user:password", if the server requires it.
    timeout : float
        Seconds that connecting and each call may take.

    Raises
    ------
    MissingExtra
        If pymilvus is not installed.
    ResourceError
        If the server cannot be reached or a call fails.
    UsageError
        If the collection exists and does not hold codes of ``n_bits``.
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
        """Return the k nearest codes of each query code.

        Raises
        ------
        UsageError
            If more than 16,384 hits per query are needed.
        """
        codes, k = check_codes(codes, self.n_bits), check_k(k)
        with self._lock.reading():
            return self._search(codes, k)

    def _search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        found = min(k, len(self))
        if found > _MOST:
            raise UsageError(f"k: Milvus returns at most {_MOST:,} hits per query, got {k:,}.")
        hits = no_hits(len(codes), k)
        active, limit = np.arange(len(codes) if found else 0), min(_MOST, found + 16)
        while len(active):
            step = max(1, min(_MOST, _HITS // limit))
            unresolved: list[int] = []
            for start in range(0, len(active), step):
                some = active[start : start + step]
                for i, answer in zip(some, self._rows.nearest(codes[some], limit), strict=True):
                    distance, ids = answer
                    tied = len(ids) == limit and distance[-1] == distance[found - 1]
                    if tied and limit < _MOST:
                        unresolved.append(int(i))
                        continue
                    if tied:
                        distance, ids = self._first_tied(codes[i], found, distance, ids)
                    part = top(1, k, np.zeros(len(ids), dtype=np.intp), distance, ids)
                    hits.distances[i], hits.ids[i] = part.distances[0], part.ids[0]
            active, limit = np.array(unresolved, dtype=np.intp), min(_MOST, 8 * limit)
        return hits

    def close(self) -> None:
        """Close the connection."""
        self._rows.close()

    def drop(self) -> None:
        """Delete the collection with its content, and close the connection."""
        self._rows.drop()

    def _first_tied(
        self, code: NDArray[np.uint8], k: int, distance: NDArray[np.int32], ids: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the hits nearer than the k-th, and the smallest ids of those tied with it.

        Each call bounds the ids by the best ones known, until no more than a call returns are left.
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
