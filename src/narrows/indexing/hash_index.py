"""Search by semantic hashing: use a code as an address and probe the addresses around it.

Salakhutdinov, Hinton (2009), "Semantic hashing", International Journal of Approximate Reasoning
50(7): the documents near a query are those in the Hamming ball around its address. For codes
longer than an address, Norouzi, Punjani, Fleet (2012), "Fast search in Hamming space with
multi-index hashing", CVPR: if a code is split into m disjoint addresses, two codes that differ in
d bits differ in at most floor(d / m) bits of at least one address.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.indexing.addresses import AddressTable, Found, balanced_bits, shell
from narrows.indexing.flat_index import FlatIndex
from narrows.indexing.hamming import first, top
from narrows.indexing.protocol import Hits, check_codes, check_k

__all__ = ["HashIndex"]

_SCAN = 64
"""A probe takes about as long as 32 comparisons (measured: 50 and 1.5 ns). Probing may take at most
half the time of a scan, so that a query that is scanned after all loses little."""

_SMALL = 1 << 17
"""Codes that can be scanned in about the time that it takes to start a round of probes."""

_CROWD = 16
"""A scan is faster if more than 1 / ``_CROWD`` of all codes are at a query's addresses."""

_MAX_ADDRESS = 26
_FIRST = 512
_QUERIES = 256


class HashIndex:
    """Hash tables of codes; growing balls around a query's address are probed for the k nearest.

    Hits and their order are exact. The radius grows shell by shell until the completely probed
    radius holds k codes. If the next shell, or the number of codes at the query's addresses, would
    cost more than a scan, ``FlatIndex`` answers the query. faiss's ``IndexBinaryHash`` is similar,
    but it probes one radius for a whole batch, starts over for the next one, does not order ties,
    cannot delete, and reads 8 bytes of a 4-byte code.

    Addresses have about log2(n) + 2 bits: those that split the codes most evenly.

    Cost: O(binomial(address bits, radius)) per query. After additions and deletions the next search
    sorts the tables again (about 3 s for 10 million codes).

    Parameters
    ----------
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    n_tables : int, optional
        Number of disjoint addresses of a code; by default as many as fit into the code.
    """

    exact = True

    def __init__(self, n_bits: int, n_tables: int | None = None) -> None:
        self._flat = FlatIndex(n_bits)
        self.n_bits = n_bits
        self.table = self._flat.table
        self._n_tables = n_tables
        self._tables: list[AddressTable] = []
        self._shells: list[NDArray[np.uint32]] = []

    def __len__(self) -> int:
        return len(self.table)

    def add(self, ids: Any, codes: NDArray[np.uint8]) -> None:
        self._flat.add(ids, codes)
        self._drop_tables()

    def delete(self, ids: Any) -> None:
        self._flat.delete(ids)
        self._drop_tables()

    def search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        codes, k = check_codes(codes, self.n_bits), check_k(k)
        self.prepare()
        if not self._shells or k >= len(self):
            return self._flat.search(codes, k)
        parts = [
            self._search(codes[start : start + _QUERIES], k)
            for start in range(0, max(1, len(codes)), _QUERIES)
        ]
        return Hits(
            np.concatenate([part.distances for part in parts]),
            np.concatenate([part.ids for part in parts]),
        )

    def _search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        shells = self._shells
        tables = len(self._tables)
        limit = tables * len(shells) - 1  # codes farther away are found by a scan
        active = np.arange(len(codes))
        done, scan = np.zeros((2, len(codes)), dtype=bool)
        query = np.empty(0, dtype=np.intp)
        distance, ids = query.astype(np.int32), query.astype(np.int64)
        radius = 0
        while radius < len(shells) and len(active):
            ring = [shells[radius]]
            radius += 1
            # the first shells are small: probe all of them in one round
            while radius < len(shells) and sum(map(len, ring)) + len(shells[radius]) <= _FIRST:
                ring.append(shells[radius])
                radius += 1
            most = len(self) // _CROWD
            more, crowded = self._probe(codes[active], np.concatenate(ring), limit, k, most)
            scan[active[crowded]] = True
            columns = (query, distance, ids), (active[more[0]], *more[1:])
            query, distance, ids = self._unique(
                *(np.concatenate(column) for column in zip(*columns, strict=True))
            )
            seen = query[distance <= tables * radius - 1]
            done |= np.bincount(seen, minlength=len(codes)) >= k
            active = np.flatnonzero(~done & ~scan)
        hits = top(len(codes), k, query, distance, ids)
        scan[active] = True
        if scan.any():
            scanned = self._flat.search(codes[scan], k)
            hits.distances[scan], hits.ids[scan] = scanned.distances, scanned.ids
        return hits

    def _probe(
        self, codes: NDArray[np.uint8], flips: NDArray[np.uint32], limit: int, k: int, most: int
    ) -> tuple[Found, NDArray[np.intp]]:
        """Return the codes at each query's address xor ``flips``, and the crowded queries.

        At most the k nearest candidates of a query are kept from each part.
        """
        empty = np.empty(0, dtype=np.int64)
        found: list[Found] = [(empty, empty.astype(np.int32), empty)]
        crowds = [empty]
        for table in self._tables:
            parts, crowded = table.probe(codes, flips, limit, most)
            found += [first(k, query, far, self.table.ids[row]) for query, far, row in parts]
            crowds.append(crowded)
        query, distance, ids = (np.concatenate(column) for column in zip(*found, strict=True))
        return (query, distance, ids), np.unique(np.concatenate(crowds))

    def _unique(self, query: Any, distance: Any, ids: Any) -> Found:
        """Return distinct candidates: several tables may find the same code."""
        if len(self._tables) == 1:
            return query, distance, ids  # one table finds each code once
        order = np.lexsort((ids, query))
        query, distance, ids = query[order], distance[order], ids[order]
        new = np.ones(len(query), dtype=bool)
        new[1:] = (query[1:] != query[:-1]) | (ids[1:] != ids[:-1])
        return query[new], distance[new], ids[new]

    @property
    def ready(self) -> bool:
        return not len(self) or len(self) < _SMALL or bool(self._tables)

    def prepare(self) -> None:
        if self.ready:
            return
        codes = self.table.codes
        n_address = min(self.n_bits, _MAX_ADDRESS, max(1, len(codes).bit_length() + 1))
        n_tables = max(1, min(self.n_bits // n_address, self._n_tables or self.n_bits))
        bits = balanced_bits(codes)
        self._shells = self._affordable(n_address, n_tables)
        self._tables = [
            AddressTable(codes, bits[t : n_tables * n_address : n_tables]) for t in range(n_tables)
        ]

    def forget(self) -> None:
        self._flat.forget()
        self._drop_tables()

    def _drop_tables(self) -> None:
        self._tables, self._shells = [], []

    def _affordable(self, n_address: int, n_tables: int) -> list[NDArray[np.uint32]]:
        """Return the shells, starting at radius 0, that together cost less than a scan."""
        shells, probes = [], 0
        for radius in range(n_address + 1):
            probes += n_tables * math.comb(n_address, radius)
            if probes * _SCAN > len(self):
                break
            shells.append(shell(n_address, radius))
        return shells
