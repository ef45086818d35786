"""Build hash tables of codes by address, and enumerate the addresses at a Hamming radius."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.indexing.hamming import as_words, distances

__all__ = ["AddressTable", "balanced_bits", "shell"]

_PROBES = 1 << 15
"""Addresses looked up at a time, few enough for the processor's cache."""

_CANDIDATES = 1 << 20
"""Approximate number of codes compared at a time; a single query may have more."""

_COUNT = np.int32  # at most 2**31 rows

Found = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def shell(n_bits: int, radius: int) -> NDArray[np.uint32]:
    """Return all words of ``n_bits`` bits that have exactly ``radius`` bits set, in any order."""
    if radius < 0 or radius > n_bits:
        return np.empty(0, dtype=np.uint32)
    if radius in (0, n_bits):
        return np.array([(1 << n_bits) - 1 if radius else 0], dtype=np.uint32)
    top = np.uint32(1 << (n_bits - 1))
    return np.concatenate([shell(n_bits - 1, radius), shell(n_bits - 1, radius - 1) | top])


def balanced_bits(codes: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return the positions of a code's bits, sorted by how evenly they split the codes.

    The split is measured on about 65,536 evenly spaced rows, so the result is deterministic.
    """
    sample = codes[:: max(1, len(codes) >> 16)]
    share = np.unpackbits(sample, axis=1).mean(axis=0)
    return np.argsort(np.abs(share - 0.5), kind="stable")


class AddressTable:
    """Codes sorted by an address, which consists of some of their bits.

    The codes at one address are contiguous: a lookup reads two entries of ``_starts`` and one run
    of codes.

    Memory: 4 bytes per address; 4 bytes and the code per row.

    Parameters
    ----------
    codes : uint8 array (n, n_bytes)
    bits : int array (n_address_bits,)
        Positions of the bits that form the address; at most 26.
    """

    def __init__(self, codes: NDArray[np.uint8], bits: NDArray[np.intp]) -> None:
        self.bits = bits
        addresses = self.addresses(codes)
        self._order = np.argsort(addresses, kind="stable").astype(_COUNT)
        self._starts = np.zeros((1 << len(bits)) + 1, dtype=_COUNT)
        np.cumsum(np.bincount(addresses, minlength=1 << len(bits)), out=self._starts[1:])
        self._words = as_words(codes)[self._order]

    def addresses(self, codes: NDArray[np.uint8]) -> NDArray[np.uint32]:
        """Return the addresses (n,) of codes (n, n_bytes)."""
        addresses = np.zeros(len(codes), dtype=np.uint32)
        for place, bit in enumerate(self.bits):
            value = (codes[:, bit >> 3] >> np.uint8(7 - (bit & 7))) & np.uint8(1)
            addresses |= value.astype(np.uint32) << np.uint32(place)
        return addresses

    def probe(
        self, codes: NDArray[np.uint8], flips: NDArray[np.uint32], limit: int, most: int
    ) -> tuple[list[Found], NDArray[np.intp]]:
        """Return the codes at each query's address xor each of ``flips``.

        They come in parts (query, distance, row) with distances up to ``limit``. The second result
        lists the queries with more than ``most`` codes at their addresses; the parts may lack them.

        Cost: O(n_queries x flips + codes found).
        """
        parts: list[Found] = []
        crowded: list[NDArray[np.intp]] = [np.empty(0, dtype=np.intp)]
        step = max(1, _PROBES // len(flips))
        for first in range(0, len(codes), step):
            some = codes[first : first + step]
            for begin in range(0, len(flips), _PROBES):
                query, starts, counts = self._look_up(some, flips[begin : begin + _PROBES])
                load = np.bincount(query, weights=counts, minlength=len(some))
                crowded.append(first + np.flatnonzero(load > most))
                # bound the number of codes compared at once; keep each query in one group
                group = np.cumsum(np.where(load > most, 0, load)) // _CANDIDATES
                group[load > most] = -1
                for number in np.unique(group[query]):
                    if number >= 0:
                        in_group = group[query] == number
                        part = self._compare(
                            some, query[in_group], starts[in_group], counts[in_group], limit
                        )
                        parts.append((first + part[0], *part[1:]))
        return parts, np.unique(np.concatenate(crowded))

    def _look_up(
        self, codes: NDArray[np.uint8], flips: NDArray[np.uint32]
    ) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
        """Return (query, start, count) of the addresses that hold codes."""
        probes = (self.addresses(codes)[:, None] ^ flips[None]).ravel()
        starts = self._starts[probes]
        counts = self._starts[1:][probes] - starts
        filled = np.flatnonzero(counts)
        return filled // len(flips), starts[filled], counts[filled]

    def _compare(
        self,
        codes: NDArray[np.uint8],
        query: NDArray[np.intp],
        starts: NDArray[np.int32],
        counts: NDArray[np.int32],
        limit: int,
    ) -> Found:
        """Return (query, distance, row) of the codes in the runs, up to distance ``limit``."""
        ends = np.cumsum(counts, dtype=np.int64)
        query = np.repeat(query, counts)
        place = np.repeat(starts - (ends - counts), counts) + np.arange(ends[-1])
        distance = distances(self._words[place], as_words(codes)[query])
        near = np.flatnonzero(distance <= limit)
        return query[near], distance[near], self._order[place[near]]
