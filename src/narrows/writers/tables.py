"""Write arrays and tables in the format of the file suffix."""

from __future__ import annotations

import csv
import gzip
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BytesIO, StringIO
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np

from narrows.artefact.durable import replacing
from narrows.data.readers.folders import IMAGE_SUFFIXES, images_in
from narrows.data.readers.kinds import SEPARATORS, is_gzipped, kind_of
from narrows.data.readers.naming import path_of
from narrows.errors import ResourceError, UsageError

__all__ = [
    "Lines",
    "check_rows_file",
    "check_writable",
    "is_table",
    "replacing_table",
    "write_array",
    "write_rows",
    "write_table",
]

_KINDS = ".npy, .csv or .tsv (.csv.gz and .tsv.gz too)"


def check_writable(path: Path, *inputs: str | Path) -> None:
    """Refuse, before any work is done, an output that cannot be written or is an input.

    Inputs are names as on the command line: with columns, ``docs.csv:text=body``, or of data sets.

    Raises
    ------
    ResourceError
        If the folder is missing or read-only, or the path is a folder or a device.
    UsageError
        If the path is one of the inputs, or would be read as part of an input folder: an image, or
        any file in a folder of texts.
    """
    for other in map(path_of, inputs):
        if path.exists() and os.path.exists(other) and os.path.samefile(path, other):
            raise UsageError(f"{path}: is the input {other} itself; choose another output path.")
        if os.path.isdir(other) and _lies_in(path, other) and _is_read_from(path, Path(other)):
            raise UsageError(
                f"{path}: is inside the input folder {other}, so the next run would read it as "
                "input; choose another output path."
            )
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if path.is_dir():
        raise ResourceError(f"{path}: is a folder; name a file.")
    if path.exists() and not path.is_file():
        raise ResourceError(f"{path}: is not a regular file; choose another output path.")
    if not folder.is_dir():
        raise ResourceError(f"{path}: the folder {folder} does not exist; make it first.")
    if not os.access(folder, os.W_OK):
        raise ResourceError(f"{path}: the folder {folder} cannot be written to.")


def _lies_in(path: Path, folder: str) -> bool:
    """Return whether a file is, or would be, in a folder or below it."""
    unlinked = Path(os.path.realpath(path.parent)) / path.name
    return any(Path(os.path.realpath(folder)) in p.parents for p in (unlinked, path.resolve()))


def _is_read_from(path: Path, folder: Path) -> bool:
    """Return whether the reader of a folder would read a file in it; it skips hidden files."""
    if path.name.startswith("."):
        return False
    if any(p.suffix.lower() in IMAGE_SUFFIXES for p in (path, path.resolve())):
        return True  # even among texts: the folder would become one of images
    return next(images_in(folder), None) is None


def is_table(path: Path) -> bool:
    """Return whether a file is a text table, .csv or .tsv (.gz, too), which can hold names."""
    return kind_of(path) in SEPARATORS


def check_rows_file(path: Path, *inputs: str | Path) -> None:
    """Refuse, before any work is done, a file that rows cannot be written to, or an input.

    Raises
    ------
    ResourceError, UsageError
        As in ``check_writable``; UsageError if rows cannot be written with its suffix.
    """
    check_writable(path, *inputs)
    if kind_of(path) != ".npy" and not is_table(path):
        shown = f"{path.suffix!r}" if path.suffix else "no suffix"
        raise UsageError(f"{path}: outputs are written as {_KINDS}, by their suffix; got {shown}.")


