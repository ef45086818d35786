"""Results to files: rows in blocks, put in place whole."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO, StringIO
from pathlib import Path
from typing import BinaryIO

import numpy as np

from narrows.data.readers.folders import IMAGE_SUFFIXES, images_in
from narrows.durable import replacing
from narrows.errors import ResourceError, UsageError

__all__ = [
    "check_rows_file",
    "check_writable",
    "is_csv",
    "write_array",
    "write_rows",
    "write_table",
]

_SUFFIXES = (".npy", ".csv")


def check_writable(path: Path, *inputs: str | Path) -> None:
    """Refuse, before any work is done, an output that cannot be written or is an input.

    Inputs are named as commands have them: with columns, ``docs.csv:text=body``, or a data set.

    Raises
    ------
    ResourceError
        If the folder is missing or read-only, or the path is a folder or a device.
    UsageError
        If the path is one of the inputs, or in a folder that is one and of a kind that is read
        there: an image, or any file in a folder of texts.
    """
    for other in map(_file_of, inputs):
        if path.exists() and os.path.exists(other) and os.path.samefile(path, other):
            raise UsageError(f"{path}: is the input {other} itself; name another output.")
        if os.path.isdir(other) and _lies_in(path, other) and _is_read_from(path, Path(other)):
            raise UsageError(
                f"{path}: lies in the input folder {other}, of which the next run would read it; "
                "name an output elsewhere."
            )
    folder = Path(os.path.realpath(path)).parent if path.is_symlink() else path.parent
    if path.is_dir():
        raise ResourceError(f"{path}: is a folder; name a file.")
    if path.exists() and not path.is_file():
        raise ResourceError(f"{path}: is no regular file; name another output.")
    if not folder.is_dir():
        raise ResourceError(f"{path}: the folder {folder} does not exist; make it first.")
    if not os.access(folder, os.W_OK):
        raise ResourceError(f"{path}: the folder {folder} cannot be written to.")


def check_rows_file(path: Path, *inputs: str | Path) -> None:
    """Refuse, before any work is done, a file that rows cannot be written to, or an input.

    Raises
    ------
    ResourceError, UsageError
        As ``check_writable``; UsageError if the file is called neither .npy nor .csv.
    """
    check_writable(path, *inputs)
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"{path}: outputs are written as .npy or .csv.")


def is_csv(path: Path) -> bool:
    """Return whether a file that rows are written to is a .csv."""
    return path.suffix.lower() == ".csv"


def _lies_in(path: Path, folder: str) -> bool:
    """Return whether a file is, or would be, in a folder or in one below it."""
    beside = Path(os.path.realpath(path.parent)) / path.name
    return any(Path(os.path.realpath(folder)) in p.parents for p in (beside, path.resolve()))


def _is_read_from(path: Path, folder: Path) -> bool:
    """Return whether the reader of a folder would read a file in it: hidden ones are not read."""
    if path.name.startswith("."):
        return False
    if any(p.suffix.lower() in IMAGE_SUFFIXES for p in (path, path.resolve())):
        return True  # among texts too: they would be a folder of images then
    return next(images_in(folder), None) is None


def _file_of(name: str | Path) -> str:
    """Return the file of an input, without the columns that may be named after it."""
    file, _, columns = str(name).rpartition(":")
    return file if "=" in columns and not os.path.exists(name) else str(name)


def write_rows(
    path: Path,
    blocks: Iterable[np.ndarray],
    *,
    n_rows: int,
    names: list[str] | None = None,
    called: tuple[str, Sequence[str]] | None = None,
) -> tuple[int, int]:
    """Write float32 blocks as .npy or .csv; return the shape of the numbers.

    ``names`` are those of the columns, a .csv's header; ``called`` is the header of a first
    column that a .csv gets with the names of the rows, and these. Where a column is called so
    itself, the header has an underscore behind it.

    Raises
    ------
    ResourceError
        If the disk is full or the file cannot be written; an older file stays whole.
    UsageError
        If the suffix is another.
    """
    check_rows_file(path)
    width = first = 0
    with replacing(path) as file:
        for i, block in enumerate(blocks):
            if i == 0:
                width = block.shape[1]
                _begin(file, is_csv(path), n_rows, width, names, called)
            if not is_csv(path):
                file.write(np.ascontiguousarray(block, dtype=np.float32).data)
            elif called is None:
                _write_lines(file, block)
            else:
                _write_named_lines(file, block, called[1][first : first + len(block)])
            first += len(block)
    return n_rows, width


def write_array(path: Path, array: np.ndarray) -> None:
    """Write an array as .npy, of its own shape and type.

    Raises
    ------
    ResourceError
        If the disk is full or the file cannot be written; an older file stays whole.
    """
    check_writable(path)
    with replacing(path) as file:
        np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def write_table(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write columns of one length, texts or numbers, as .csv with a header.

    Raises
    ------
    ResourceError
        If the disk is full or the file cannot be written; an older file stays whole.
    """
    check_writable(path)
    lines = StringIO()
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(columns)
    table.writerows(zip(*(map(_cell, column) for column in columns.values()), strict=True))
    with replacing(path) as file:
        file.write(lines.getvalue().encode())


def _cell(value: object) -> object:
    return f"{value:.9g}" if isinstance(value, float | np.floating) else value


def _write_lines(file: BinaryIO, block: np.ndarray) -> None:
    """Write numbers by the shortest digits that say each to the bit."""
    import pyarrow
    from pyarrow import csv as arrow_csv

    columns = [np.ascontiguousarray(column, dtype=np.float32) for column in block.T]
    table = pyarrow.table(columns, names=[str(i) for i in range(len(columns))])
    arrow_csv.write_csv(table, file, arrow_csv.WriteOptions(include_header=False))


def _write_named_lines(file: BinaryIO, block: np.ndarray, names: Sequence[str]) -> None:
    """Write numbers behind the names of their rows."""
    numbers = BytesIO()
    _write_lines(numbers, block)
    for name, line in zip(names, numbers.getvalue().splitlines(keepends=True), strict=True):
        file.write(_line([name]).rstrip(b"\n") + b"," + line)


def _line(cells: Iterable[object]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # it quotes the breaks that it knows
    return text.getvalue().removesuffix("\r\n").encode() + b"\n"


def _begin(
    file: BinaryIO,
    as_csv: bool,
    n_rows: int,
    width: int,
    names: list[str] | None,
    called: tuple[str, Sequence[str]] | None,
) -> None:
    if not as_csv:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n_rows, width)}
        np.lib.format.write_array_header_1_0(file, header)
    elif called is not None:
        header, columns = called[0], [*(names or map(str, range(width)))]
        while header in columns:
            header += "_"
        file.write(_line([header, *columns]))
    elif names is not None:
        file.write(_line(names))
