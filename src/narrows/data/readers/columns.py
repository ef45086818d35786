"""Which columns of a table are features, and which one is a label."""

from __future__ import annotations

import datetime
import difflib
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from narrows.data.readers._limits import memory_limit
from narrows.errors import InvalidData, ResourceError, UsageError

__all__ = ["Columns", "columns_of", "label_array", "label_text"]

_LONGEST = 256
"""Characters of a label at most: what is longer is a text to learn from."""

_WHOLE = re.compile(r"-?\d{1,15}\.0+")


@dataclass(frozen=True)
class Columns:
    """What was asked of a table's columns, by name.

    Parameters
    ----------
    label : str, optional
        The column that says what a row is; its cells become ``Source.labels``, no feature.
    drop : collection of str
        Columns that are not read.
    """

    label: str | None = None
    drop: Collection[str] = ()

    def __bool__(self) -> bool:
        return self.label is not None or bool(self.drop)

    def features(self, names: Sequence[str] | None, origin: str) -> list[int]:
        """Return the positions of the columns that are features.

        Raises
        ------
        InvalidData
            If the table has no names, a name is not there, or no feature is left.
        """
        asked = [*(() if self.label is None else (self.label,)), *self.drop]
        for name in asked:
            if name in (names or ()):
                continue
            if names is None:
                raise InvalidData(f"{origin}: its columns have no names, asked for {name!r}.")
            near = difflib.get_close_matches(name, names, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
            raise InvalidData(f"{origin}: no column {name!r}; it has {shown}.{hint}")
        kept = [i for i, name in enumerate(names or ()) if name not in asked]
        if not kept:
            raise InvalidData(f"{origin}: no column is left but those that are no features.")
        return kept


def columns_of(label: object, drop: object) -> Columns:
    """Return what the arguments of a reader ask for.

    Raises
    ------
    UsageError
        If they are no names.
    """
    if label is not None and not isinstance(label, str):
        raise UsageError(f"label: expected the name of a column, got {label!r}.")
    names = [drop] if isinstance(drop, str) else [] if drop is None else drop
    if not isinstance(names, Collection) or not all(isinstance(name, str) for name in names):
        raise UsageError(f"drop: expected names of columns, got {drop!r}.")
    return Columns(label, tuple(names))


def label_text(value: object, where: str) -> str:
    """Return a cell as a label: "" for none or NaN, and 3 for the 3.0 of a column with gaps.

    ``where`` names the cell in messages.

    Raises
    ------
    InvalidData
        If it is a list or the like, too long, or no text that can be written.
    """
    if value is None or value != value:
        return ""
    if isinstance(value, float | np.floating) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if not isinstance(value, str | int | float | np.floating | datetime.date):
        raise InvalidData(f"{where}: a label is a text or a number, got {type(value).__name__}.")
    text = str(value).strip()
    if len(text) > _LONGEST:
        raise InvalidData(
            f"{where}: a label of {len(text)} characters, the most are {_LONGEST}; a column of "
            "texts to learn from is named by text=."
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidData(f"{where}: the label {text!r} is not valid Unicode.") from None
    if text.lower() == "nan":
        return ""
    return text.partition(".")[0] if _WHOLE.fullmatch(text) else text


def label_array(labels: Sequence[str], origin: str) -> np.ndarray | None:
    """Return labels (n_rows,), None if there are none.

    Raises
    ------
    ResourceError
        If all of them, each as long as the longest, do not fit into memory.
    """
    if not labels:
        return None
    longest = max(map(len, labels))
    if 4 * longest * len(labels) > memory_limit():
        raise ResourceError(
            f"{origin}: {len(labels)} labels of up to {longest} characters do not fit into memory."
        )
    return np.array(labels)
