"""CSV: a header of names if the first line is one, then rows of numbers.

The first line is a header if a cell of it is no number; and a line of numbers is, if they count
from 0 or 1 (three or more, as pandas writes them), or rise and differ in kind from those below (see
``is_header_of_numbers``), with a warning. ``header=`` says it instead. A first column without a
name that counts the rows is no data, nor is a last one without a name or a value, which a trailing
comma makes.
"""

from __future__ import annotations

import re
import warnings
from array import array
from itertools import chain, islice
from pathlib import Path

import numpy as np

from narrows.data.arrays import array_source
from narrows.data.column_names import first_names
from narrows.data.readers._limits import check_memory
from narrows.data.readers.columns import Beside, Columns
from narrows.data.readers.header import (
    LOOKED_AT,
    counted_from,
    fitted_to,
    is_counting,
    is_header_of_numbers,
    may_be_header,
)
from narrows.data.readers.lines import csv_rows
from narrows.data.readers.problems import Problems
from narrows.data.source import Source
from narrows.errors import HeaderWarning, InvalidData

__all__ = ["is_text", "number", "read_csv"]

_COMMAS = re.compile(r"\s*[-+]?\d+,\d+\s*")
_RISES = "its numbers rise, and are of another kind than those below"
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


def _has_header(path: Path, first: list[str], below: list[list[str]]) -> bool:
    """Return whether the first line names the columns; warn where it holds numbers and does."""
    if None in map(_parse, first):
        return True
    named = [cell.strip() for cell in first[counted_from(first) :]]
    called = f"the first line, {', '.join(named[:3])}{', ...' * (len(named) > 3)},"
    if not is_header_of_numbers(first, below, _parse):
        if may_be_header(first, below):
            _warn(
                f"{path}: {called} is taken for a row, though it counts; say header=yes if it "
                "names the columns, or header=no."
            )
        return False
    if not below:
        raise InvalidData(
            f"{path}: no rows: {called} is taken for a header; say header=no if it is a row."
        )
    why = "it counts" if is_counting(first) else _RISES
    _warn(
        f"{path}: {called} is taken for a header: {why}; say header=no if it is a row, or "
        "header=yes."
    )
    return True


def _warn(message: str) -> None:
    warnings.warn(message, HeaderWarning, stacklevel=5)


def _warn_of_names(path: Path, names: list[str]) -> None:
    """Say that a first line of numbers is taken for names, because one column's cell is a text."""
    called = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    warnings.warn(
        f"{path}: the features are called {called}; say header=yes if these are names, or put a "
        "line of names above the first line if it is a row.",
        HeaderWarning,
        stacklevel=3,
    )


def read_csv(
    path: Path,
    columns: Columns = Columns(),  # noqa: B008 -- frozen
    *,
    header: bool | None = None,
) -> Source:
    """Return the table of a CSV file (UTF-8, comma, semicolon or tab).

    ``header`` says whether the first line names the columns; None decides by what it holds.

    Raises
    ------
    InvalidData
        With the line number, for a ragged row or a cell that is no number, up to 5 of them at
        once; for a column of ``columns`` that is not there.

    Warns
    -----
    HeaderWarning
        If a first line of numbers is taken for a header, or one that may be a header for a row.
    """
    rows = csv_rows(path)
    ahead = list(islice(rows, 1 + LOOKED_AT))
    if not ahead:
        raise InvalidData(f"{path}: no rows.")
    line, first = ahead[0]
    guessed = header is None and None in map(_parse, first)
    if header is None:
        header = _has_header(path, first, [cells for _, cells in ahead[1:]])
    names = [cell.strip() for cell in first] if header else None
    unnamed = 0
    if names is not None:
        ahead = ahead[1:]
        unnamed = _unnamed(names)
        if len(set(names)) < len(names) - max(0, unnamed - 1):
            raise InvalidData(f"{path}, line {line}: a column name stands twice.")
    width = len(names or first)
    kept = columns.features(names, str(path)) if columns else list(range(width))
    place = {name: names.index(name) for name in columns.named} if names else {}
    shown = names or list(map(str, range(width)))
    if guessed and columns and all(_parse(names[i]) is not None for i in kept if names):
        _warn_of_names(path, [shown[i] for i in kept])
    _refuse_texts(path, [row for row in ahead if len(row[1]) >= width], kept, shown)
    values, numbers = array("d"), array("q")
    beside = Beside(columns, str(path), "line")
    n_rows, problems = 0, Problems()
    for line, cells in chain(ahead, rows):
        with problems:
            cells = fitted_to(cells, width, unnamed)
            if len(cells) != width:
                raise InvalidData(f"{path}, line {line}: expected {width} cells, got {len(cells)}.")
            values.extend([number(cells[i], path, line, shown[i]) for i in kept])
            beside.take({name: cells[i] for name, i in place.items()}, line)
            n_rows += 1
            numbers.append(line)
        check_memory(n_rows, len(kept), np.dtype(np.float64), str(path), stream=False)
    problems.finish()
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
    while table.shape[1] > 1 and not (names and names[-1]) and np.isnan(table[:, -1]).all():
        names, table = names and names[:-1], table[:, :-1]
    table = np.ascontiguousarray(table)
    source = array_source(table)
    source.names, source.origin = names, str(path)
    source.lines = np.frombuffer(numbers, dtype=np.int64)
    return beside.describe(source)


def _refuse_texts(
    path: Path, ahead: list[tuple[int, list[str]]], kept: list[int], names: list[str]
) -> None:
    """Raise InvalidData if columns hold texts in all of the first rows, naming the first ones."""
    found: dict[int, tuple[int, str]] = {}
    for i in kept:
        cells = [(line, row[i]) for line, row in ahead]
        known = [(line, cell) for line, cell in cells if cell.strip().lower() not in _MISSING]
        if known and all(is_text(cell) and not _COMMAS.fullmatch(cell) for _, cell in known):
            found[i] = known[0]
    if not found:
        return
    first, (line, cell) = next(iter(found.items()))
    several = first_names([repr(names[i]) for i in found])
    held = "the column holds" if len(found) == 1 else f"{len(found)} columns hold"
    raise InvalidData(
        f"{path}, line {line}, column {names[first]}: expected a number, got {cell[:40]!r}; {held} "
        f"texts{'' if len(found) == 1 else ': ' + several}."
    )


def _unnamed(names: list[str]) -> int:
    """Return how many of the last columns have no name."""
    return next((i for i, name in enumerate(reversed(names)) if name), len(names) - 1)
