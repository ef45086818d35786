"""CSV: a header of names if the first line is not all numbers, then rows of numbers.

Counting numbers in the first line (0, 1, 2, ... or 1, 2, 3, ..., three or more) are a header too,
as pandas writes them; a first column without a name that counts the rows is no data.
"""

from __future__ import annotations

import re
import warnings
from array import array
from pathlib import Path

import numpy as np

from narrows.data.arrays import array_source
from narrows.data.readers._limits import check_memory
from narrows.data.readers.columns import Beside, Columns
from narrows.data.readers.lines import csv_rows
from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = ["is_text", "number", "read_csv"]

_COMMAS = re.compile(r"\s*[-+]?\d+,\d+\s*")
_MISSING = {"", "na", "nan", "null", "none", "?"}


def number(text: str, path: Path, line: int, column: str) -> float:
    """Return a cell as a number; the usual words for a missing value give NaN."""
    value = _parse(text)
    if value is None:
        hint = " Decimal commas are not read; write points." if _COMMAS.fullmatch(text) else ""
        raise InvalidData(
            f"{path}, line {line}, column {column}: expected a number, got {text[:40]!r}.{hint}"
        )
    return value


def _parse(text: str) -> float | None:
    try:
        return float(text) if "_" not in text else None  # Python alone reads 1_0 as ten
    except ValueError:
        return float("nan") if text.strip().lower() in _MISSING else None


def is_text(text: str) -> bool:
    """Return whether a cell is neither a number nor one of the words for a missing value."""
    return _parse(text) is None


def _is_header(cells: list[str]) -> bool:
    numbers = [_parse(cell) for cell in cells]
    if None in numbers:
        return True
    start = 1 if not cells[0].strip() else 0  # pandas writes no name above its row numbers
    named = cells[start:]
    counts = ([str(i + first) for i in range(len(named))] for first in (0, 1))
    return len(named) >= 3 and named in counts


def _warn_of_names(path: Path, names: list[str]) -> None:
    """Say that a first line of numbers is taken for names, because one column's cell is a text."""
    called = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    warnings.warn(
        f"{path}: the features are called {called}; if the first line is a row, put a line of "
        "names above it.",
        stacklevel=3,
    )


def read_csv(path: Path, columns: Columns = Columns()) -> Source:  # noqa: B008 -- frozen
    """Return the table of a CSV file (UTF-8, comma, semicolon or tab).

    Raises
    ------
    InvalidData
        With the line number, for a ragged row or a cell that is no number; for a column of
        ``columns`` that is not there.
    """
    values = array("d")
    beside = Beside(columns, str(path), "line")
    n_rows = width = 0
    names: list[str] | None = None
    kept: list[int] = []
    shown: list[str] = []
    place: dict[str, int] = {}
    for line, cells in csv_rows(path):
        if not n_rows and names is None and _is_header(cells):
            names = [cell.strip() for cell in cells]
            if len(set(names)) < len(names):
                raise InvalidData(f"{path}, line {line}: a column name stands twice.")
            continue
        if not n_rows:
            width = len(names or cells)
            kept = columns.features(names, str(path)) if columns else list(range(width))
            place = {name: names.index(name) for name in columns.named} if names else {}
            shown = names or list(map(str, range(width)))
            if columns and all(_parse(names[i]) is not None for i in kept if names):
                _warn_of_names(path, [shown[i] for i in kept])
        if len(cells) != width:
            raise InvalidData(f"{path}, line {line}: expected {width} cells, got {len(cells)}.")
        values.extend(number(cells[i], path, line, shown[i]) for i in kept)
        beside.take({name: cells[i] for name, i in place.items()}, line)
        n_rows += 1
        check_memory(n_rows, len(kept), np.dtype(np.float64), str(path), stream=False)
    if not n_rows:
        raise InvalidData(f"{path}: no rows.")
    table = np.frombuffer(values).reshape(n_rows, len(kept))
    names = names and [names[i] for i in kept]
    if (
        names
        and names[0] == ""
        and len(names) > 1
        and np.array_equal(table[:, 0], np.arange(n_rows))
    ):
        names, table = names[1:], table[:, 1:]
    source = array_source(table)
    source.names, source.origin = names, str(path)
    return beside.describe(source)
