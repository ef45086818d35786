"""CSV and TSV with a header: one document a row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from narrows.data.readers.csv_rows import csv_rows
from narrows.data.readers.header import cells_of_width, column_names
from narrows.errors import InvalidData
from narrows.text.documents import MAX_CHARACTERS, Documents
from narrows.text.readers._fields import choose_fields, documents_from

__all__ = ["read_csv_documents"]


def read_csv_documents(
    path: Path, *, text: str | None = None, id: str | None = None, label: str | None = None
) -> Documents:
    """Return the documents of a CSV file (comma, semicolon or tab); a cell is one label.

    Raises
    ------
    InvalidData
        With the line number, for a ragged row, a quoted cell without end, or bytes that are not
        UTF-8.
    """
    line, cells = next(csv_rows(path, longest_cell=MAX_CHARACTERS), (1, []))
    names = _names(cells, path, line)
    where = f"{path}, line {line}"
    fields = choose_fields(names, names, where, text=text, id=id, label=label)
    return Documents(
        lambda: documents_from(_rows(path), fields, str(path), "line"),
        origin=str(path),
        labeled=fields.label is not None,
    )


def _names(cells: list[str], path: Path, line: int) -> list[str]:
    names = column_names(cells)
    if not names:
        raise InvalidData(f"{path}: no header; its first line must name the columns.")
    if len(set(names)) < len(names):
        raise InvalidData(f"{path}, line {line}: a column name stands twice.")
    return names


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    names: list[str] | None = None
    for line, cells in csv_rows(path, longest_cell=MAX_CHARACTERS):
        if names is None:
            names = _names(cells, path, line)
            continue
        cells = cells_of_width(cells, len(names), f"{path}, line {line}")
        yield line, dict(zip(names, cells, strict=True))
