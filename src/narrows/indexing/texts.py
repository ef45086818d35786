"""Many short texts as one stretch of UTF-8 and the places where they begin."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import ModelFileError

__all__ = ["TextColumn"]

_TRIES = 1000
"""Places where a text may stand inside others before a table of all rows is made instead."""


class TextColumn:
    """A column of texts that are made into objects only when asked for, one by one.

    Half a million ids so load at the speed of memory, and take their own bytes.

    Parameters
    ----------
    blob : uint8 array, optional
        The texts' UTF-8, one after the other.
    offsets : int64 array (n + 1,), optional
        Where each begins, and the last ends.

    Raises
    ------
    ModelFileError
        If the blob is no UTF-8, or the offsets do not cut it into characters from 0 to its end.
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
        return {**vars(self), "_rows": None}  # worked out again where it is needed

    def snapshot(self) -> TextColumn:
        """Return a column of the texts as they are now; nothing is copied. ``extend`` and
        ``keep`` change neither its bytes nor its offsets."""
        column = TextColumn()
        column.blob, column.offsets = self.blob, self.offsets
        return column

    def extend(self, texts: Iterable[bytes]) -> None:
        """Append texts in UTF-8. Cost: a copy of the column."""
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
        """Return a text's row, None if it is not there, without making an object of each row."""
        if self._rows is None:
            wanted, data, start = text.encode(errors="surrogatepass"), self.blob.tobytes(), -1
            for _ in range(_TRIES):
                start = data.find(wanted, start + 1)
                if start < 0:
                    return None
                row = int(np.searchsorted(self.offsets, start))
                whole = row < len(self) and self.offsets[row] == start
                if whole and self.offsets[row + 1] == start + len(wanted):
                    return row
        return self.rows().get(text)

    def rows(self) -> dict[str, int]:
        """Return each text's row: an object each, made once.

        Raises
        ------
        ModelFileError
            If a text stands twice.
        """
        if self._rows is None:
            rows = {text: row for row, text in enumerate(self)}
            if len(rows) < len(self):
                twice = next(text for row, text in enumerate(self) if rows[text] != row)
                raise ModelFileError(f"the name {twice!r} stands twice.")
            self._rows = rows
        return self._rows


def _check(blob: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
    if offsets.ndim != 1 or not len(offsets) or blob.ndim != 1:
        raise ModelFileError("texts: a blob and its offsets are rows of numbers.")
    if offsets[0] != 0 or offsets[-1] != len(blob) or (np.diff(offsets) < 0).any():
        raise ModelFileError("texts: the offsets do not rise from 0 to the end of the blob.")
    inside = offsets[(offsets > 0) & (offsets < len(blob))]
    if ((blob[inside] & 0xC0) == 0x80).any():
        raise ModelFileError("texts: an offset cuts a character in two.")
    try:
        blob.tobytes().decode()
    except UnicodeDecodeError as error:
        raise ModelFileError(f"texts: no UTF-8 at byte {error.start}.") from None
