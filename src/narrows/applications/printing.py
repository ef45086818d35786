"""Show results as their table when printed, at a prompt and in a notebook."""

from __future__ import annotations

from abc import ABC, abstractmethod
from html import escape

__all__ = ["PrintsTable"]


class PrintsTable(ABC):
    """Gives a record with a ``table`` its text as ``str`` and ``repr``, and as escaped HTML."""

    @abstractmethod
    def table(self) -> str:
        """Return lines to print."""

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        return f"{type(self).__name__}:\n{self.table()}"

    def _repr_html_(self) -> str:
        name, table = escape(type(self).__name__), escape(self.table())
        return f"<div><strong>{name}</strong><pre>{table}</pre></div>"
