"""Check that ids are distinct, and read ids of streamed files on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from narrows.errors import InvalidData

__all__ = ["DistinctIds", "StreamedIds"]

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
            f"{self._origin}, {self._unit} {number}: {what} is repeated; ids must be distinct."
        )


class StreamedIds(Sequence[str]):
    """The ids in a column of a Parquet file; none is held in memory.

    Iterating reads the column once, batch by batch. An index reads the row group that it is in.

    Parameters
    ----------
    group_rows : sequence of int
        How many rows each row group has.
    read : callable
        From numbers of row groups to the ids in them, in order.
    """

    def __init__(
        self, group_rows: Sequence[int], read: Callable[[Sequence[int]], Iterator[str]]
    ) -> None:
        self._stops = np.cumsum(group_rows)
        self._read = read

    def __len__(self) -> int:
        return int(self._stops[-1])

    def __iter__(self) -> Iterator[str]:
        return self._read(range(len(self._stops)))

    def __getitem__(self, rows: Any) -> Any:
        numbers = np.arange(len(self))[rows]
        found = {int(n): "" for n in np.sort(numbers.reshape(-1))}
        groups = np.searchsorted(self._stops, [*found], side="right")
        for group in np.unique(groups):
            stop = int(self._stops[group])
            first = int(self._stops[group - 1]) if group else 0
            wanted = {n for n in found if first <= n < stop}
            for number, name in enumerate(self._read([int(group)]), start=first):
                if number in wanted:
                    found[number] = name
        names = [found[int(n)] for n in numbers.reshape(-1)]
        return names[0] if numbers.ndim == 0 else np.array(names, dtype=object)
