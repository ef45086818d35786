"""Opening data by the names that commands are given."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from narrows.data.source import Source
    from narrows.text import Documents

__all__ = ["label_file", "open_data"]

_KEYS = ("text", "id", "label", "features", "first", "drop")


def open_data(name: str) -> Source | Documents:
    """Open a file or folder, or a named data set: ``mnist`` its training images, ``mnist:test``.

    What holds texts, and not numbers, is opened as Documents; ``docs.csv:text=body,id=key`` names
    the columns, or the keys, of text, id and label. In ``table.csv:label=kind,drop=a,drop=b`` the
    columns named are no features; ``test.svmlight:features=123,first=1`` says how many columns
    there are, where the last ones do not occur, and from what their indices count. In a table of
    numbers ``id=`` names the column with the rows' names.
    """
    from narrows.data import read
    from narrows.datasets import DATASETS, fetch
    from narrows.errors import UsageError
    from narrows.text import looks_like_documents, read_documents

    dataset, _, half = name.partition(":")
    if dataset in DATASETS and half in ("", "train", "test") and not Path(name).exists():
        files = fetch(dataset)
        return read(files[f"{'t10k' if half == 'test' else 'train'}-images-idx3-ubyte.gz"])
    path, columns = _parted(name)
    if columns:
        named, dropped = _columns(columns)
        if named.keys() & _INDICES.keys():
            if named.keys() - _INDICES.keys() or dropped:
                raise UsageError(f"{name!r}: {path} names no columns beside {', '.join(_INDICES)}.")
            known: dict[str, Any] = {}
            for key, value in named.items():
                argument, parsed = _INDICES[key]
                known[argument] = parsed(value)
            return read(path, **known)
        beside = {*dropped, *(named[key] for key in ("label", "id") if key in named)}
        texts = "text" in named or looks_like_documents(
            path, beside=beside, called_so="id" not in named
        )
        if "text" in named and dropped:
            raise UsageError(
                f"{name!r}: drop is for tables of numbers; of texts only the columns named are "
                "read, so leave drop out."
            )
        if texts and not dropped:
            return read_documents(path, **named)
        return _table(path, f"{name},", label=named.get("label"), id=named.get("id"), drop=dropped)
    return read_documents(name) if looks_like_documents(name) else _table(name, f"{name}:")


def _parted(name: str) -> tuple[str, str]:
    """Return path and columns of ``path:columns``, whose names may hold colons; "" for none."""
    if Path(name).exists():
        return name, ""
    for at in (i for i, letter in enumerate(name) if letter == ":"):
        if "=" in name[at:] and Path(name[:at]).exists():
            return name[:at], name[at + 1 :]
    path, _, columns = name.rpartition(":")
    return (path, columns) if "=" in columns else (name, "")


def _table(path: str, named: str, **columns: Any) -> Source:
    """Read numbers; where a column holds none, say how to name it behind ``named``."""
    from narrows.data import read
    from narrows.errors import InvalidData

    try:
        return read(path, **columns)
    except InvalidData as error:
        if "expected a number" not in str(error) and "not numbers" not in str(error):
            raise
        says = "" if columns.get("label") else f"; {named}label=COLUMN if it says what a row is"
        says += "" if columns.get("id") else f"; {named}id=COLUMN if it names the rows"
        raise InvalidData(
            f"{error} If it holds texts, name their column: {path}:text=COLUMN; a column that is "
            f"no feature is left out by {named}drop=COLUMN{says}."
        ) from None


def label_file(labels: Path) -> tuple[Path, str | None]:
    """Return the file of labels and the column that is named in it, as in ``y.csv:label=grade``.

    Raises
    ------
    UsageError
        If something else is named.
    """
    from narrows.errors import UsageError

    path, columns = _parted(str(labels))
    if not columns:
        file, _, column = path.rpartition(":")
        if labels.exists() or not Path(file).is_file():
            return labels, None
        raise UsageError(f"{labels}: to name a column of labels, write {file}:label={column}.")
    named, dropped = _columns(columns)
    if [*named] != ["label"] or dropped:
        raise UsageError(f"{labels}: of labels only their column is named: {path}:label=COLUMN.")
    return Path(path), named["label"]


def _n_features(number: str) -> int:
    from narrows.errors import UsageError

    if not (number.isascii() and number.isdigit() and len(number) < 20):
        raise UsageError(f"'features={number}': expected features=NUMBER, a whole one.")
    return int(number)


def _first_index(number: str) -> bool:
    from narrows.errors import UsageError

    if number not in ("0", "1"):
        raise UsageError(f"'first={number}': indices are counted from first=0 or first=1.")
    return number == "0"


_INDICES: dict[str, tuple[str, Callable[[str], int | bool]]] = {
    "features": ("n_features", _n_features),
    "first": ("zero_based", _first_index),
}
"""What is said of an SVMlight file: the argument of ``read``, and how it is read."""


def _columns(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read ``text=body,id=key,label=topic,drop=a,drop=b``; what is dropped comes second.

    A name with a comma stands in quotes, as in a CSV: ``"drop=height, cm",label=kind``.
    """
    from narrows.errors import UsageError, unknown_name

    named: dict[str, str] = {}
    dropped: list[str] = []
    try:
        parts = next(csv.reader([text]), [])
    except csv.Error as error:
        raise UsageError(f"{text!r}: {error}; a name with a break stands in quotes.") from None
    for part in parts:
        what, _, column = part.partition("=")
        if what not in _KEYS:
            raise UsageError(f"{text!r}: {unknown_name('columns', what, _KEYS)}")
        if not column or what in named:
            raise UsageError(
                f"{text!r}: expected text=NAME, id=NAME, label=NAME, features=NUMBER or first=0 "
                f"once each, or drop=NAME, got {part!r}."
            )
        if what == "drop":
            dropped.append(column)
        else:
            named[what] = column
    return named, tuple(dropped)
