"""Columns of labels in text files: which line is a header, and a column of several by name."""

from __future__ import annotations

import math
from pathlib import Path

from narrows.data.readers.lines import csv_rows
from narrows.errors import InvalidData, unknown_name

__all__ = ["is_header", "named_column"]


def is_header(first: list[str], rest: list[list[str]]) -> bool:
    """Return whether the first line of a file that has one line too many names its column.

    It does where every line has a label and its own stands on no other line; and where it is a
    number, none of the others is one.
    """
    if len(first) != 1 or not all(rest):
        return False
    others = {label for labels in rest for label in labels}
    numbers = _is_number(first[0]) and any(map(_is_number, others))
    return first[0] not in others and not numbers


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def named_column(path: Path, column: str) -> list[list[str]]:
    """Return the label of every row in the column of that name of a CSV file, [] where empty.

    Raises
    ------
    InvalidData
        Naming the line, for a ragged row; or the file, if it is of another kind or has no such
        column, or two of them.
    """
    if path.suffix.lower() not in (".csv", ".tsv"):
        raise InvalidData(f"{path}: a column of labels is read from .csv and .tsv.")
    lines = csv_rows(path, strict=True)
    names = [name.strip() for name in next(lines, (1, []))[1]]
    if names.count(column) > 1:
        raise InvalidData(f"{path}: the column {column!r} stands twice.")
    if column not in names:
        raise InvalidData(f"{path}: {unknown_name('label', column, filter(None, names))}")
    at, labels = names.index(column), []
    for line, cells in lines:
        if len(cells) != len(names):
            raise InvalidData(
                f"{path}, line {line}: expected {len(names)} cells, got {len(cells)}."
            )
        labels.append([cells[at].strip()] if cells[at].strip() else [])
    return labels
