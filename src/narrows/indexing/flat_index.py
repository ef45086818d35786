"""Every code compared with the query: exact at any width, and the yardstick of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.indexing.hamming import no_hits, scan_within
from narrows.indexing.protocol import (
    Hits,
    RaggedHits,
    check_codes,
    check_k,
    check_radius,
    check_width,
)
from narrows.indexing.rows import Rows

__all__ = ["FlatIndex"]


class FlatIndex:
    """faiss's ``IndexBinaryFlat`` over rows in the order of their ids.

    Exact, order included: faiss scans rows in order and lets only a strictly smaller distance
    in, so that among equals the first rows stay, which here are the smallest ids. (Its heap
    breaks ties by row as well; a test holds it to that.)

    Cost: O(n) a query. Adding in ascending order of ids appends; adding out of order, and
    deleting, copy the codes anew at the next search.

    Parameters
    ----------
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    """

    exact = True

    def __init__(self, n_bits: int) -> None:
        check_width(n_bits)
        self.n_bits = n_bits
        self.rows = Rows(n_bits // 8)
        self._faiss: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, ids: Any, codes: NDArray[np.uint8]) -> None:
        codes = check_codes(codes, self.n_bits)
        ordered = self.rows.add(ids, codes)
        if self._faiss is not None and ordered:
            self._faiss.add(codes)
        else:
            self._faiss = None

    def delete(self, ids: Any) -> None:
        self.rows.delete(ids)
        self._faiss = None

    def search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        codes, k = check_codes(codes, self.n_bits), check_k(k)
        hits = no_hits(len(codes), k)
        found = min(k, len(self))
        if not found or not len(codes):
            return hits
        distances, places = self.prepare().search(codes, found)
        if found == k:
            return Hits(distances, self.rows.ids[places])
        hits.distances[:, :found] = distances
        hits.ids[:, :found] = self.rows.ids[places]
        return hits

    def within(self, codes: NDArray[np.uint8], radius: int) -> RaggedHits:
        codes, radius = check_codes(codes, self.n_bits), check_radius(radius)
        return scan_within(codes, self.rows.codes, self.rows.ids, radius)

    @property
    def ready(self) -> bool:
        return True  # searches may build at once: each builds the same, for itself

    def prepare(self) -> Any:
        flat = self._faiss
        if flat is None:
            import faiss

            flat = faiss.IndexBinaryFlat(self.n_bits)
            flat.add(self.rows.codes)
            self._faiss = flat  # whole, for a search beside this one
        return flat

    def forget(self) -> None:
        self._faiss = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_faiss": None}  # copied by building it again
