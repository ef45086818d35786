"""Codes in cells around centers; a query looks into the nearest cells: approximate.

Sivic, Zisserman (2003), "Video Google: a text retrieval approach to object matching in videos",
ICCV: inverted lists of a quantizer's cells.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.indexing.flat_index import FlatIndex
from narrows.indexing.hamming import no_hits, top
from narrows.indexing.protocol import Hits, RaggedHits, check_codes, check_k
from narrows.indexing.rows import Rows

__all__ = ["CellsIndex"]

_PER_CELL = 39
"""Codes a center that k-means asks for, below which it warns."""

_SEED = 1234

_EXACT_BELOW = 10_000


class CellsIndex:
    """faiss's ``IndexBinaryIVF``: about 4 sqrt(n) cells, an eighth of them looked into.

    Approximate: the hits are in order (distance, id), of those in the cells. Below 10,000 codes
    it is ``FlatIndex``, exact. ``within`` is exact: it compares with every code. Adding in
    ascending order of ids sorts new codes into the cells that are; deleting, or growing to
    twice the size, finds new cells at the next search (k-means on a sample, same seed).

    Parameters
    ----------
    n_bits : int
        Width of a code: a multiple of 8 from 8 to 4096.
    """

    exact = False

    def __init__(self, n_bits: int) -> None:
        self._flat = FlatIndex(n_bits)
        self.n_bits = n_bits
        self._faiss: Any = None
        self._built = 0
        self._quantizer: Any = None  # faiss holds it by a bare pointer

    @property
    def rows(self) -> Rows:
        return self._flat.rows

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, ids: Any, codes: NDArray[np.uint8]) -> None:
        self._flat.add(ids, codes)
        if self._faiss is not None and len(self) < 2 * self._built:
            self._faiss.add_with_ids(np.ascontiguousarray(codes), np.array(ids, dtype=np.int64))
        else:
            self._faiss = None

    def delete(self, ids: Any) -> None:
        self._flat.delete(ids)
        self._faiss = None

    def search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        codes, k = check_codes(codes, self.n_bits), check_k(k)
        if len(self) < _EXACT_BELOW or not len(codes):
            return self._flat.search(codes, k)
        asked = min(len(self), k + 64)  # ties at the k-th place, as far as they are found
        distances, ids = self.prepare().search(codes, asked)
        query, place = np.nonzero(ids >= 0)
        if not len(query):
            return no_hits(len(codes), k)
        return top(len(codes), k, query, distances[query, place], ids[query, place])

    def within(self, codes: NDArray[np.uint8], radius: int) -> RaggedHits:
        return self._flat.within(codes, radius)

    @property
    def ready(self) -> bool:
        return len(self) < _EXACT_BELOW or self._faiss is not None

    def prepare(self) -> Any:
        if not self.ready:
            self._faiss = self._build()
            self._built = len(self)
        return self._faiss

    def forget(self) -> None:
        self._flat.forget()
        self._faiss = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_faiss": None, "_quantizer": None}  # copied by building them again

    def _build(self) -> Any:
        import faiss

        n_cells = max(1, min(4 * math.isqrt(len(self)), len(self) // _PER_CELL))
        self._quantizer = faiss.IndexBinaryFlat(self.n_bits)
        cells: Any = faiss.IndexBinaryIVF(self._quantizer, self.n_bits, n_cells)
        cells.cp.seed = _SEED
        step = max(1, len(self) // (_PER_CELL * n_cells))
        cells.train(np.ascontiguousarray(self.rows.codes[::step]))
        cells.nprobe = max(1, n_cells // 8)
        cells.add_with_ids(self.rows.codes, self.rows.ids)
        return cells
