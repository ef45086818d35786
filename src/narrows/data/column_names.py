"""Write names of columns: the first of many, and tables with options behind their path."""

from __future__ import annotations

import csv
import io

__all__ = ["dropping", "first_names", "with_options"]

_SHOWN = 5


def first_names(names: list[str], shown: int = _SHOWN) -> str:
    """Return the first names in a line, with how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def with_options(path: str, options: list[str]) -> str:
    """Return a path with options behind it; one that holds a comma stands in quotes."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(options)
    return f"{path}:{line.getvalue()}"


def dropping(path: str, *columns: str) -> str:
    """Return the name of a table without these columns, such as t.csv:drop=a,drop=b."""
    return with_options(path, [f"drop={column}" for column in columns])
