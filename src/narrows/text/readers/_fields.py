"""Which of a table's columns, or an object's keys, are the text, the id and the labels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from narrows.data.readers.ids import DistinctIds
from narrows.errors import InvalidData
from narrows.text.documents import Document, clean

__all__ = ["LABELS", "Fields", "choose_fields", "documents_from"]

LABELS = ("label", "labels", "topics", "category", "categories", "group")


@dataclass(frozen=True)
class Fields:
    """Names of columns or keys; ``id`` and ``label`` may be there or not."""

    text: str
    id: str | None
    label: str | None

    def names(self) -> list[str]:
        """Return those that are there, each once."""
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
    """Return the fields that the user named, the usual ones for the rest.

    Parameters
    ----------
    names : sequence of str
        All columns or keys.
    strings : collection of str
        Those that hold strings.
    where : str
        File and line, for messages.

    Raises
    ------
    InvalidData
        If a named one is not there, or it is not clear which one is the text.
    """
    for role, name in (("text", text), ("id", id), ("label", label)):
        if name is not None and name not in names:
            near = get_close_matches(str(name), names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise InvalidData(f"{where}: no {name!r} for {role}=; there {_listed(names)}.{hint}")
    if id is None and "id" in names and text != "id":
        id = "id"
    if label is None:
        label = next((name for name in LABELS if name in names and name not in (text, id)), None)
    if text is None:
        text = "text" if "text" in names else None
    if text is None:
        left = [name for name in names if name in strings and name not in (id, label)]
        if len(left) != 1:
            raise InvalidData(
                f"{where}: which one is the text? There {_listed(names)}; name it with text=; "
                "in a table of numbers name what are none with label= or drop=."
            )
        text = left[0]
    return Fields(text, id, label)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:10]))
    return f"{'is' if len(names) == 1 else 'are'} {shown or 'none'}{', ...' * (len(names) > 10)}"


def documents_from(
    rows: Iterator[tuple[int, Mapping[str, Any]]], fields: Fields, origin: str, unit: str
) -> Iterator[Document]:
    """Yield the documents of numbered rows, each checked.

    Raises
    ------
    InvalidData
        With the line or row, for a missing text, a missing or repeated id, or a label that is
        neither a string nor a number; or if there are no rows.
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
            f"{where}: {field!r} must be a string or a whole number that says which document this "
            f"is, got {value!r:.40}."
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
    # a label given twice is one label
    return tuple(dict.fromkeys(clean(_text(part, field, where), where) for part in values))


def _text(value: str | int, field: str, where: str) -> str:
    try:
        return str(value)
    except ValueError:
        raise InvalidData(f"{where}: {field!r} is a number of too many digits.") from None
