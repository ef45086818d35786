"""Search codes of floats by cosine, comparing each query with every code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.core.checks import check_number
from narrows.errors import UsageError
from narrows.indexing.code_table import CodeTable, FaissScan
from narrows.indexing.hamming import no_hits, top
from narrows.indexing.protocol import Hits, check_k
from narrows.neighbors.ranking import unit_rows

__all__ = ["FloatIndex", "check_vectors", "unit_codes"]

_SLACK = 1e-5
"""Largest error of a float32 product; candidates this close to the k-th are compared again."""

_ROUNDING = 2.0**-23
"""Largest error of the length of a row scaled to length 1 in float32."""

_QUERIES = 256


class FloatIndex:
    """Codes of floats under the distance 1 - cosine, in faiss's ``IndexFlatIP`` of unit rows.

    A row of zeros has cosine 0, and so distance 1, to every row. Hits and their order by
    (distance, id) are exact: faiss proposes candidates in float32, with sums that depend on the
    batch; those that may be among the k nearest are compared again in float64, and the distances
    are rounded to float32.

    Cost: O(n x n_components) per query.

    Parameters
    ----------
    n_components : int
        Width of a code.
    """

    exact = True

    def __init__(self, n_components: int) -> None:
        check_number("n_components", n_components, low=1, high=65536, integer=True)
        self.n_components = n_components
        self.table = CodeTable(n_components, np.float32)
        self._scan = FaissScan("IndexFlatIP", n_components)

    def __len__(self) -> int:
        return len(self.table)

    def add(self, ids: Any, codes: NDArray[Any]) -> None:
        """Add codes (n, n_components). Raises UsageError if an id exists already."""
        units = unit_codes(check_vectors(codes, self.n_components))
        self._scan.add(units, at_end=self.table.add(ids, units))

    def delete(self, ids: Any) -> None:
        """Delete codes. Raises UsageError if an id does not exist."""
        self.table.delete(ids)
        self._scan.forget()

    def search(self, codes: NDArray[Any], k: int) -> Hits:
        """Return the k nearest codes of each query code; distances are float32 in [0, 2]."""
        codes, k = unit_codes(check_vectors(codes, self.n_components)), check_k(k)
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

    def _search(self, codes: NDArray[np.float32], k: int) -> Hits:
        hits = no_hits(len(codes), k, np.float32)
        found, n = min(k, len(self)), len(self)
        blank = ~codes.any(axis=1)  # at distance 1 from every row
        hits.ids[blank, :found] = self.table.ids[:found]
        hits.distances[blank, :found] = 1
        active, n_candidates = np.flatnonzero(~blank), min(n, k + 16)
        while len(active):
            products, places = self.prepare().search(codes[active], n_candidates)
            complete = products[:, -1] < products[:, found - 1] - _SLACK
            complete |= n_candidates == n
            query, place = np.nonzero(complete[:, None] & (places >= 0))
            distance = self._compare(codes[active], query, places[query, place])
            part = top(len(active), k, query, distance, self.table.ids[places[query, place]])
            hits.distances[active[complete]] = part.distances[complete]
            hits.ids[active[complete]] = part.ids[complete]
            active, n_candidates = active[~complete], min(n, 8 * n_candidates)
        return hits

    def _compare(
        self, codes: NDArray[np.float32], query: NDArray[Any], places: NDArray[Any]
    ) -> NDArray[np.float32]:
        """Return 1 - cosine of each (query, place) pair, independent of the batch.

        Distances are rounded to seven decimals, the precision of float32 rows, so that a row has
        distance 0 to itself.
        """
        distance = np.empty(len(query), dtype=np.float32)
        step = max(1, (1 << 22) // self.n_components)
        for start in range(0, len(query), step):
            pairs = slice(start, start + step)
            left = codes[query[pairs]].astype(np.float64)
            right = self.table.codes[places[pairs]].astype(np.float64)
            squares = (left * left).sum(axis=1) * (right * right).sum(axis=1)
            cosine = (left * right).sum(axis=1) / np.sqrt(np.where(squares > 0, squares, 1))
            distance[pairs] = np.clip(np.round(1 - cosine, 7), 0, 2)
        return distance

    @property
    def ready(self) -> bool:
        return True  # see ``FlatIndex``

    def prepare(self) -> Any:
        """Build the faiss index; see ``LocalIndex.prepare``."""
        return self._scan.of(self.table)

    def forget(self) -> None:
        """Drop the faiss index; see ``LocalIndex.forget``."""
        self._scan.forget()


def check_vectors(codes: Any, n_components: int, what: str = "codes") -> NDArray[Any]:
    """Return codes (n, n_components); raise UsageError unless they are finite floats."""
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


def unit_codes(codes: NDArray[Any]) -> NDArray[np.float32]:
    """Return codes (n, n_components) scaled to length 1, float32; rows of zeros stay.

    Rows of length 1 within the rounding of float32 also stay, so a code that is saved, loaded and
    added again does not change by a bit.
    """
    units = unit_rows(codes)
    with np.errstate(over="ignore"):  # the length of 1e300 is not 1
        lengths = np.linalg.norm(codes.astype(np.float64), axis=1)
    is_unit = np.abs(lengths - 1) <= _ROUNDING
    units[is_unit] = codes[is_unit]
    return units
