"""Print results: as their table, at a prompt and in a notebook, and with numbers of things."""

from __future__ import annotations

from html import escape
from typing import Any, Protocol, TypeVar

__all__ = ["counted", "shown_as_table"]


class _HasTable(Protocol):
    def table(self) -> str: ...


T = TypeVar("T", bound=type[_HasTable])


def counted(n: int, one: str, several: str | None = None) -> str:
    """Return a number of things, such as "1 row", "2 rows" or, with ``several``, "2 queries"."""
    return f"{n} {one if n == 1 else several or one + 's'}"


def shown_as_table(cls: T) -> T:
    """Decorate a class that has a ``table``: its text is that table, as ``str``, ``repr`` and HTML.

    Examples
    --------
    >>> @shown_as_table
    ... class Result:
    ...     def table(self):
    ...         return "error  0.5"
    >>> Result()
    Result:
    error  0.5
    """

    def as_text(self: Any) -> str:
        return self.table()

    def as_repr(self: Any) -> str:
        return f"{type(self).__name__}:\n{self.table()}"

    def as_html(self: Any) -> str:
        name, table = escape(type(self).__name__), escape(self.table())
        return f"<div><strong>{name}</strong><pre>{table}</pre></div>"

    for name, method in {"__str__": as_text, "__repr__": as_repr, "_repr_html_": as_html}.items():
        setattr(cls, name, method)
    return cls
