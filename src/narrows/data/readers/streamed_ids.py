"""Names of a streamed Parquet file's rows, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["StreamedIds"]


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
