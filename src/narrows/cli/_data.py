"""Opening data by the names that commands are given."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from narrows.data.source import Source
    from narrows.text import Documents

__all__ = ["label_file", "open_data"]


def open_data(name: str) -> Source | Documents:
    """Open a file or folder, or a named data set: ``mnist`` its training images, ``mnist:test``.

    What holds texts, and not numbers, is opened as Documents; ``docs.csv:text=body,id=key`` names
    the columns, or the keys, of text, id and label. In ``table.csv:label=kind,drop=a,drop=b`` the
    columns named are no features; ``test.svmlight:features=123`` says how many columns there are,
    where the last ones do not occur.
    """
    from narrows.data import read
    from narrows.datasets import DATASETS, fetch
    from narrows.errors import UsageError
    from narrows.text import looks_like_documents, read_documents

    dataset, _, half = name.partition(":")
    if dataset in DATASETS and half in ("", "train", "test") and not Path(name).exists():
        files = fetch(dataset)
        return read(files[f"{'t10k' if half == 'test' else 'train'}-images-idx3-ubyte.gz"])
    path, _, columns = name.rpartition(":")
    if "=" in columns and not Path(name).exists():
        named, dropped = _columns(columns)
        if "features" in named:
            return read(path, n_features=_n_features(named["features"]))
        beside = {*dropped, *([named["label"]] if "label" in named else [])}
        texts = "text" in named or "id" in named or looks_like_documents(path, beside=beside)
        if texts and dropped:
            raise UsageError(f"{name!r}: drop is for tables of numbers; {path} holds texts.")
        if texts:
            return read_documents(path, **named)
        return _table(path, f"{name},", label=named.get("label"), drop=dropped)
    return read_documents(name) if looks_like_documents(name) else _table(name, f"{name}:")


def _table(path: str, named: str, **columns: Any) -> Source:
    """Read numbers; where a column holds none, say how to name it behind ``named``."""
    from narrows.data import read
    from narrows.errors import InvalidData

    try:
        return read(path, **columns)
    except InvalidData as error:
        if "expected a number" not in str(error) and "not numbers" not in str(error):
            raise
        raise InvalidData(
            f"{error} If it holds texts, name their column: {path}:text=COLUMN; a column that is "
            f"no feature is left out by {named}drop=COLUMN."
        ) from None


def label_file(labels: Path) -> tuple[Path, str | None]:
    """Return the file of labels and the column that is named in it, as in ``y.csv:label=grade``.

    Raises
    ------
    UsageError
        If something else is named.
    """
    from narrows.errors import UsageError

    path, _, columns = str(labels).rpartition(":")
    if labels.exists() or not path:
        return labels, None
    if "=" not in columns:
        if not Path(path).is_file():
            return labels, None
        raise UsageError(f"{labels}: to name a column of labels, write {path}:label={columns}.")
    named, dropped = _columns(columns)
    if [*named] != ["label"] or dropped:
        raise UsageError(f"{labels}: of labels only their column is named: {path}:label=COLUMN.")
    return Path(path), named["label"]


def _n_features(number: str) -> int:
    from narrows.errors import UsageError

    if not (number.isascii() and number.isdigit() and len(number) < 20):
        raise UsageError(f"'features={number}': expected features=NUMBER, a whole one.")
    return int(number)


def _columns(text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read ``text=body,id=key,label=topic,drop=a,drop=b``; what is dropped comes second."""
    from narrows.errors import UsageError

    named: dict[str, str] = {}
    dropped: list[str] = []
    for part in text.split(","):
        what, _, column = part.partition("=")
        if what not in ("text", "id", "label", "features", "drop") or not column or what in named:
            raise UsageError(
                f"{text!r}: expected text=NAME, id=NAME, label=NAME once each, or drop=NAME, got "
                f"{part!r}."
            )
        if what == "drop":
            dropped.append(column)
        else:
            named[what] = column
    return named, tuple(dropped)
