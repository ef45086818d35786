"""What the rows of data are called: files of a folder, or the ids that a file gives them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["HEADERS", "row_names"]

HEADERS = ("file", "id")
"""The first column of a .csv that is written of rows with names."""


def row_names(opened: Any) -> tuple[str, Sequence[str]] | None:
    """Return the header of the names of what was opened, and the names; None if it has none.

    Texts and images of a folder are called by their paths in it, ``file``; documents, and rows
    of a table of which a column is named by ``id=``, by their ``id``.
    """
    from narrows.text import Documents

    names = (
        [document.id for document in opened]
        if isinstance(opened, Documents)
        else getattr(opened, "ids", None)
    )
    if names is None:
        return None
    return HEADERS[not Path(opened.origin).is_dir()], [str(name) for name in names]
