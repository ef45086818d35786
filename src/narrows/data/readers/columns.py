"""Which columns of a table are features, and which one is a label."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from narrows.errors import InvalidData

__all__ = ["Columns", "label_text"]


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


def label_text(value: object) -> str:
    """Return a cell as a label: "" for none, and 3 for the 3.0 of a column that also has gaps."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
