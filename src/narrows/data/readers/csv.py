"""Read CSV files of numbers, with or without a header.

The first line is a header if one of its cells is not a number. A first line of numbers is a header,
with a warning, if the numbers count from 0 or 1 (three or more, as pandas writes them), or rise and
differ in kind from those below (see ``is_header_of_numbers``). ``header=`` overrides this.

A first column without a name that numbers the rows is not a feature (with a warning, unless it
counts them from 0). Neither is a column without a name and values, which a trailing comma makes.
Other columns without a name are called "column 3", counted from 0.
"""

from __future__ import annotations

import warnings
from array import array
from itertools import chain, islice
from pathlib import Path
from types import TracebackType

import numpy as np

from narrows.data.arrays import array_source
from narrows.data.memory import check_memory
from narrows.data.readers.cells import as_number, is_missing, is_text, number, with_commas
from narrows.data.readers.columns import Columns, LabelsAndIds, called_by_place, check_distinct
from narrows.data.readers.csv_rows import csv_rows
from narrows.data.readers.header import (
    LOOKED_AT,
    counted_from,
    fitted_to,
    is_counting,
    is_header_of_numbers,
    may_be_header,
)
from narrows.data.source import Source
from narrows.errors import HeaderWarning, InvalidData, first_names

__all__ = ["read_csv"]

_MOST = 5


class _Problems:
    """Collect the InvalidData errors raised inside of ``with problems:``, to report them at once.

    The fifth error raises all five; ``finish`` raises fewer.
    """

    def __init__(self) -> None:
        self._found: list[str] = []

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, InvalidData):
            return False
        self._found.append(str(error))
        if len(self._found) >= _MOST:
            self.finish()
        return True

    def finish(self) -> None:
        """Raise the collected errors as one InvalidData, if there are any."""
        if self._found:
            more = " There may be more." if len(self._found) >= _MOST else ""
            raise InvalidData("\n".join(self._found) + more) from None


_RISES = "its numbers rise and differ in kind from those below"
_MANY_NUMBERS = 2
"""A first line may be a row if it has at least this many numbers per text."""


