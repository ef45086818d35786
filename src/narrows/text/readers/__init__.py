"""Read documents from a path by its suffix, and detect whether a path holds texts."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from narrows.core.isolation import isolate
from narrows.data.readers.cells import is_text
from narrows.data.readers.csv_rows import csv_rows
from narrows.data.readers.folders import folder_kind
from narrows.data.readers.kinds import SEPARATORS, kind_of, unknown_kind
from narrows.data.readers.lines import json_value, lines
from narrows.data.readers.naming import merge_named
from narrows.data.readers.parquet import open_parquet
from narrows.errors import InvalidData, UsageError
from narrows.text.documents import Documents
from narrows.text.readers.folder import read_folder
from narrows.text.readers.tables import (
    read_csv_documents,
    read_jsonl_documents,
    read_parquet_documents,
    string_columns,
)

__all__ = ["looks_like_documents", "read_documents"]

_TABLES: dict[str, Callable[..., Documents]] = {
    ".csv": read_csv_documents,
    ".jsonl": read_jsonl_documents,
    ".ndjson": read_jsonl_documents,
    ".parquet": read_parquet_documents,
    ".pq": read_parquet_documents,
    ".tsv": read_csv_documents,
}


@isolate
def read_documents(
    path: str | Path,
    *,
    text: str | None = None,
    id: str | None = None,
    label: str | None = None,
    kind: str | None = None,
) -> Documents:
    """Open texts by name: a folder of files, .jsonl (.gz too), .csv (.gz too), .tsv, .parquet.

    Only the first document is read here; every pass reads the file again.

    Parameters
    ----------
    path : str or Path
        A str may also give the options below, as on the command line:
        "docs.csv:text=body,label=topic", "folder:kind=texts".
    text : str, optional
        Column or key of the text; by default "text", or the only one with strings.
    id : str, optional
        Column or key of the id; by default "id" if it exists, else documents are numbered from 0.
    label : str, optional
        Column or key of the labels; by default the first that exists of "label", "labels",
        "topics", "category", "categories" and "group".
    kind : {"images", "texts"}, optional
        The kind of files to read from a folder with several kinds, which is refused otherwise:
        "texts" skips the other files.

    Returns
    -------
    documents : Documents

    Raises
    ------
    InvalidData
        Here or while reading, naming the file, the line or row, and the rule that was broken.
    UsageError
        If an argument does not apply to this kind of data, or is given twice.
    """
    if not str(path):
        raise InvalidData("the name of the data is empty.")
    path, options = merge_named(path, {"text": text, "id": id, "label": label, "kind": kind})
    path, kind = Path(path), options.pop("kind", None)
    if options.keys() - {"text", "id", "label"}:
        raise UsageError(
            f"{path}: texts are read with text, id, label and kind only; leave the other options "
            "out."
        )
    if path.is_dir():
        if options:
            raise UsageError(f"{path}: a folder has no columns; leave out text, id and label.")
        return read_folder(path, kind=kind)
    if kind is not None:
        raise UsageError(f"{path}: kind= is only for folders; leave it out.")
    if not path.exists():
        raise InvalidData(f"{path}: no such file or folder.")
    if not path.is_file():
        raise InvalidData(f"{path}: not a regular file.")
    suffix = kind_of(path)
    if suffix not in _TABLES:
        raise unknown_kind(
            path, "texts are read from .jsonl, .csv, .tsv, .parquet or a folder of text files"
        )
    return _TABLES[suffix](path, **options)


def looks_like_documents(
    path: str | Path, *, exclude: Collection[str] = (), needs_text_column: bool = True
) -> bool:
    """Return whether a path holds texts rather than numbers or images, without raising errors.

    It does if it is a folder of only texts, JSON Lines whose first object has a string, or a table
    with a column "text" of strings. Without ``needs_text_column`` it is enough that the first row
    of a table has a string. Keys and columns in ``exclude`` are ignored.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return folder_kind(path) == "texts"
        if not path.is_file():
            return False
        kind = kind_of(path)
        if kind in (".jsonl", ".ndjson"):
            row = next((json_value(text, path, line) for line, text in lines(path)), None)
            return isinstance(row, dict) and any(
                isinstance(value, str) and key not in exclude for key, value in row.items()
            )
        if kind in SEPARATORS:
            rows = csv_rows(path)
            names = [cell.strip() for cell in next(rows, (1, []))[1]]
            strings = names if needs_text_column else _strings(names, next(rows, (2, []))[1])
        elif kind in (".parquet", ".pq"):
            strings = string_columns(open_parquet(path))
        else:
            return False
        strings = [name for name in strings if name not in exclude]
        return "text" in strings if needs_text_column else bool(strings)
    except (InvalidData, OSError):
        return False


def _strings(names: list[str], cells: list[str]) -> list[str]:
    """Return the columns whose cell is not a number."""
    return [name for name, cell in zip(names, cells, strict=False) if is_text(cell)]
