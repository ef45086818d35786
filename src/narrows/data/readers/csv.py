"""Read CSV files of numbers, with or without a header.

The first line is a header if one of its cells is not a number. A first line of numbers is a header,
with a warning, if the numbers count from 0 or 1 (three or more, as pandas writes them), or rise and
differ in kind from those below (see ``header.py``). ``header=`` overrides this.

A first column without a name that numbers the rows is not a feature (with a warning, unless it
counts them from 0). Neither is a column without a name and values, which a trailing comma makes.
Other columns without a name are called "column 3", counted from 0.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType

import numpy as np

from narrows.data.array_sources import array_source
from narrows.data.memory import check_memory
from narrows.data.readers.cells import is_missing, is_text, number, with_commas
from narrows.data.readers.columns import (
    Columns,
    LabelsAndIds,
    check_distinct,
    name_unnamed_columns,
)
from narrows.data.readers.csv_rows import csv_rows, pad_or_trim
from narrows.data.readers.header import (
    N_INSPECTED,
    has_header,
    warn_of_header,
    warn_of_numbers_as_names,
)
from narrows.data.source import Source
from narrows.errors import InvalidData, first_names

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
        If it is unclear whether the first line is a header, or if a column without a name is read
        as row numbers.
    """
    rows = csv_rows(path)
    ahead = list(islice(rows, 1 + N_INSPECTED))
    if not ahead:
        raise InvalidData(f"{path}: no rows: the file is empty.")
    line, first = ahead[0]
    guessed = header is None and any(map(is_text, first))
    if header is None:
        header = has_header(path, first, [cells for _, cells in ahead[1:]])
    layout = _layout_of(path, line, first, columns, header=header)
    if header:
        ahead = ahead[1:]
    if guessed and header:
        warn_of_numbers_as_names(path, first, layout.features, with_columns=bool(columns))
    _refuse_texts(path, [row for row in ahead if len(row[1]) >= layout.width], layout)
    labels_and_ids = LabelsAndIds(columns, str(path), "line")
    table, lines = _parse(path, chain(ahead, rows), layout, labels_and_ids)
    left = _columns_of_data(path, table, layout)
    source = array_source(np.ascontiguousarray(table[:, left]))
    source.names = layout.names and [layout.names[layout.features[i]] for i in left]
    source.origin, source.lines = str(path), lines
    return labels_and_ids.apply_to(source)


@dataclass(frozen=True)
class _Layout:
    """The columns of a CSV file.

    Attributes
    ----------
    first : list of str
        The cells of the first line, as they are in the file.
    names : list of str or None
        The names of all columns; None without a header.
    features : list of int
        The positions of the features.
    others : dict of str to int
        The positions of the columns of labels and ids.
    """

    first: list[str]
    names: list[str] | None
    features: list[int]
    others: dict[str, int]

    @property
    def width(self) -> int:
        return len(self.first)

    @property
    def n_unnamed(self) -> int:
        """The number of columns without a name at the end; 0 without a header."""
        if self.names is None:
            return 0
        named = (i for i, name in enumerate(reversed(self.first)) if name.strip())
        return next(named, self.width - 1)

    def shown(self, i: int) -> str:
        """Return what errors call a column: its name, or its number."""
        return (self.first[i].strip() if self.names else "") or str(i)


def _layout_of(
    path: Path, line: int, first: list[str], columns: Columns, *, header: bool
) -> _Layout:
    names = name_unnamed_columns([cell.strip() for cell in first]) if header else None
    if names is not None:
        way_out = "; give each column its own name, or pass header=no if the line is data"
        check_distinct(names, f"{path}, line {line}", way_out)
    features = columns.features(names, str(path)) if columns else list(range(len(first)))
    others = {name: names.index(name) for name in columns.named} if names else {}
    return _Layout(first, names, features, others)


def _parse(
    path: Path,
    rows: Iterable[tuple[int, list[str]]],
    layout: _Layout,
    labels_and_ids: LabelsAndIds,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the features (n_rows, n_features), float64, and the line of each row, (n_rows,).

    Labels and ids are added to ``labels_and_ids``. Raises as ``read_csv``.
    """
    shown = [layout.shown(i) for i in range(layout.width)]
    features, n_unnamed, width = layout.features, layout.n_unnamed, layout.width
    values, lines = array("d"), array("q")
    n_rows, problems = 0, _Problems()
    for line, cells in rows:
        with problems:
            cells = pad_or_trim(cells, width, n_unnamed)
            if len(cells) != width:
                raise InvalidData(f"{path}, line {line}: expected {width} cells, got {len(cells)}.")
            values.extend([number(cells[i], path, line, shown[i]) for i in features])
            labels_and_ids.add({name: cells[i] for name, i in layout.others.items()}, line)
            n_rows += 1
            lines.append(line)
        check_memory(n_rows, len(features), np.dtype(np.float64), str(path), stream=False)
    problems.finish()
    if not n_rows:
        raise InvalidData(f"{path}: no rows below the first line, which is the header.")
    table = np.frombuffer(values).reshape(n_rows, len(features))
    return table, np.frombuffer(lines, dtype=np.int64)


def _refuse_texts(path: Path, ahead: list[tuple[int, list[str]]], layout: _Layout) -> None:
    """Raise InvalidData, naming columns, if they hold only texts in the first rows."""
    found: dict[int, tuple[int, str]] = {}
    for i in layout.features:
        cells = [(line, row[i]) for line, row in ahead]
        known = [(line, cell) for line, cell in cells if not is_missing(cell)]
        if known and all(is_text(cell) and not with_commas(cell) for _, cell in known):
            found[i] = known[0]
    if not found:
        return
    first, (line, cell) = next(iter(found.items()))
    several = first_names([repr(layout.shown(i)) for i in found])
    held = "the column holds" if len(found) == 1 else f"{len(found)} columns hold"
    if len(found) == 1 and layout.names and not layout.first[first].strip():
        held = f"the column, which has no name and is called 'column {first}', holds"
    raise InvalidData(
        f"{path}, line {line}, column {layout.shown(first)}: expected a number, got "
        f"{cell[:40]!r}; {held} texts{'' if len(found) == 1 else ': ' + several}."
    )


def _columns_of_data(path: Path, table: np.ndarray, layout: _Layout) -> list[int]:
    """Return the columns of data: all but unnamed row numbers and unnamed empty columns.

    Without a header, only the last columns count as unnamed.
    """
    left = list(range(table.shape[1]))
    header, features = layout.first if layout.names else None, layout.features
    numbers = header is not None and len(left) > 1 and features[0] == 0 and not header[0].strip()
    if numbers and _number_rows(path, table[:, 0]):
        left = left[1:]
    for i in left[::-1]:
        if header is not None and header[features[i]].strip():
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
    warn_of_header(
        f"{path}: the first column has no name and a different whole number in every row, so it "
        "was read as row numbers and left out; give it a name if it is a feature."
    )
    return True