def _has_header(path: Path, first: list[str], below: list[list[str]]) -> bool:
    """Return whether the first line names the columns; warn if that is unclear."""
    if any(map(is_text, first)):
        # numbers with commas are not names; they are refused as cells later
        return not all(with_commas(cell) or not is_text(cell) for cell in first)
    named = [cell.strip() for cell in first[counted_from(first) :]]
    called = f"the first line, {', '.join(named[:3])}{', ...' * (len(named) > 3)},"
    if not is_header_of_numbers(first, below, as_number):
        if may_be_header(first, below):
            _warn(
                f"{path}: {called} is taken for a row, although it counts; say header=yes if it "
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


def _warn_of_names(path: Path, first: list[str], kept: list[int], columns: Columns) -> None:
    """Warn if the first line is taken for a header although most of its cells are numbers."""
    names = [first[i].strip() for i in kept]
    texts = [name for name in names if is_text(name)]
    numbers = sum(not is_text(name) and not is_missing(name) for name in names)
    if not numbers or numbers < _MANY_NUMBERS * len(texts):
        return
    called = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    if columns:
        _warn(
            f"{path}: the features are called {called}; say header=yes if these are names, or add "
            "a line of names above the first line if it is a row."
        )
        return
    _warn(
        f"{path}: the first line, {called}, is taken for a header, because {texts[0]!r} is not a "
        "number; say header=no if it is a row (write missing values as nan), or header=yes."
    )


def read_csv(
    path: Path,
    columns: Columns = Columns(),  # noqa: B008 -- frozen
    *,
    header: bool | None = None,
) -> Source:
    """Return the table in a CSV file (comma, semicolon or tab; UTF-8, or UTF-16 with a mark).

    ``header`` says whether the first line names the columns; by default its content decides.

    Raises
    ------
    InvalidData
        With the line number, for up to 5 rows of another length or cells that are not numbers at
        once, or an unclosed quote; also if one of ``columns`` does not exist.

    Warns
    -----
    HeaderWarning
        If it is unclear whether the first line is a header, or if a column without a name is taken
        for row numbers.
    """
    rows = csv_rows(path)
    ahead = list(islice(rows, 1 + LOOKED_AT))
    if not ahead:
        raise InvalidData(f"{path}: no rows: the file is empty.")
    line, first = ahead[0]
    guessed = header is None and any(map(is_text, first))
    if header is None:
        header = _has_header(path, first, [cells for _, cells in ahead[1:]])
    names = called_by_place([cell.strip() for cell in first]) if header else None
    unnamed = 0
    if names is not None:
        ahead = ahead[1:]
        unnamed = _unnamed(first)
        way_out = "; give each column its own name, or say header=no if the line is a row"
        check_distinct(names, f"{path}, line {line}", way_out)
    width = len(names or first)
    kept = columns.features(names, str(path)) if columns else list(range(width))
    places = [i for i in kept if names and not first[i].strip()]
    place = {name: names.index(name) for name in columns.named} if names else {}
    shown = [(cell.strip() if names else "") or str(i) for i, cell in enumerate(first)]
    if guessed and header:
        _warn_of_names(path, first, kept, columns)
    _refuse_texts(path, [row for row in ahead if len(row[1]) >= width], kept, shown, places)
    values, numbers = array("d"), array("q")
    labels_and_ids = LabelsAndIds(columns, str(path), "line")
    n_rows, problems = 0, _Problems()
    for line, cells in chain(ahead, rows):
        with problems:
            cells = fitted_to(cells, width, unnamed)
            if len(cells) != width:
                raise InvalidData(f"{path}, line {line}: expected {width} cells, got {len(cells)}.")
            values.extend([number(cells[i], path, line, shown[i]) for i in kept])
            labels_and_ids.add({name: cells[i] for name, i in place.items()}, line)
            n_rows += 1
            numbers.append(line)
        check_memory(n_rows, len(kept), np.dtype(np.float64), str(path), stream=False)
    problems.finish()
    if not n_rows:
        raise InvalidData(f"{path}: no rows below the first line, which is the header.")
    table = np.frombuffer(values).reshape(n_rows, len(kept))
    left = _columns_of_data(path, table, kept, first if names else None)
    names = names and [names[kept[i]] for i in left]
    table = np.ascontiguousarray(table[:, left])
    source = array_source(table)
    source.names, source.origin = names, str(path)
    source.lines = np.frombuffer(numbers, dtype=np.int64)
    return labels_and_ids.apply_to(source)


def _refuse_texts(
    path: Path,
    ahead: list[tuple[int, list[str]]],
    kept: list[int],
    names: list[str],
    unnamed: list[int],
) -> None:
    """Raise InvalidData, naming columns, if they hold only texts in the first rows."""
    found: dict[int, tuple[int, str]] = {}
    for i in kept:
        cells = [(line, row[i]) for line, row in ahead]
        known = [(line, cell) for line, cell in cells if not is_missing(cell)]
        if known and all(is_text(cell) and not with_commas(cell) for _, cell in known):
            found[i] = known[0]
    if not found:
        return
    first, (line, cell) = next(iter(found.items()))
    several = first_names([repr(names[i]) for i in found])
    held = "the column holds" if len(found) == 1 else f"{len(found)} columns hold"
    if len(found) == 1 and first in unnamed:
        held = f"the column, which has no name and is called 'column {first}', holds"
    raise InvalidData(
        f"{path}, line {line}, column {names[first]}: expected a number, got {cell[:40]!r}; {held} "
        f"texts{'' if len(found) == 1 else ': ' + several}."
    )


def _columns_of_data(
    path: Path, table: np.ndarray, kept: list[int], header: list[str] | None
) -> list[int]:
    """Return the columns of data: all but unnamed row numbers and unnamed empty columns.

    Without a header, only the last columns count as unnamed.
    """
    left = list(range(table.shape[1]))
    numbers = header is not None and len(left) > 1 and kept[0] == 0 and not header[0].strip()
    if numbers and _number_rows(path, table[:, 0]):
        left = left[1:]
    for i in left[::-1]:
        if header is not None and header[kept[i]].strip():
            continue
        empty = bool(np.isnan(table[:, i]).all())
        if empty and len(left) > 1:
            left.remove(i)
        elif header is None:
            break
    return left


def _number_rows(path: Path, column: np.ndarray) -> bool:
    """Return whether a column numbers the rows; warn unless it counts from 0."""
    if np.array_equal(column, np.arange(len(column))):
        return True
    whole = bool(np.isfinite(column).all()) and np.array_equal(column, column.round())
    if not whole or len(np.unique(column)) < len(column):
        return False
    _warn(
        f"{path}: the first column has no name, and a different whole number in every row: it is "
        "taken for row numbers and left out; give it a name if it is a feature."
    )
    return True


def _unnamed(cells: list[str]) -> int:
    """Return the number of unnamed columns at the end."""
    return next((i for i, name in enumerate(reversed(cells)) if name.strip()), len(cells) - 1)
