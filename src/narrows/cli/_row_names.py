"""What the rows of data are called: files of a folder, or the ids that a file gives them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from narrows.cli._common import one_line

__all__ = ["HEADERS", "in_figure", "row_names"]

_IN_FIGURE = 256

HEADERS = ("file", "id")
"""The first column of a .csv or .tsv that is written of rows with names."""


def row_names(opened: Any, *outputs: object) -> tuple[str, Sequence[str]] | None:
    """Return the header of the names of what was opened, and the names; None if it has none.

    Texts and images of a folder are called by their paths in it, ``file``; documents, and rows
    of a table of which a column is named by ``id=``, by their ``id``. Where there are ``outputs``
    and all of them are numbers alone, .npy, or None, nothing is asked for.
    """
    from narrows.data.readers.folders import IMAGE_SUFFIXES
    from narrows.data.readers.kinds import kind_of
    from narrows.text import Documents

    if outputs and all(o is None or isinstance(o, Path) and kind_of(o) == ".npy" for o in outputs):
        return None
    names = (
        [document.id for document in opened]
        if isinstance(opened, Documents)
        else getattr(opened, "ids", None)
    )
    if names is None:
        return None
    held = [str(name) for name in names] if hasattr(names, "tolist") else names
    origin = Path(opened.origin)
    of_files = origin.is_dir() or origin.suffix.lower() in IMAGE_SUFFIXES
    return HEADERS[not of_files], held


def in_figure(called: tuple[str, Sequence[str]] | None, numbers: Iterable[int]) -> list[str]:
    """Return what figures call the rows of these numbers: by their names, those of files without
    their suffix, or "row 17"."""
    if called is None:
        return [f"row {number}" for number in numbers]
    header, names = called
    shown = (names[number] for number in numbers)
    if header == "file":
        shown = (str(PurePosixPath(name).with_suffix("")) for name in shown)
    return [one_line(name, _IN_FIGURE) for name in shown]
