"""Search by comparing each query with every code: exact, and the reference for other kinds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.indexing.code_table import CodeTable, FaissScan
from narrows.indexing.hamming import no_hits
from narrows.indexing.protocol import Hits, check_codes, check_k, check_width

__all__ = ["FlatIndex"]


class FlatIndex:
    """faiss's ``IndexBinaryFlat`` over rows sorted by id.

    Hits and their order are exact: faiss scans rows in order and accepts only a strictly smaller
    distance, so the first rows, which have the smallest ids, are kept among equal distances. (Its
    heap also breaks ties by row; a test verifies that.)

    Cost: O(n) per query. Ids added in ascending order are appended; other additions and deletions
    copy all codes at the next search.

    Parameters
    ----------
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    """

    exact = True

    def __init__(self, n_bits: int) -> None:
        check_width(n_bits)
        self.n_bits = n_bits
        self.table = CodeTable(n_bits // 8)
        self._scan = FaissScan("IndexBinaryFlat", n_bits)

    def __len__(self) -> int:
        return len(self.table)

    def add(self, ids: Any, codes: NDArray[np.uint8]) -> None:
        codes = check_codes(codes, self.n_bits)
        self._scan.add(codes, at_end=self.table.add(ids, codes))

    def delete(self, ids: Any) -> None:
        self.table.delete(ids)
        self._scan.forget()

    def search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        codes, k = check_codes(codes, self.n_bits), check_k(k)
        hits = no_hits(len(codes), k)
        found = min(k, len(self))
        if not found or not len(codes):
            return hits
        distances, places = self.prepare().search(codes, found)
        if found == k:
            return Hits(distances, self.table.ids[places])
        hits.distances[:, :found] = distances
        hits.ids[:, :found] = self.table.ids[places]
        return hits

    @property
    def ready(self) -> bool:
        return True  # concurrent searches may each build the same faiss index

    def prepare(self) -> Any:
        return self._scan.of(self.table)

    def forget(self) -> None:
        self._scan.forget()
