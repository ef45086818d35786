"""JSON Lines of objects, plain or gzipped: one document a line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from narrows.data.readers.lines import json_value, lines
from narrows.errors import InvalidData
from narrows.text.documents import Documents
from narrows.text.readers._fields import choose_fields, documents_from

__all__ = ["read_jsonl_documents"]


def read_jsonl_documents(
    path: Path, *, text: str | None = None, id: str | None = None, label: str | None = None
) -> Documents:
    """Return the documents of a JSON Lines file; the first line decides which keys are read.

    Bytes that are not UTF-8 are refused, as JSON demands.

    Raises
    ------
    InvalidData
        With the line number, for bad JSON, or a line that is no object or lacks its text or id.
    """
    first = next(_objects(path), None)
    if first is None:
        raise InvalidData(f"{path}: no documents.")
    line, row = first
    strings = [name for name, value in row.items() if isinstance(value, str)]
    where = f"{path}, line {line}"
    fields = choose_fields(list(row), strings, where, text=text, id=id, label=label)
    return Documents(
        lambda: documents_from(_objects(path), fields, str(path), "line"),
        origin=str(path),
        labeled=fields.label is not None,
    )


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in lines(path):
        row = json_value(text, path, line)
        if not isinstance(row, dict):
            raise InvalidData(f"{path}, line {line}: expected an object, got {row!r:.40}.")
        yield line, row
