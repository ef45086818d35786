"""Rows of a CSV file: its encoding, its separator, its quotes, and the line each row begins at."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from narrows.data.readers.header import cells_of_width, column_names
from narrows.data.readers.kinds import kind_of
from narrows.data.readers.lines import DAMAGED_GZIP, MAX_LINE, encoding_of, lines, opened
from narrows.errors import InvalidData

__all__ = ["DECIMAL_COMMA", "csv_records", "csv_rows", "named_rows"]

DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+(\.\d{3})*,\d+\s*")
"""A number with a comma in the place of the decimal point, such as 1,5 or 1.000,5."""

_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?")
"""The first line by which Excel is told the separator."""


def csv_rows(path: Path, *, longest_cell: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that are not blank, each with the number of its last line.

    A line of spaces is blank. As ``csv_records``, which says what is raised.
    """
    for line, cells in csv_records(path, longest_cell=longest_cell):
        # [""] is an empty cell in quotes: a value that is missing
        if cells and not (len(cells) == 1 and cells[0].isspace()):
            yield line, cells


def named_rows(path: Path, *, longest_cell: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield the column names in the first row of a CSV file, then the cells of the other rows.

    Each comes with the number of its last line. Empty names and cells after the last name, which
    trailing separators make, are left out. Raises as ``csv_records``, and for a row of another
    length.
    """
    rows = csv_rows(path, longest_cell=longest_cell)
    line, cells = next(rows, (1, []))
    names = column_names(cells)
    yield line, names
    for line, cells in rows:
        yield line, cells_of_width(cells, len(names), f"{path}, line {line}")


def csv_records(
    path: Path, *, separator: str | None = None, longest_cell: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file, [] for a blank line, each with the number of its last line.

    The encoding is UTF-8, or UTF-16 where a byte-order mark says it.

    Parameters
    ----------
    path : Path
    separator : str, optional
        By default the one that a first line ``sep=;`` says, which is then no row; else the comma,
        semicolon or tab that the first line that is not blank has most of, outside of quotes, where
        decimal commas do not count; the tab in a .tsv that has one there.
    longest_cell : int, optional
        In characters; by default what the ``csv`` module is set to, 131,072.

    Raises
    ------
    InvalidData
        With the line number: for a cell in quotes that does not end, or goes on after its closing
        quote, the line where it opens.
    """
    encoding = encoding_of(path)
    with opened(path, "rt", newline="", encoding=encoding) as file:
        texts = _Record(path, file)
        try:
            ahead = list(_until_text(texts))
            first = ahead[-1] if ahead else ""
            told = None if separator else _SEPARATOR_LINE.fullmatch(first)
            if told:
                ahead = []
            if separator is None:
                separator = str(told[1]) if told else _separator(path, first)
            texts.put_back(ahead)
            reader: Any = csv.reader(texts, delimiter=separator, strict=True)
            while (cells := _next_row(reader, longest_cell)) is not None:
                yield texts.line, cells
                texts.begin()
        except csv.Error as error:
            raise InvalidData(_bad_record(path, texts, separator or ",", error)) from None
        except UnicodeError as error:
            if encoding != "utf-8-sig" or not isinstance(error, UnicodeDecodeError):
                raise InvalidData(
                    f"{path}: begins like UTF-16, but is not: {error}; convert the file to UTF-8."
                ) from None
            raise InvalidData(
                f"{path}, line {_undecodable(path)}: not UTF-8: {error.reason}; convert the file "
                "to UTF-8 first."
            ) from None
        except DAMAGED_GZIP as error:
            raise InvalidData(f"{path}: damaged gzip: {error}.") from None


class _Record:
    """The lines of a file one by one; those of the row that is being read are kept."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self._file = path, file
        self._ahead: list[str] = []
        self.line = 0
        self.texts: list[str] = []

    def put_back(self, ahead: list[str]) -> None:
        """Have the last lines read again."""
        self._ahead = [*ahead]
        self.line -= len(ahead)
        self.begin()

    def begin(self) -> None:
        """Forget the lines of the row that was read."""
        self.texts = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._ahead.pop(0) if self._ahead else self._file.readline(MAX_LINE + 1)
        if not text:
            raise StopIteration
        self.line += 1
        if len(text) > MAX_LINE:
            raise InvalidData(f"{self._path}, line {self.line}: longer than {MAX_LINE} characters.")
        self.texts.append(text)
        return text


def _bad_record(path: Path, record: _Record, separator: str, error: csv.Error) -> str:
    """Return what is wrong with the row in ``record``, naming the line where a quote opens."""
    text, at = "".join(record.texts), 0
    between = re.escape(separator)
    cell = re.compile(rf'(?:"(?:[^"]|"")*+"|(?!")[^{between}\r\n]*+)(?:{between}|\r?\n|\Z)')
    while at < len(text) and (found := cell.match(text, at)):
        at = found.end()
    if at >= len(text):  # such as a cell without quotes that is too long
        return f"{path}, line {record.line}: {error}."
    opens = record.line - len(record.texts) + 1 + text.count("\n", 0, at)
    shown = text[at : at + 20].splitlines()[0]
    return (
        f"{path}, line {opens}: the quote that opens at {shown} does not end its cell: {error} "
        f"(line {record.line}). Close it behind the cell; a quote that is part of a text is "
        'written twice, in a cell in quotes: "5"" pipe".'
    )


def _separator(path: Path, first: str) -> str:
    bare = "".join(first.split('"')[::2])
    if kind_of(path) == ".tsv" and "\t" in bare:
        return "\t"
    for other in ";\t":
        cells = bare.strip().split(other)
        if (
            len(cells) > 1
            and "," in bare
            and all("," not in cell or DECIMAL_COMMA.fullmatch(cell) for cell in cells)
        ):
            return other
    return max(",;\t", key=bare.count)


def _until_text(texts: Iterator[str]) -> Iterator[str]:
    """Yield the lines up to the first one that is not blank, and that one."""
    for text in texts:
        yield text
        if text.strip():
            return


def _next_row(reader: Any, longest_cell: int | None) -> list[str] | None:
    if longest_cell is None:
        return next(reader, None)
    # the limit belongs to the whole process: it is put back before anyone else parses
    before = csv.field_size_limit(longest_cell)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)


def _undecodable(path: Path) -> int:
    """Return the first line that is not UTF-8: the decoder reads ahead of the lines it gives."""
    number = 0
    for number, text in lines(path):  # noqa: B007 -- the last one, where none is found
        try:
            text.decode()
        except UnicodeDecodeError:
            break
    return number