def write_rows(
    path: Path,
    blocks: Iterable[np.ndarray],
    *,
    n_rows: int,
    names: list[str] | None = None,
    row_names: tuple[str, Sequence[str]] | None = None,
) -> tuple[int, int]:
    """Write blocks as .npy, .csv or .tsv (.gz, too); return the shape of the numbers.

    They are written as float32, or as float64 if the first block is float64.

    ``names`` are the column names, the header of a table. ``row_names`` is the header of a first
    column of a table, and the names of the rows, its cells; if a column has that name already, an
    underscore is appended to the header.

    Raises
    ------
    ResourceError
        If the disk is full or the file cannot be written; an older file stays intact.
    UsageError
        If the suffix is unknown.
    """
    check_rows_file(path)
    if is_table(path):
        return n_rows, _write_lines(path, blocks, names, row_names)
    width, dtype = 0, np.dtype("<f4")
    with replacing(path) as file:
        for i, block in enumerate(blocks):
            if i == 0:
                width = block.shape[1]
                dtype = np.dtype("<f8" if block.dtype == np.float64 else "<f4")
                shape = (n_rows, width)
                header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(block, dtype=dtype).data)
    return n_rows, width


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy, with its shape and dtype.

    Raises
    ------
    ResourceError
        If the disk is full or the file cannot be written; an older file stays intact.
    """
    check_writable(path)
    with replacing(path) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def write_table(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns of equal length, texts or numbers, as .csv or .tsv (.gz, too) with a header.

    Raises
    ------
    ResourceError
        If the disk is full or the file cannot be written; an older file stays intact.
    """
    check_writable(path)
    with replacing_table(path) as lines:
        lines.cells(columns)
        for cells in zip(*(map(_cell, column) for column in columns.values()), strict=True):
            lines.cells(cells)


def _cell(value: object) -> object:
    return f"{value:.9g}" if isinstance(value, float | np.floating) else value


def _write_lines(
    path: Path,
    blocks: Iterable[np.ndarray],
    names: list[str] | None,
    row_names: tuple[str, Sequence[str]] | None,
) -> int:
    """Write rows as a table, and return its number of numeric columns."""
    width = 0
    rows = None if row_names is None else iter(row_names[1])
    with replacing_table(path) as lines:
        for i, block in enumerate(blocks):
            if i == 0:
                width = block.shape[1]
                if header := _header(width, names, row_names):
                    lines.cells(header)
            lines.numbers(block, None if rows is None else list(islice(rows, len(block))))
    return width


def _header(
    width: int, names: list[str] | None, row_names: tuple[str, Sequence[str]] | None
) -> list[str]:
    """Return the cells of the header, [] without one."""
    if row_names is None:
        return names or []
    header, columns = row_names[0], [*(names or map(str, range(width)))]
    while header in columns:
        header += "_"
    return [header, *columns]


class Lines:
    """Writes lines of cells to an open file, with a separator between the cells.

    Parameters
    ----------
    file : binary file
    separator : str
    """

    def __init__(self, file: IO[bytes], separator: str) -> None:
        self._file, self._separator = file, separator

    def cells(self, cells: Iterable[object]) -> None:
        """Write a line of texts and numbers."""
        self._file.write(self._line(cells))

    def numbers(self, block: np.ndarray, names: Sequence[str] | None = None) -> None:
        """Write a line per row of numbers, after the name of the row.

        Numbers are written with the fewest digits that give them back exactly.
        """
        if names is None:
            _write_numbers(self._file, block, self._separator)
            return
        numbers = BytesIO()
        _write_numbers(numbers, block, self._separator)
        separator = self._separator.encode()
        for name, line in zip(names, numbers.getvalue().splitlines(keepends=True), strict=True):
            self._file.write(self._line([name]).rstrip(b"\n") + separator + line)

    def _line(self, cells: Iterable[object]) -> bytes:
        text = StringIO()
        # with \r\n as its terminator, csv quotes cells with either of the two
        csv.writer(text, delimiter=self._separator, lineterminator="\r\n").writerow(cells)
        return text.getvalue().removesuffix("\r\n").encode() + b"\n"


@contextmanager
def replacing_table(path: Path, separator: str | None = None) -> Iterator[Lines]:
    """Open a new table that replaces ``path`` when the block ends without an error.

    The separator is that of the suffix by default.

    Raises
    ------
    ResourceError
        As in ``replacing``.
    """
    separator = separator or SEPARATORS[kind_of(path)]
    with replacing(path) as file:
        if not is_gzipped(path):
            yield Lines(file, separator)
            return
        # without name and time: equal tables have equal bytes
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as compressed:
            binary: Any = compressed
            yield Lines(binary, separator)


def _write_numbers(file: IO[bytes], block: np.ndarray, separator: str) -> None:
    import pyarrow
    from pyarrow import csv as arrow_csv

    dtype = np.float64 if block.dtype == np.float64 else np.float32
    columns = [np.ascontiguousarray(column, dtype=dtype) for column in block.T]
    table = pyarrow.table(columns, names=[str(i) for i in range(len(columns))])
    options = arrow_csv.WriteOptions(include_header=False, delimiter=separator)
    arrow_csv.write_csv(table, file, options)
