"""Ids seen so far, as 8-byte hashes: a million of them in about 12 MB."""

from __future__ import annotations

import numpy as np

from narrows.errors import InvalidData

__all__ = ["DistinctIds"]

_LEAST = 1 << 16


class DistinctIds:
    """Refuses an id that was there before.

    Hashes wait in a dictionary and then join a sorted array of 8 bytes each; the dictionary grows
    to a sixteenth of that array, so that memory stays near 8 bytes an id. A repeated id is
    noticed when its dictionary is full, or at the end: always before the pass is over. Two
    different ids of one hash would be refused too: once in 400,000 collections of ten million.

    Parameters
    ----------
    origin : str
        The file.
    unit : str
        What its documents, or rows, are counted in: "line", "row", "file".
    """

    def __init__(self, origin: str, unit: str) -> None:
        self._origin, self._unit = origin, unit
        self._sorted = np.empty(0, dtype=np.int64)
        self._recent: dict[int, int] = {}

    def add(self, name: str, number: int) -> None:
        """Note the id of the document at line or row ``number``.

        Raises
        ------
        InvalidData
            If it, or one since the last look, stood before.
        """
        key = hash(name)
        if key in self._recent:
            raise self._error(number, f"the id {name!r:.60}")
        self._recent[key] = number
        if len(self._recent) >= max(_LEAST, len(self._sorted) >> 4):
            self.finish()

    def finish(self) -> None:
        """Look for the recent ids among all earlier ones."""
        keys = np.sort(np.fromiter(self._recent, np.int64, len(self._recent)))
        places = np.searchsorted(self._sorted, keys)
        inside = places < len(self._sorted)
        again = keys[inside][self._sorted[places[inside]] == keys[inside]]
        if len(again):
            raise self._error(min(self._recent[int(key)] for key in again), "its id")
        self._sorted = np.insert(self._sorted, places, keys)
        self._recent.clear()

    def _error(self, number: int, what: str) -> InvalidData:
        return InvalidData(
            f"{self._origin}, {self._unit} {number}: {what} stands twice; ids must be distinct."
        )
