"""Choose the columns or keys of text, id and labels, and make documents of rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from narrows.data.readers.columns import unknown_column
from narrows.data.readers.ids import DistinctIds
from narrows.errors import InvalidData
from narrows.text.documents import Document, clean

__all__ = ["LABELS", "Fields", "choose_fields", "documents_from"]

LABELS = ("label", "labels", "topics", "category", "categories", "group")


@dataclass(frozen=True)
class Fields:
    """The names of the columns or keys that are read; ``id`` and ``label`` are optional."""

    text: str
    id: str | None
    label: str | None

    def names(self) -> list[str]:
        """Return the distinct names."""
        return list(dict.fromkeys(n for n in (self.text, self.id, self.label) if n is not None))


def choose_fields(
    names: Sequence[str],
    strings: Collection[str],
    where: str,
    *,
    text: str | None,
    id: str | None,
    label: str | None,
) -> Fields:
    """Return the fields that the user named, and default names for the others.

    Parameters
    ----------
    names : sequence of str
        All columns or keys.
    strings : collection of str
        The columns or keys that hold strings.
    where : str
        The file and line, for error messages.

    Raises
    ------
    InvalidData
        If a named field does not exist, or the field of the text cannot be determined.
    """
    for name in (text, id, label):
        if name is not None and name not in names:
            raise unknown_column(where, name, names)
    if id is None and "id" in names and text != "id":
        id = "id"
    if label is None:
        label = next((name for name in LABELS if name in names and name not in (text, id)), None)
    if text is None:
        text = "text" if "text" in names else None
    if text is None:
        candidates = [name for name in names if name in strings and name not in (id, label)]
        if len(candidates) != 1:
            raise InvalidData(
                f"{where}: cannot tell which column is the text; it has {', '.join(names[:10])}"
                f"{', ...' * (len(names) > 10)}. Name it with text=; in a table of numbers, name "
                "the columns that are not numbers with label= or drop=."
            )
        text = candidates[0]
    return Fields(text, id, label)


def documents_from(
    rows: Iterator[tuple[int, Mapping[str, Any]]], fields: Fields, origin: str, unit: str
) -> Iterator[Document]:
    """Yield the documents of numbered rows, and check each.

    Raises
    ------
    InvalidData
        With the line or row, for a missing text, a missing or repeated id, or a label that is
        neither a string nor a whole number; or if there are no rows.
    """
    seen = DistinctIds(origin, unit) if fields.id is not None else None
    count = 0
    for number, row in rows:
        where = f"{origin}, {unit} {number}"
        text = row.get(fields.text)
        if not isinstance(text, str):
            raise InvalidData(f"{where}: {fields.text!r} must be a string, got {text!r:.40}.")
        name = str(count)
        if fields.id is not None and seen is not None:
            name = _name(row.get(fields.id), fields.id, where)
            seen.add(name, number)
        labels = () if fields.label is None else _labels(row.get(fields.label), fields.label, where)
        count += 1
        yield Document(name, clean(text, where), labels)
    if not count:
        raise InvalidData(f"{origin}: no documents.")
    if seen is not None:
        seen.finish()


def _name(value: Any, field: str, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InvalidData(
            f"{where}: {field!r} must be a string or a whole number that identifies the document, "
            f"got {value!r:.40}."
        )
    return clean(_text(value, field, where), where)


def _labels(value: Any, field: str, where: str) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    values = value if isinstance(value, list | tuple) else [value]
    for part in values:
        if isinstance(part, bool) or not isinstance(part, str | int):
            raise InvalidData(
                f"{where}: {field!r} must be a label or a list of labels, strings or whole "
                f"numbers, got {value!r:.40}."
            )
    # repeated labels count once
    return tuple(dict.fromkeys(clean(_text(part, field, where), where) for part in values))


def _text(value: str | int, field: str, where: str) -> str:
    try:
        return str(value)
    except ValueError:
        raise InvalidData(f"{where}: {field!r} is a number with too many digits.") from None
