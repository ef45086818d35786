"""Read the rows of a CSV file: find encoding and separator, check quotes, pad or trim rows."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from narrows.data.readers.kinds import kind_of
from narrows.data.readers.lines import DAMAGED_GZIP, MAX_LINE, encoding_of, lines, opened
from narrows.errors import InvalidData

__all__ = [
    "DECIMAL_COMMA",
    "csv_records",
    "csv_rows",
    "header_and_rows",
    "pad_or_trim",
    "separator_of",
]

DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+(\.\d{3})*,\d+\s*")
"""A number with a decimal comma, such as 1,5 or 1.000,5."""

_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?")
"""A first line that tells Excel the separator."""


def csv_rows(path: Path, *, longest_cell: int | None = None) -> Iterator[tuple[int, list[str]]]:
    """Yield the non-blank rows of a CSV file, each with the number of its last line.

    A line of spaces is blank. See ``csv_records``, also for errors.
    """
    for line, cells in csv_records(path, longest_cell=longest_cell):
        # [""] is a quoted empty cell: a missing value
        if cells and not (len(cells) == 1 and cells[0].isspace()):
            yield line, cells


def header_and_rows(
    path: Path, *, longest_cell: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield the column names in the first row of a CSV file, then the cells of the other rows.

    Each comes with the number of its last line. Empty names and cells after the last name, which
    trailing separators make, are left out. Raises as ``csv_records``, and for a row of another
    length.
    """
    rows = csv_rows(path, longest_cell=longest_cell)
    line, cells = next(rows, (1, []))
    names = _trimmed_names(cells)
    yield line, names
    for line, cells in rows:
        cells = pad_or_trim(cells, len(names))
        if len(cells) != len(names):
            raise InvalidData(
                f"{path}, line {line}: expected {len(names)} cells, got {len(cells)}."
            )
        yield line, cells


def pad_or_trim(cells: list[str], width: int, n_unnamed: int = 0) -> list[str]:
    """Return the cells of a row without empty cells after the first ``width``.

    A row that lacks some of the last ``n_unnamed`` columns gets empty cells.
    """
    if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
        return cells[:width]
    lacking = width - len(cells)
    return cells + [""] * lacking if 0 < lacking <= n_unnamed else cells


def _trimmed_names(cells: Sequence[str]) -> list[str]:
    """Return the names in a header, without empty names at the end."""
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    return names


def separator_of(path: Path) -> str:
    """Return the separator of a CSV file, as ``csv_records`` finds it by default.

    Raises
    ------
    InvalidData
        If the file is not text.
    """
    try:
        with opened(path, "rt", newline="", encoding=encoding_of(path)) as file:
            first = deque(_until_text(file), maxlen=1)
    except (UnicodeError, *DAMAGED_GZIP) as error:
        raise InvalidData(f"{path}: cannot be read as text: {error}.") from None
    stated = _SEPARATOR_LINE.fullmatch(first[0]) if first else None
    return str(stated[1]) if stated else _separator(path, first[0] if first else "")


def csv_records(
    path: Path, *, separator: str | None = None, longest_cell: int | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file, [] for a blank line, each with the number of its last line.

    The encoding is UTF-8, or UTF-16 with a byte-order mark.

    Parameters
    ----------
    path : Path
    separator : str, optional
        By default it is given by a first line such as ``sep=;``, which is not a row; else it is the
        tab if the first non-blank line of a .tsv has one; else the most frequent of comma,
        semicolon and tab in that line, without quoted cells and decimal commas.
    longest_cell : int, optional
        In characters; by default the limit of the ``csv`` module, 131,072.

    Raises
    ------
    InvalidData
        With the line number; for a quoted cell that is not closed, or continues after its closing
        quote, the line where it opens.
    """
    encoding = encoding_of(path)
    with opened(path, "rt", newline="", encoding=encoding) as file:
        texts = _Record(path, file)
        try:
            ahead = list(_until_text(texts))
            first = ahead[-1] if ahead else ""
            stated = None if separator else _SEPARATOR_LINE.fullmatch(first)
            if stated:
                ahead = []
            if separator is None:
                separator = str(stated[1]) if stated else _separator(path, first)
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
    """Iterate over the lines of a file, and keep the lines of the current row."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self._file = path, file
        self._ahead: list[str] = []
        self.line = 0
        self.texts: list[str] = []

    def put_back(self, ahead: list[str]) -> None:
        """Return lines, which will be read again."""
        self._ahead = [*ahead]
        self.line -= len(ahead)
        self.begin()

    def begin(self) -> None:
        """Begin a new row."""
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
    """Return an error message for the row in ``record``, with the line where a quote opens."""
    text, at = "".join(record.texts), 0
    between = re.escape(separator)
    cell = re.compile(rf'(?:"(?:[^"]|"")*+"|(?!")[^{between}\r\n]*+)(?:{between}|\r?\n|\Z)')
    while at < len(text) and (found := cell.match(text, at)):
        at = found.end()
    if at >= len(text):  # such as an unquoted cell that is too long
        return f"{path}, line {record.line}: {error}."
    opens = record.line - len(record.texts) + 1 + text.count("\n", 0, at)
    shown = text[at : at + 20].splitlines()[0]
    return (
        f"{path}, line {opens}: the quote that opens at {shown} does not end its cell: {error} "
        f"(line {record.line}). Close it behind the cell; write a quote inside of a text "
        'twice, in a quoted cell: "5"" pipe".'
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
    """Yield the lines up to and including the first non-blank line."""
    for text in texts:
        yield text
        if text.strip():
            return


def _next_row(reader: Any, longest_cell: int | None) -> list[str] | None:
    if longest_cell is None:
        return next(reader, None)
    # the limit is global: restore it before other code parses
    before = csv.field_size_limit(longest_cell)
    try:
        return next(reader, None)
    finally:
        csv.field_size_limit(before)


def _undecodable(path: Path) -> int:
    """Return the first line that is not UTF-8; the decoder itself reads ahead."""
    number = 0
    for number, text in lines(path):  # noqa: B007 -- the last line if none is found
        try:
            text.decode()
        except UnicodeDecodeError:
            break
    return number
