"""Store codes in ascending order of their ids, and scan them with faiss."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import UsageError
from narrows.indexing.protocol import check_ids

__all__ = ["CodeTable", "FaissScan"]


class CodeTable:
    """Ids and their codes, sorted by id; every index in memory is built from one.

    The order resolves ties at no cost: a scan of the rows in order that replaces a hit only by a
    strictly smaller distance keeps the smallest ids among equal distances.

    Parameters
    ----------
    width : int
        Number of columns of ``codes``.
    dtype : dtype
        Data type of ``codes``.
    """

    def __init__(self, width: int, dtype: Any = np.uint8) -> None:
        self.ids: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self.codes: NDArray[Any] = np.empty((0, width), dtype=dtype)

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, ids: Any, codes: NDArray[Any]) -> bool:
        """Add rows; return whether all new ids are larger than the existing ones.

        Cost: a copy, O(rows); O(rows log rows) if ids are out of order.

        Raises
        ------
        UsageError
            If an id is repeated or exists already; nothing is added then.
        """
        ids = check_ids(ids, len(codes))
        known = ids[self._places(ids)[1]]
        if known.size:
            raise UsageError(f"ids: {known[0]} is in the index already; delete it first.")
        if not ids.size:
            return True
        ordered = bool((np.diff(ids) > 0).all()) and (not len(self) or ids[0] > self.ids[-1])
        self.ids = np.concatenate([self.ids, ids])
        self.codes = np.concatenate([self.codes, codes])
        if not ordered:
            order = np.argsort(self.ids, kind="stable")
            self.ids, self.codes = self.ids[order], self.codes[order]
        return ordered

    def delete(self, ids: Any) -> None:
        """Delete rows. Raises UsageError, and deletes nothing, if an id does not exist."""
        ids = check_ids(ids)
        places, known = self._places(ids)
        if not known.all():
            raise UsageError(f"ids: {ids[~known][0]} is not in the index.")
        keep = np.ones(len(self), dtype=bool)
        keep[places] = False
        self.ids, self.codes = self.ids[keep], self.codes[keep]

    def _places(self, ids: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the position of each id in the sorted ids, and whether it exists."""
        places = np.searchsorted(self.ids, ids)
        if not len(self):
            return places, np.zeros(len(ids), dtype=bool)
        return places, self.ids[np.minimum(places, len(self) - 1)] == ids


class FaissScan:
    """A flat faiss index of the codes of a table, which is built on demand.

    Parameters
    ----------
    kind : {"IndexBinaryFlat", "IndexFlatIP"}
    width : int
        Width of a code, in bits or numbers.
    """

    def __init__(self, kind: str, width: int) -> None:
        self._kind, self._width = kind, width
        self._index: Any = None

    def of(self, table: CodeTable) -> Any:
        """Return the faiss index, after building it if needed."""
        index = self._index
        if index is None:
            import faiss

            index = getattr(faiss, self._kind)(self._width)
            index.add(table.codes)
            self._index = index  # assigned when complete: another search may read it
        return index

    def add(self, codes: NDArray[Any], *, at_end: bool) -> None:
        """Follow an addition to the table; only codes ``at_end`` of it can be appended."""
        if self._index is not None and at_end:
            self._index.add(codes)
        else:
            self._index = None

    def forget(self) -> None:
        """Drop the faiss index, because other codes changed."""
        self._index = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_index": None}  # a copy rebuilds it
