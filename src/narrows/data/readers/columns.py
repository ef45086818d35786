"""Choose the columns of a table that are features, labels and ids, and read labels and ids."""

from __future__ import annotations

import datetime
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from narrows.data.memory import memory_limit
from narrows.data.readers.ids import DistinctIds
from narrows.data.source import Source
from narrows.errors import InvalidData, ResourceError, UsageError, did_you_mean

__all__ = [
    "Columns",
    "LabelsAndIds",
    "check_distinct",
    "columns_of",
    "id_text",
    "name_unnamed_columns",
    "unknown_column",
]

_LONGEST = 256
"""Maximum length of a label; longer cells are texts to learn from."""

_A = {"label": "a label", "id": "an id"}
_WHOLE = re.compile(r"-?\d{1,15}\.0+")


@dataclass(frozen=True)
class Columns:
    """The roles of named columns of a table.

    Parameters
    ----------
    label : str, optional
        The column of labels, ``Source.labels``, which is not a feature.
    drop : collection of str
        Columns that are not read.
    id : str, optional
        The column of unique names of rows, ``Source.ids``, which is not a feature.
    """

    label: str | None = None
    drop: Collection[str] = ()
    id: str | None = None

    def __bool__(self) -> bool:
        return bool(self.named) or bool(self.drop)

    @property
    def named(self) -> list[str]:
        """The columns that are read but are not features."""
        return [name for name in (self.label, self.id) if name is not None]

    def features(self, names: Sequence[str] | None, origin: str) -> list[int]:
        """Return the positions of the columns that are features.

        Raises
        ------
        InvalidData
            If the table has no column names, a column does not exist, or no feature is left.
        """
        excluded = [*self.named, *self.drop]
        if names is None and excluded:
            raise InvalidData(
                f"{origin}: the columns have no names, so there is no column {excluded[0]!r}."
            )
        names = name_unnamed_columns(names or ())
        for name in excluded:
            if name in names:
                continue
            raise unknown_column(origin, name, names)
        kept = [i for i, name in enumerate(names) if name not in excluded]
        if not kept:
            raise InvalidData(f"{origin}: no feature columns remain; drop fewer columns.")
        return kept


class LabelsAndIds:
    """Collect the labels and ids of rows.

    Parameters
    ----------
    columns : Columns
    origin, unit : str
        The file, and the unit in which its rows are counted: "line" or "row".
    """

    def __init__(self, columns: Columns, origin: str, unit: str) -> None:
        self._columns, self._origin, self._unit = columns, origin, unit
        self._labels: list[str] = []
        self._ids: list[str] = []
        self._distinct = DistinctIds(origin, unit)

    def add(self, cells: Mapping[str, object], number: int) -> None:
        """Add the label and id of line or row ``number``, from its cells by column name.

        Raises
        ------
        InvalidData
            If a label is invalid, or an id is invalid, empty or repeated.
        """
        label, name, where = self._columns.label, self._columns.id, f"{self._unit} {number}"
        if label is not None:
            at = f"{self._origin}, {where}, column {label!r}"
            self._labels.append(_cell_text(cells[label], at, "label"))
        if name is not None:
            text = id_text(cells[name], f"{self._origin}, {where}, column {name!r}")
            self._distinct.add(text, number)
            self._ids.append(text)

    def apply_to(self, source: Source) -> Source:
        """Set the labels and ids of a source, and return it.

        Raises
        ------
        InvalidData
            If an id is repeated.
        ResourceError
            If the strings, each as long as the longest, do not fit into memory.
        """
        self._distinct.finish()
        if self._columns.label is not None:
            source.labels = _string_array(self._labels, self._origin, "labels")
        if self._columns.id is not None:
            source.ids = _string_array(self._ids, self._origin, "ids")
        return source


def unknown_column(where: str, name: str, names: Sequence[str]) -> InvalidData:
    """Return the error for a column, or key, that does not exist, with the nearest name."""
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return InvalidData(f"{where}: no column {name!r}; it has {shown}.{did_you_mean(name, names)}")


def check_distinct(names: Sequence[str], where: str, way_out: str = "") -> None:
    """Raise InvalidData if a column name is repeated."""
    if len(set(names)) < len(names):
        raise InvalidData(f"{where}: a column name is repeated{way_out}.")


def name_unnamed_columns(names: Sequence[str]) -> list[str]:
    """Return the names of columns; columns without a name are called "column 3", from 0."""
    return [name or f"column {i}" for i, name in enumerate(names)]


def id_text(value: object, where: str) -> str:
    """Return a cell, which errors call ``where``, as an id.

    Raises
    ------
    InvalidData
        If it is empty, too long, or not valid Unicode.
    """
    text = _cell_text(value, where, "id")
    if not text:
        raise InvalidData(f"{where}: no id; every row needs one, or leave id= out.")
    return text


def columns_of(label: object, drop: object, id: object = None) -> Columns:
    """Return the columns that the arguments of a reader name.

    Raises
    ------
    UsageError
        If an argument is not a name, or a label or id is also dropped.
    """
    for argument, name in (("label", label), ("id", id)):
        if name is not None and not isinstance(name, str):
            raise UsageError(f"{argument}: expected the name of a column, got {name!r}.")
    names = [drop] if isinstance(drop, str) else [] if drop is None else drop
    if not isinstance(names, Collection) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"drop: expected names of columns, got {drop!r}.")
    for argument, name in (("label", label), ("id", id)):
        if name in names:
            raise UsageError(
                f"drop: must not name the column of {argument}, got {name!r} for both; leave "
                f"it out of drop: the {argument} is not a feature anyway."
            )
    return Columns(label, tuple(names), id)  # pyright: ignore[reportArgumentType] -- checked


def _cell_text(value: object, where: str, what: str) -> str:
    """Return a cell as a string: "" for None or NaN, and "3" for a label 3.0.

    Errors call the cell ``where``; ``what`` is "label" or "id".

    Raises
    ------
    InvalidData
        If it is a container, too long, or not valid Unicode.
    """
    if value is None or value != value:
        return ""
    if isinstance(value, float | np.floating) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if not isinstance(value, str | int | float | np.floating | datetime.date):
        raise InvalidData(
            f"{where}: {_A[what]} must be a text or a number, got {type(value).__name__}."
        )
    text = str(value).strip()
    if len(text) > _LONGEST:
        raise InvalidData(
            f"{where}: {_A[what]} of {len(text)} characters, at most {_LONGEST} are read; name a "
            "column of texts to learn from with text=."
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidData(f"{where}: the {what} {text!r} is not valid Unicode.") from None
    if text.lower() == "nan":
        return ""
    if "\0" in text:
        raise InvalidData(f"{where}: the {what} {text!r} contains a NUL.")
    return text.partition(".")[0] if what == "label" and _WHOLE.fullmatch(text) else text


def _string_array(strings: Sequence[str], origin: str, what: str) -> np.ndarray | None:
    """Return an array of strings (n_rows,), or None if there are none.

    Errors call them ``what`` of ``origin``. All take the memory of the longest.
    """
    if not strings:
        return None
    longest = max(map(len, strings))
    if 4 * longest * len(strings) > memory_limit():
        raise ResourceError(
            f"{origin}: {len(strings)} {what} of up to {longest} characters do not fit into memory."
        )
    return np.array(strings)
