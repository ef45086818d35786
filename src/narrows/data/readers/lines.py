"""Lines of a file, plain or gzipped, none longer than a limit; the JSON and the cells in them."""

from __future__ import annotations

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Any

from narrows.data.readers.kinds import is_folded, kind_of
from narrows.errors import InvalidData

__all__ = ["DAMAGED_GZIP", "MAX_LINE", "csv_rows", "json_value", "lines", "opened"]

MAX_LINE = 64 << 20
DAMAGED_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)


def opened(path: Path, mode: str, **how: Any) -> Any:
    """Open a file, unfolded where its name ends in .gz."""
    return gzip.open(path, mode, **how) if is_folded(path) else open(path, mode, **how)


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, each with its number, counted from 1.

    Raises
    ------
    InvalidData
        With the line number, for a line over ``MAX_LINE`` bytes or a damaged gzip.
    """
    with opened(path, "rb") as file:
        line = 0
        try:
            while text := file.readline(MAX_LINE + 1):
                line += 1
                if len(text) > MAX_LINE:
                    raise InvalidData(f"{path}, line {line}: longer than {MAX_LINE} bytes.")
                if text.strip():
                    yield line, text
        except DAMAGED_GZIP as error:
            raise InvalidData(f"{path}: damaged gzip after line {line}: {error}.") from None


def json_value(text: bytes, path: Path, line: int) -> Any:
    """Return the JSON of a line; an object in which a key stands twice is refused.

    Raises
    ------
    InvalidData
        With the line number.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"{path}, line {line}: bad JSON: {error}.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key stands twice")
    return value


def csv_rows(
    path: Path, *, longest_cell: int | None = None, strict: bool = False
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file (UTF-8) that are not blank, each with its line number.

    A line of spaces is blank. The separator is the comma, semicolon or tab that the first line
    that is not blank has most of, outside of quotes; the tab in a .tsv that has one there.

    Parameters
    ----------
    path : Path
    longest_cell : int, optional
        In characters; by default what the ``csv`` module is set to, 131,072.
    strict : bool, default=False
        Refuse a quoted cell that does not end, or goes on after its closing quote.

    Raises
    ------
    InvalidData
        With the line number.
    """
    with opened(path, "rt", newline="", encoding="utf-8-sig") as file:
        reader: Any = None
        try:
            texts = _bounded(file, path)
            ahead = list(_until_text(texts))
            separator = _separator(path, ahead[-1] if ahead else "")
            reader = csv.reader(chain(ahead, texts), delimiter=separator, strict=strict)
            while (cells := _next_row(reader, longest_cell)) is not None:
                # [""] is an empty cell in quotes: a value that is missing
                if cells and not (len(cells) == 1 and cells[0].isspace()):
                    yield reader.line_num, cells
        except csv.Error as error:
            raise InvalidData(f"{path}, line {reader.line_num}: {error}.") from None
        except UnicodeDecodeError as error:
            raise InvalidData(
                f"{path}, line {_undecodable(path)}: not UTF-8: {error.reason}; convert the file "
                "to UTF-8 first."
            ) from None
        except DAMAGED_GZIP as error:
            raise InvalidData(f"{path}: damaged gzip: {error}.") from None


def _separator(path: Path, first: str) -> str:
    bare = "".join(first.split('"')[::2])
    if kind_of(path) == ".tsv" and "\t" in bare:
        return "\t"
    return max(",;\t", key=bare.count)


def _bounded(file: IO[str], path: Path) -> Iterator[str]:
    line = 0
    while text := file.readline(MAX_LINE + 1):
        line += 1
        if len(text) > MAX_LINE:
            raise InvalidData(f"{path}, line {line}: longer than {MAX_LINE} characters.")
        yield text


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
