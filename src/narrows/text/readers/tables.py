"""Read documents from CSV, JSON Lines and Parquet: one document per row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from narrows.data.readers.columns import check_distinct
from narrows.data.readers.csv_rows import header_and_rows
from narrows.data.readers.lines import json_value, lines
from narrows.data.readers.parquet import named_cells, open_parquet
from narrows.errors import InvalidData
from narrows.text.documents import MAX_CHARACTERS, Documents
from narrows.text.readers.fields import Fields, choose_fields, documents_from

__all__ = [
    "read_csv_documents",
    "read_jsonl_documents",
    "read_parquet_documents",
    "string_columns",
]

Rows = Iterator[tuple[int, Mapping[str, Any]]]
"""The number of each line or row, and its cells by column or key."""

_BATCH = 256
"""Rows of a Parquet file in memory at a time."""


def read_csv_documents(
    path: Path, *, text: str | None = None, id: str | None = None, label: str | None = None
) -> Documents:
    """Return the documents of a CSV file with a header (comma, semicolon or tab).

    A cell is one label, even if it holds several words.

    Raises
    ------
    InvalidData
        With the line number, for a row of another length, an unclosed quote, or bytes that are not
        UTF-8.
    """
    line, names = next(header_and_rows(path, longest_cell=MAX_CHARACTERS))
    where = f"{path}, line {line}"
    if not names:
        raise InvalidData(f"{path}: no header; its first line must name the columns.")
    check_distinct(names, where)
    fields = choose_fields(names, names, where, text=text, id=id, label=label)
    return _documents(lambda: _csv_rows(path), fields, path, "line")


def _csv_rows(path: Path) -> Rows:
    rows = header_and_rows(path, longest_cell=MAX_CHARACTERS)
    _, names = next(rows)
    for line, cells in rows:
        yield line, dict(zip(names, cells, strict=True))


def read_jsonl_documents(
    path: Path, *, text: str | None = None, id: str | None = None, label: str | None = None
) -> Documents:
    """Return the documents of a JSON Lines file of objects, plain or gzipped.

    The keys of the first line decide which are read. Bytes that are not UTF-8 are refused, as JSON
    requires.

    Raises
    ------
    InvalidData
        With the line number, for invalid JSON, or a line that is not an object or lacks its text or
        id.
    """
    first = next(_jsonl_rows(path), None)
    if first is None:
        raise InvalidData(f"{path}: no documents.")
    line, row = first
    strings = [name for name, value in row.items() if isinstance(value, str)]
    where = f"{path}, line {line}"
    fields = choose_fields(list(row), strings, where, text=text, id=id, label=label)
    return _documents(lambda: _jsonl_rows(path), fields, path, "line")


def _jsonl_rows(path: Path) -> Rows:
    for line, data in lines(path):
        row = json_value(data, path, line)
        if not isinstance(row, dict):
            raise InvalidData(f"{path}, line {line}: expected an object, got {row!r:.40}.")
        yield line, row


def read_parquet_documents(
    path: Path, *, text: str | None = None, id: str | None = None, label: str | None = None
) -> Documents:
    """Return the documents of a Parquet file, read a few rows at a time; other columns are skipped.

    Raises
    ------
    InvalidData
        If the file is damaged or not Parquet; with the row, counted from 0, for a null text or a
        missing id.
    """
    file = open_parquet(path)
    names = list(file.schema_arrow.names)
    check_distinct(names, str(path))
    strings = string_columns(file)
    fields = choose_fields(names, strings, str(path), text=text, id=id, label=label)
    if fields.text not in strings:
        kind = file.schema_arrow.field(fields.text).type
        raise InvalidData(f"{path}: column {fields.text!r} holds {kind}, not strings.")
    return _documents(lambda: _parquet_rows(path, fields), fields, path, "row")


def string_columns(file: Any) -> list[str]:
    """Return the names of the columns of strings of a Parquet file."""
    import pyarrow.types as kinds

    def holds_strings(kind: Any) -> bool:
        if kinds.is_dictionary(kind):
            kind = kind.value_type
        return kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_string_view(kind)

    return [field.name for field in file.schema_arrow if holds_strings(field.type)]


def _parquet_rows(path: Path, fields: Fields) -> Rows:
    # columns stay dictionaries: a long text that a million rows share is held once
    strings = string_columns(open_parquet(path))
    file = open_parquet(path, dictionary=[name for name in fields.names() if name in strings])
    yield from enumerate(named_cells(file, path, fields.names(), batch_size=_BATCH))


def _documents(rows: Callable[[], Rows], fields: Fields, path: Path, unit: str) -> Documents:
    return Documents(
        lambda: documents_from(rows(), fields, str(path), unit),
        origin=str(path),
        labeled=fields.label is not None,
    )
