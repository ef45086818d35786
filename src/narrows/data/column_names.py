"""Columns in messages: the first of many names, and the name of a table without some."""

from __future__ import annotations

import csv
import io

__all__ = ["dropping", "first_names"]

_SHOWN = 5


def first_names(names: list[str], shown: int = _SHOWN) -> str:
    """Return the first names in a line, with how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def dropping(path: str, *columns: str) -> str:
    """Return the name of a table without these columns, such as t.csv:drop=a,drop=b."""
    parts = io.StringIO()
    csv.writer(parts, lineterminator="").writerow([f"drop={column}" for column in columns])
    return f"{path}:{parts.getvalue()}"
