"""Columns of labels in text files: which line is a header, and a column of several by name."""

from __future__ import annotations

import math
from pathlib import Path

from narrows.data.readers.csv_rows import csv_rows
from narrows.data.readers.header import cells_of_width, column_names
from narrows.data.readers.kinds import SEPARATORS, kind_of
from narrows.errors import InvalidData, unknown_name

__all__ = ["SEPARATOR", "is_header", "is_number", "named_column", "several"]

SEPARATOR = ";"


def is_header(first: list[str], rest: list[list[str]], unknown: str | None = None) -> bool:
    """Return whether the first line of a file that has one line too many names its column.

    It does where every line has a label and its own stands on no other line, is not the one for
    ``unknown`` or NaN, and where it is a number, none of the others is one.
    """
    if len(first) != 1 or not all(rest) or first[0] == unknown or first[0].lower() == "nan":
        return False
    others = {label for labels in rest for label in labels}
    numbers = is_number(first[0]) and any(map(is_number, others))
    return first[0] not in others and not numbers


def is_number(text: str) -> bool:
    """Return whether a text is a number, NaN apart."""
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def several(cell: str) -> list[str]:
    """Return the labels of a row, which ";" separates."""
    return [label for part in cell.split(SEPARATOR) if (label := part.strip())]


def named_column(path: Path, column: str) -> list[list[str]]:
    """Return the labels of every row in the column of that name of a CSV file, [] where empty.

    Raises
    ------
    InvalidData
        Naming the line, for a ragged row; or the file, if it is of another kind or has no such
        column, or two of them.
    """
    if kind_of(path) not in SEPARATORS:
        raise InvalidData(f"{path}: a column of labels is read from .csv and .tsv (.gz too).")
    lines = csv_rows(path)
    header, cells = next(lines, (1, []))
    names = column_names(cells)
    if names.count(column) > 1:
        raise InvalidData(f"{path}: the column {column!r} stands twice.")
    if column not in names:
        raise InvalidData(f"{path}: {unknown_name('label', column, filter(None, names))}")
    at, last, labels = names.index(column), header, []
    for line, cells in lines:
        if len(names) == 1:  # a blank line is a row without a label
            labels.extend([] for _ in range(last + 1, line - sum(map(_breaks, cells))))
            last = line
        cells = cells_of_width(cells, len(names), f"{path}, line {line}")
        labels.append([cells[at].strip()] if cells[at].strip() else [])
    return labels


def _breaks(cell: str) -> int:
    return cell.count("\n")
