"""Check that ids are distinct, and read ids of streamed files on demand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from narrows.errors import InvalidData

__all__ = ["DistinctIds", "StreamedIds"]

_LEAST = 1 << 16


class DistinctIds:
    """Refuse repeated ids, with about 8 bytes of memory per id.

    Hashes are collected in a dictionary, and then merged into a sorted array; the dictionary grows
    to 1/16 of that array. A repeated id is found when the dictionary is full, or at the end. Two
    different ids with equal hashes are refused too: once in 400,000 collections of ten million ids.

    Parameters
    ----------
    origin : str
        The file.
    unit : str
        The unit in which its documents or rows are counted: "line", "row", "file".
    """

    def __init__(self, origin: str, unit: str) -> None:
        self._origin, self._unit = origin, unit
        self._sorted = np.empty(0, dtype=np.int64)
        self._recent: dict[int, int] = {}

    def add(self, name: str, number: int) -> None:
        """Add the id of the document or row at line or row ``number``.

        Raises
        ------
        InvalidData
            If it, or another id since the last merge, is repeated.
        """
        key = hash(name)
        if key in self._recent:
            raise self._error(number, f"the id {name!r:.60}")
        self._recent[key] = number
        if len(self._recent) >= max(_LEAST, len(self._sorted) >> 4):
            self.finish()

    def finish(self) -> None:
        """Merge the recent ids; raise InvalidData if one of them is repeated."""
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
    """The ids in a column of a Parquet file, which are not kept in memory.

    Iteration reads the column once, batch by batch; indexing reads the row groups of the ids.

    Parameters
    ----------
    group_rows : sequence of int
        Number of rows of each row group.
    read : callable
        Yields the ids in the row groups with the given numbers, in order.
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
