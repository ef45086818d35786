"""Read labels of rows from a file: one or several per row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.data.array_sources import rows_in_memory
from narrows.data.readers.cells import is_number
from narrows.data.readers.csv_rows import csv_records, header_and_rows
from narrows.data.readers.header import is_header_of_labels
from narrows.data.readers.idx import read_idx_array
from narrows.data.readers.kinds import SEPARATORS, is_idx, kind_of, unknown_kind
from narrows.data.readers.lines import DAMAGED_GZIP, encoding_of, opened
from narrows.data.readers.npy import read_npy, read_npz
from narrows.data.readers.svmlight import is_svmlight, read_svmlight_labels
from narrows.errors import InvalidData, unknown_name, warn

__all__ = [
    "SEPARATOR",
    "label_matrix",
    "named_column",
    "read_labels",
    "several",
]

SEPARATOR = ";"
"""Separates the labels of a row."""


def read_labels(
    path: str | Path, *, n_rows: int, column: str | None = None, unknown: str | None = None
) -> Any:
    """Return labels (n_rows,), or a CSR matrix (n_rows, n_labels) if rows have several labels.

    Files that are read, all text files also as .gz:

    - .npy of numbers or strings (n_rows,), or of (n_rows, n_labels), in which every value other
      than 0 is a label; .npz with such an array, or CSR as ``scipy.sparse.save_npz`` writes it;
    - IDX (-ubyte) with one axis;
    - .svmlight and .libsvm, of which the values are ignored;
    - .csv, .tsv and .txt with one line per row and labels separated by ";", where an empty line is
      a row without a label. If there is one line more than rows, the first is a header (with a
      warning) if every line has a label, the first line's label is not ``unknown`` and occurs on no
      other line, and it is not a number among numbers;
    - with ``column``, that column of a .csv or .tsv with a header.

    Raises
    ------
    InvalidData
        Naming the file, the line and the broken rule; also if the file does not have ``n_rows``
        rows.
    """
    path = Path(path)
    if not path.is_file():
        raise InvalidData(f"{path}: no such file of labels.")
    kind = kind_of(path)
    labels: Any
    if column is not None:
        labels = _labels(named_column(path, column))
    elif kind == ".npy":
        labels = _npy(path)
    elif kind == ".npz":
        labels = sp.csr_array(rows_in_memory(read_npz(path)))
    elif kind == ".txt" or kind in SEPARATORS:
        rows = _text(path)
        if len(rows) == n_rows + 1 and is_header_of_labels(rows[0], rows[1:], unknown):
            warn(f"{path}: the first line, {rows[0][0]!r}, was read as a header.")
            del rows[0]
        elif len(rows) == n_rows:
            _refuse_header(path, rows, unknown)
        labels = _labels(rows)
    elif is_svmlight(path):
        labels = _svmlight(path)
    elif is_idx(path):
        labels = read_idx_array(path)
        if labels.ndim != 1:
            raise InvalidData(f"{path}: expected labels (n_rows,), got {labels.shape}.")
    else:
        raise unknown_kind(
            path, "labels are read from .npy, .npz, .csv, .tsv, .txt, .svmlight or IDX"
        )
    found = int(labels.shape[0])
    if found != n_rows:
        hint = " If the first line is a header, remove it." if found == n_rows + 1 else ""
        raise InvalidData(f"{path}: labels of {found} rows, but the data have {n_rows} rows.{hint}")
    return labels


def _refuse_header(path: Path, rows: list[list[str]], unknown: str | None) -> None:
    """Refuse a first line of text above numbers: probably a header, with one label missing."""
    first, rest = rows[0], rows[1:]
    if len(rest) > 1 and is_header_of_labels(first, rest, unknown) and not is_number(first[0]):
        if all(is_number(label) for labels in rest for label in labels):
            raise InvalidData(
                f"{path}: the first line, {first[0]!r}, is not a number, but all others are; if it "
                "is a header, a label is missing; if it is the label for unknown, name it so."
            )


def label_matrix(labels: Sequence[Sequence[Any]]) -> tuple[Any, list[Any]]:
    """Return a CSR matrix (n_rows, n_labels) of ones, and the sorted names of its columns."""
    names = sorted({label for row in labels for label in row})
    place = {name: i for i, name in enumerate(names)}
    columns = [sorted({place[label] for label in row}) for row in labels]
    counts = [len(row) for row in columns]
    indices = np.array([column for row in columns for column in row], dtype=np.int32)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    parts = (np.ones(len(indices), np.uint8), indices, indptr)
    return sp.csr_array(parts, shape=(len(labels), len(names))), names


def _npy(path: Path) -> Any:
    try:
        # mapped: a header that promises more than the file has is refused before allocation
        labels = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InvalidData(f"{path}: not a .npy file of numbers or strings: {error}.") from None
    if labels.ndim == 2:
        return sp.csr_array(rows_in_memory(read_npy(path)))
    if labels.ndim != 1 or labels.dtype.kind not in "buifUS":
        raise InvalidData(
            f"{path}: expected numbers or strings (n_rows,) or (n_rows, n_labels), got "
            f"{labels.dtype} of shape {labels.shape}."
        )
    return np.array(labels)


def _svmlight(path: Path) -> Any:
    rows = read_svmlight_labels(path)
    if any(len(row) != 1 for row in rows):
        return label_matrix(rows)[0]
    labels = np.array(rows)[:, 0]
    whole = np.array_equal(labels, labels.round()) and np.abs(labels).max() < 2**53
    return labels.astype(np.int64) if whole else labels


def _text(path: Path) -> list[list[str]]:
    """Return the labels of every line of a text file."""
    rows: list[list[str]] = []
    if kind_of(path) in SEPARATORS:
        for line, cells in csv_records(path, separator=SEPARATORS[kind_of(path)]):
            if len(cells) > 1:
                raise InvalidData(
                    f"{path}, line {line}: expected one cell of labels, separated by "
                    f"{SEPARATOR!r}, got {len(cells)} cells; name the column of labels: "
                    f"{path.name}:label=COLUMN."
                )
            rows.append(several(cells[0] if cells else ""))
        return rows
    try:
        with opened(path, "rt", newline="", encoding=encoding_of(path)) as file:
            return [several(line) for line in file]
    except UnicodeError as error:
        raise InvalidData(f"{path}: not UTF-8: {error}.") from None
    except DAMAGED_GZIP as error:
        raise InvalidData(f"{path}: damaged gzip: {error}.") from None


def _labels(rows: list[list[str]]) -> Any:
    """Return strings (n_rows,) if every row has one label, else a CSR matrix."""
    if all(len(row) == 1 for row in rows):
        return np.array([row[0] for row in rows], dtype=str)
    return label_matrix(rows)[0]


def several(cell: str) -> list[str]:
    """Return the labels of a row, which are separated by ";"."""
    return [label for part in cell.split(SEPARATOR) if (label := part.strip())]


def named_column(path: Path, column: str) -> list[list[str]]:
    """Return the labels in a named column of a CSV file, a list per row, [] for empty cells.

    Raises
    ------
    InvalidData
        Naming the line, for a row of another length; or the file, if it is of another kind, or the
        column does not exist or is repeated.
    """
    if kind_of(path) not in SEPARATORS:
        raise InvalidData(f"{path}: a column of labels is read from .csv and .tsv (.gz too).")
    rows = header_and_rows(path)
    header, names = next(rows)
    if names.count(column) > 1:
        raise InvalidData(f"{path}: the column {column!r} is repeated.")
    if column not in names:
        raise InvalidData(f"{path}: {unknown_name('label', column, filter(None, names))}")
    at, last, labels = names.index(column), header, []
    for line, cells in rows:
        if len(names) == 1:  # a blank line is a row without a label
            labels.extend([] for _ in range(last + 1, line - sum(map(_breaks, cells))))
            last = line
        labels.append([cells[at].strip()] if cells[at].strip() else [])
    return labels


def _breaks(cell: str) -> int:
    return cell.count("\n")
