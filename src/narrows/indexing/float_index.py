"""The same look-up for codes of floats: by cosine, every code compared."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.core.checks import check_number
from narrows.errors import UsageError
from narrows.indexing.hamming import no_hits, top
from narrows.indexing.protocol import Hits, RaggedHits, check_k
from narrows.indexing.rows import Rows

__all__ = ["FloatIndex", "check_vectors", "unit_rows"]

_SLACK = 1e-5
"""How far a product in float32 may be off; what lies that near the k-th is compared anew."""

_ROUNDING = 2.0**-23
"""How far the length of a row that was scaled to 1 may be off in float32."""

_QUERIES = 256


class FloatIndex:
    """Codes of floats by 1 - cosine, with faiss's ``IndexFlatIP`` over rows of length 1.

    A row of zeros has similarity 0, so distance 1, to everything. Exact, order (distance, id)
    included: faiss proposes, in float32 and with sums that depend on the batch; what may be
    among the k nearest is compared anew in float64, and rounded to float32.

    Cost: O(n x n_components) a query.

    Parameters
    ----------
    n_components : int
        Width of a code.
    """

    exact = True

    def __init__(self, n_components: int) -> None:
        check_number("n_components", n_components, low=1, high=65536, integer=True)
        self.n_components = n_components
        self.rows = Rows(n_components, np.float32)
        self._faiss: Any = None

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, ids: Any, codes: NDArray[Any]) -> None:
        """Add codes (n, n_components). Raises UsageError if an id is there already."""
        units = unit_rows(check_vectors(codes, self.n_components))
        ordered = self.rows.add(ids, units)
        if self._faiss is not None and ordered:
            self._faiss.add(units)
        else:
            self._faiss = None

    def delete(self, ids: Any) -> None:
        """Delete codes. Raises UsageError if an id is not there."""
        self.rows.delete(ids)
        self._faiss = None

    def search(self, codes: NDArray[Any], k: int) -> Hits:
        """Return the k nearest of each code: distances float32 in [0, 2]."""
        codes, k = unit_rows(check_vectors(codes, self.n_components)), check_k(k)
        if not len(self) or not len(codes):
            return no_hits(len(codes), k, np.float32)
        parts = [
            self._search(codes[start : start + _QUERIES], k)
            for start in range(0, len(codes), _QUERIES)
        ]
        return Hits(
            np.concatenate([part.distances for part in parts]),
            np.concatenate([part.ids for part in parts]),
        )

    def within(self, codes: NDArray[Any], radius: float) -> RaggedHits:
        """Return all whose 1 - cosine is at most ``radius``."""
        check_number("radius", radius, low=0, high=2)
        codes = unit_rows(check_vectors(codes, self.n_components))
        if not len(self) or not len(codes):
            empty = np.empty(0, dtype=np.int64)
            return RaggedHits(np.zeros(len(codes) + 1, np.int64), empty.astype(np.float32), empty)
        bounds, _, places = self.prepare().range_search(codes, 1 - radius - _SLACK)
        query = np.repeat(np.arange(len(codes)), np.diff(bounds.astype(np.int64)))
        distance = self._compare(codes, query, places)
        near = np.flatnonzero(distance <= np.float32(radius))
        query, distance, ids = query[near], distance[near], self.rows.ids[places[near]]
        order = np.lexsort((ids, distance, query))
        offsets = np.searchsorted(query, np.arange(len(codes) + 1)).astype(np.int64)
        return RaggedHits(offsets, distance[order], ids[order])

    def _search(self, codes: NDArray[np.float32], k: int) -> Hits:
        hits = no_hits(len(codes), k, np.float32)
        found, n = min(k, len(self)), len(self)
        blank = ~codes.any(axis=1)  # everything is as far: no need to ask
        hits.ids[blank, :found] = self.rows.ids[:found]
        hits.distances[blank, :found] = 1
        active, asked = np.flatnonzero(~blank), min(n, k + 16)
        while len(active):
            products, places = self.prepare().search(codes[active], asked)
            whole = products[:, -1] < products[:, found - 1] - _SLACK
            whole |= asked == n
            query, place = np.nonzero(whole[:, None] & (places >= 0))
            distance = self._compare(codes[active], query, places[query, place])
            part = top(len(active), k, query, distance, self.rows.ids[places[query, place]])
            hits.distances[active[whole]] = part.distances[whole]
            hits.ids[active[whole]] = part.ids[whole]
            active, asked = active[~whole], min(n, 8 * asked)
        return hits

    def _compare(
        self, codes: NDArray[np.float32], query: NDArray[Any], places: NDArray[Any]
    ) -> NDArray[np.float32]:
        """Return 1 - cosine, one for each pair, the same in whatever batch it comes.

        To seven decimals: that is what rows of float32 hold, and a row is at 0 from itself.
        """
        distance = np.empty(len(query), dtype=np.float32)
        step = max(1, (1 << 22) // self.n_components)
        for start in range(0, len(query), step):
            pairs = slice(start, start + step)
            left = codes[query[pairs]].astype(np.float64)
            right = self.rows.codes[places[pairs]].astype(np.float64)
            squares = (left * left).sum(axis=1) * (right * right).sum(axis=1)
            cosine = (left * right).sum(axis=1) / np.sqrt(np.where(squares > 0, squares, 1))
            distance[pairs] = np.clip(np.round(1 - cosine, 7), 0, 2)
        return distance

    @property
    def ready(self) -> bool:
        return True  # as ``FlatIndex``

    def prepare(self) -> Any:
        """Build what a search needs; see ``LocalIndex.prepare``."""
        flat = self._faiss
        if flat is None:
            import faiss

            flat = faiss.IndexFlatIP(self.n_components)
            flat.add(self.rows.codes)
            self._faiss = flat  # whole, for a search beside this one
        return flat

    def forget(self) -> None:
        """Drop what ``prepare`` builds."""
        self._faiss = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_faiss": None}  # copied by building it again


def check_vectors(codes: Any, n_components: int, what: str = "codes") -> NDArray[Any]:
    """Return codes (n, n_components); UsageError unless finite floats of that width."""
    array = np.asarray(codes)
    if array.dtype.kind != "f" or array.ndim != 2:
        raise UsageError(f"{what}: must be a table of floats, got {array.dtype} {array.shape}.")
    if array.shape[1] != n_components:
        raise UsageError(
            f"{what}: must have {n_components} columns, got {array.shape[1]}; "
            "encode with the model that the index was made with."
        )
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise UsageError(f"{what}: row {row}, column {column} is {array[row, column]}, not finite.")
    return array


def unit_rows(codes: NDArray[Any]) -> NDArray[np.float32]:
    """Return codes with each row of length 1, in float32.

    Rows of zeros stay, and so do rows whose length is 1 as far as float32 can say: a code that is
    saved, loaded and added again is the same to the bit.
    """
    wide = codes.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True, initial=0)
    wide = np.divide(wide, largest, out=wide, where=largest > 0)  # squares of 1e300 would overflow
    norms = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    units = np.divide(wide, norms, out=wide, where=norms > 0).astype(np.float32)
    is_unit = (np.abs(largest * norms - 1) <= _ROUNDING)[:, 0]
    units[is_unit] = codes[is_unit]
    return units
