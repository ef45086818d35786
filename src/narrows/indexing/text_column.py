"""Store many short strings as one UTF-8 array and the offsets where they begin."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import ModelFileError

__all__ = ["TextColumn"]

_TRIES = 1000
"""Matches inside of other strings to pass over before building a dictionary of all rows."""


class TextColumn:
    """A column of strings that creates Python objects only for the rows that are read.

    Half a million ids load at the speed of memory and take no more than their own bytes.

    Parameters
    ----------
    blob : uint8 array, optional
        The strings in UTF-8, concatenated.
    offsets : int64 array (n + 1,), optional
        Where each string begins, and where the last one ends.

    Raises
    ------
    ModelFileError
        If the blob is not UTF-8, or the offsets do not split it, from 0 to its end, between
        characters.
    """

    def __init__(
        self,
        blob: NDArray[np.uint8] | None = None,
        offsets: NDArray[np.int64] | None = None,
    ) -> None:
        self.blob = np.empty(0, dtype=np.uint8) if blob is None else blob
        self.offsets = np.zeros(1, dtype=np.int64) if offsets is None else offsets
        _check(self.blob, self.offsets)
        self._rows: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, row: int) -> str:
        return self.blob[self.offsets[row] : self.offsets[row + 1]].tobytes().decode()

    def __iter__(self) -> Any:
        return (self[row] for row in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_rows": None}  # rebuilt on demand

    def snapshot(self) -> TextColumn:
        """Return a column of the current strings, without a copy; later ``extend`` and ``keep``
        do not change it."""
        column = TextColumn()
        column.blob, column.offsets = self.blob, self.offsets
        return column

    def extend(self, texts: Iterable[bytes]) -> None:
        """Append strings in UTF-8. Cost: a copy of the column."""
        texts = list(texts)
        if self._rows is not None:
            self._rows.update((text.decode(), len(self) + i) for i, text in enumerate(texts))
        ends = np.array(list(accumulate(map(len, texts))), dtype=np.int64)
        self.offsets = np.concatenate([self.offsets, self.offsets[-1] + ends])
        self.blob = np.concatenate([self.blob, np.frombuffer(b"".join(texts), dtype=np.uint8)])

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Drop the rows that are not ``kept`` (n,). Cost: a copy of the column."""
        lengths = np.diff(self.offsets)
        self.blob = self.blob[np.repeat(kept, lengths)]
        self.offsets = np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64)
        self._rows = None

    def find(self, text: str) -> int | None:
        """Return the row of a string, or None, without creating an object for every row."""
        if self._rows is None:
            pattern, data, start = text.encode(errors="surrogatepass"), self.blob.tobytes(), -1
            for _ in range(_TRIES):
                start = data.find(pattern, start + 1)
                if start < 0:
                    return None
                row = int(np.searchsorted(self.offsets, start))
                begins = row < len(self) and self.offsets[row] == start
                if begins and self.offsets[row + 1] == start + len(pattern):
                    return row
        return self.rows().get(text)

    def rows(self) -> dict[str, int]:
        """Return a dictionary from strings to rows, built once.

        Raises
        ------
        ModelFileError
            If a string is repeated.
        """
        if self._rows is None:
            rows = {text: row for row, text in enumerate(self)}
            if len(rows) < len(self):
                repeated = next(text for row, text in enumerate(self) if rows[text] != row)
                raise ModelFileError(f"the name {repeated!r} is repeated.")
            self._rows = rows
        return self._rows


def _check(blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    if offsets.ndim != 1 or not len(offsets) or blob.ndim != 1:
        raise ModelFileError("strings: the blob and its offsets must be 1-D arrays.")
    if offsets[0] != 0 or offsets[-1] != len(blob) or (np.diff(offsets) < 0).any():
        raise ModelFileError("strings: the offsets do not rise from 0 to the end of the blob.")
    inside = offsets[(offsets > 0) & (offsets < len(blob))]
    if ((blob[inside] & 0xC0) == 0x80).any():
        raise ModelFileError("strings: an offset splits a character.")
    try:
        blob.tobytes().decode()
    except UnicodeDecodeError as error:
        raise ModelFileError(f"strings: invalid UTF-8 at byte {error.start}.") from None
