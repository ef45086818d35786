"""Lines of a table of text, .csv or .tsv, folded by gzip where its name ends in .gz."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO, StringIO
from pathlib import Path
from typing import IO, Any

import numpy as np

from narrows.data.readers.kinds import SEPARATORS, is_folded, kind_of
from narrows.durable import replacing

__all__ = ["Lines", "replacing_table"]


class Lines:
    """Writes lines to an open file, with the separator of its kind between the cells.

    Parameters
    ----------
    file : binary file
    separator : str
    """

    def __init__(self, file: IO[bytes], separator: str) -> None:
        self._file, self._separator = file, separator

    def cells(self, cells: Iterable[object]) -> None:
        """Write a line of texts and numbers as they are."""
        self._file.write(self._line(cells))

    def numbers(self, block: np.ndarray, names: Sequence[str] | None = None) -> None:
        """Write a line a row of numbers, by the shortest digits that say each to the bit, behind
        the names of the rows."""
        if names is None:
            _write_numbers(self._file, block, self._separator)
            return
        numbers = BytesIO()
        _write_numbers(numbers, block, self._separator)
        between = self._separator.encode()
        for name, line in zip(names, numbers.getvalue().splitlines(keepends=True), strict=True):
            self._file.write(self._line([name]).rstrip(b"\n") + between + line)

    def _line(self, cells: Iterable[object]) -> bytes:
        text = StringIO()
        # \r\n: csv quotes the breaks that it knows
        csv.writer(text, delimiter=self._separator, lineterminator="\r\n").writerow(cells)
        return text.getvalue().removesuffix("\r\n").encode() + b"\n"


@contextmanager
def replacing_table(path: Path) -> Iterator[Lines]:
    """Open a new table that takes the place of ``path`` when the block ends without an error.

    Raises
    ------
    ResourceError
        As ``replacing``.
    """
    with replacing(path) as file:
        if not is_folded(path):
            yield Lines(file, SEPARATORS[kind_of(path)])
            return
        # without name and time: what is the same has the same bytes
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as folded:
            unfolded: Any = folded
            yield Lines(unfolded, SEPARATORS[kind_of(path)])


def _write_numbers(file: IO[bytes], block: np.ndarray, separator: str) -> None:
    import pyarrow
    from pyarrow import csv as arrow_csv

    dtype = np.float64 if block.dtype == np.float64 else np.float32
    columns = [np.ascontiguousarray(column, dtype=dtype) for column in block.T]
    table = pyarrow.table(columns, names=[str(i) for i in range(len(columns))])
    options = arrow_csv.WriteOptions(include_header=False, delimiter=separator)
    arrow_csv.write_csv(table, file, options)
