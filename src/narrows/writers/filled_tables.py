"""Read a table with missing cells, and write it again with them filled in.

Everything else is kept: other columns, their order, the cells that are known, types and format.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from narrows.artefact.durable import replacing
from narrows.data.readers.cells import as_number, is_missing, is_number
from narrows.data.readers.columns import name_unnamed_columns, unknown_column
from narrows.data.readers.csv_rows import csv_rows, pad_or_trim, separator_of
from narrows.data.readers.header import N_INSPECTED, has_header
from narrows.data.readers.kinds import SEPARATORS, kind_of
from narrows.data.readers.npy import read_npy
from narrows.data.readers.parquet import open_parquet
from narrows.errors import InvalidData, UsageError
from narrows.writers.tables import replacing_table, write_array

__all__ = ["IncompleteTable", "read_incomplete_table"]

_PARQUET = (".parquet", ".pq")
_MARK = "_missing"
"""Ends the name of an indicator column."""


class IncompleteTable(ABC):
    """The columns of numbers of a table that are to be filled in.

    Attributes
    ----------
    names : list of str
        Their names; "column 3" where there is none.
    values : ndarray of shape (n_rows, n_columns)
        Float64, NaN where a cell is missing.
    others : list of str
        The columns that are left as they are.
    """

    names: list[str]
    values: np.ndarray
    others: list[str]

    @abstractmethod
    def write(self, path: Path, filled: np.ndarray, marked: Sequence[int] = ()) -> None:
        """Write the table with ``filled`` (n_rows, n_columns) in its missing cells.

        For each column in ``marked`` a column at the end says where a cell was missing, 1 or 0.
        """


def read_incomplete_table(
    path: Path, *, keep: Collection[str] = (), header: bool | None = None
) -> IncompleteTable:
    """Read a .csv or .tsv (.gz, too), .parquet or .npy file.

    Columns of texts, dates and booleans are left as they are, and those that ``keep`` names.

    Raises
    ------
    InvalidData
        If the file is of another kind or cannot be read, a column does not exist, or no column
        holds numbers.
    """
    kind = kind_of(path)
    if kind in SEPARATORS:
        table: IncompleteTable = _TextTable(path, keep, header)
    elif header is not None:
        raise UsageError(f"header: is for .csv and .tsv files, got {path}; omit it.")
    elif kind in _PARQUET:
        table = _ParquetTable(path, keep)
    elif kind == ".npy":
        table = _ArrayTable(path, keep)
    else:
        raise InvalidData(
            f"{path}: impute reads .csv, .tsv, .parquet and .npy files, got {kind or 'no suffix'}; "
            "convert the file first."
        )
    if not table.names:
        raise InvalidData(
            f"{path}: no column of numbers is left to fill in; code categories as numbers, or name "
            "fewer columns in id=, label= and drop=."
        )
    return table


class _TextTable(IncompleteTable):
    def __init__(self, path: Path, keep: Collection[str], header: bool | None) -> None:
        rows = [*csv_rows(path)]
        if not rows:
            raise InvalidData(f"{path}: no rows: the file is empty.")
        line, first = rows[0]
        if header is None:
            header = has_header(path, first, [cells for _, cells in rows[1 : 1 + N_INSPECTED]])
        self._header = first if header else None
        self._cells = []
        for line, cells in rows[1:] if header else rows:
            cells = pad_or_trim(cells, len(first))
            if len(cells) != len(first):
                raise InvalidData(
                    f"{path}, line {line}: expected {len(first)} cells, got {len(cells)}."
                )
            self._cells.append(cells)
        if not self._cells:
            raise InvalidData(f"{path}: no rows below the first line, which is the header.")
        self._separator = separator_of(path)
        bare = [cell.strip() for cell in first] if header else [""] * len(first)
        every = name_unnamed_columns(bare)
        _check_exist(path, keep, bare)
        columns = [[row[i] for row in self._cells] for i in range(len(first))]
        # with a header, a column without a name holds row numbers, as pandas writes them
        self._at = [
            i
            for i, column in enumerate(columns)
            if every[i] not in keep and (bare[i] or not header) and _holds_numbers(column)
        ]
        self.names = [every[i] for i in self._at]
        self.others = [every[i] for i in range(len(first)) if i not in self._at]
        numbers = [[_number(cell) for cell in columns[i]] for i in self._at]
        self.values = np.array(numbers, dtype=np.float64).reshape(len(self._at), len(self._cells)).T
        self._endings = [_whole_ending(columns[i]) for i in self._at]

    def write(self, path: Path, filled: np.ndarray, marked: Sequence[int] = ()) -> None:
        missing = np.isnan(self.values)
        with replacing_table(path, self._separator) as lines:
            if self._header is not None:
                lines.cells([*self._header, *(self.names[j] + _MARK for j in marked)])
            for r, row in enumerate(self._cells):
                cells = list(row)
                for j in np.flatnonzero(missing[r] & np.isfinite(filled[r])):
                    cells[self._at[j]] = _text(float(filled[r, j]), self._endings[j])
                lines.cells([*cells, *(str(int(missing[r, j])) for j in marked)])


def _holds_numbers(column: list[str]) -> bool:
    """Return whether all known cells are numbers: true and false are no measurements."""
    known = [cell for cell in column if not is_missing(cell)]
    return all(map(is_number, known)) and all(as_number(cell) is not None for cell in known)


def _number(cell: str) -> float:
    return np.nan if is_missing(cell) else float(cell)


def _whole_ending(column: list[str]) -> str:
    """Return ".0" if whole numbers of the column are written so, as pandas does, else ""."""
    known = [cell.strip() for cell in column if not is_missing(cell)]
    return ".0" if known and all(cell.endswith(".0") for cell in known) else ""


def _text(value: float, ending: str) -> str:
    whole = value.is_integer() and abs(value) < 2**53
    return f"{value:.0f}{ending}" if whole else f"{value:.9g}"


class _ParquetTable(IncompleteTable):
    def __init__(self, path: Path, keep: Collection[str]) -> None:
        import pyarrow as pa

        self._table: Any = open_parquet(path).read()
        every = list(self._table.column_names)
        _check_exist(path, keep, every)
        types = self._table.schema.types
        numeric = [pa.types.is_integer(t) or pa.types.is_floating(t) for t in types]
        self._at = [i for i, name in enumerate(every) if numeric[i] and name not in keep]
        self.names = [every[i] for i in self._at]
        self.others = [every[i] for i in range(len(every)) if i not in self._at]
        columns = [
            np.asarray(self._table.column(i).cast(pa.float64(), safe=False).to_numpy())
            for i in self._at
        ]
        self.values = np.array(columns, dtype=np.float64).reshape(-1, self._table.num_rows).T

    def write(self, path: Path, filled: np.ndarray, marked: Sequence[int] = ()) -> None:
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        table, missing = self._table, np.isnan(self.values)
        for j, i in enumerate(self._at):
            there = missing[:, j] & np.isfinite(filled[:, j])
            if not there.any():
                continue
            field = table.schema.field(i)
            fill = pa.array(np.where(there, filled[:, j], 0.0))
            column: Any = pc.if_else(  # pyright: ignore[reportAttributeAccessIssue] -- generated
                pa.array(there), fill.cast(field.type, safe=False), table.column(i)
            )
            table = table.set_column(i, field, column)
        for j in marked:
            table = table.append_column(
                self.names[j] + _MARK, pa.array(missing[:, j].astype(np.int8))
            )
        with replacing(path) as file:
            pq.write_table(table, file)


class _ArrayTable(IncompleteTable):
    def __init__(self, path: Path, keep: Collection[str]) -> None:
        _check_exist(path, keep, [])
        source: Any = read_npy(path)
        self._array = np.load(path, allow_pickle=False)
        if self._array.ndim != 2:
            raise InvalidData(
                f"{path}: must hold a table of two dimensions, got {self._array.shape}; use "
                "narrows inpaint for images."
            )
        self.names = name_unnamed_columns([""] * source.n_features)
        self.others = []
        self.values = self._array.astype(np.float64)

    def write(self, path: Path, filled: np.ndarray, marked: Sequence[int] = ()) -> None:
        missing = np.isnan(self.values)
        there = missing & np.isfinite(filled)
        array = np.where(there, filled, self.values).astype(self._array.dtype)
        array = np.where(there, array, self._array)
        marks = missing[:, list(marked)].astype(array.dtype)
        write_array(path, np.hstack([array, marks]))


def _check_exist(path: Path, keep: Collection[str], names: Sequence[str]) -> None:
    for name in keep:
        if not names:
            raise InvalidData(f"{path}: the columns have no names, so there is no column {name!r}.")
        if name not in names:
            raise unknown_column(str(path), name, names)
