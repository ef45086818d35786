"""What the images of a folder are called: as the rows are, or by their numbers."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from narrows.data.readers.folders import image_files
from narrows.errors import UsageError

__all__ = ["image_names"]

_LONGEST = 255
"""Bytes of a file's name at most, on the usual systems."""

_UNFIT = re.compile(r'^\.|[\x00-\x1f\x7f"%*/:<>?\\|]')
"""What the name of a file does not hold everywhere, or would hide it."""


def image_names(
    n_rows: int, *, data: str | None = None, called: tuple[str, Sequence[str]] | None = None
) -> list[str]:
    """Return distinct paths for so many images, within the folder that they are written to.

    Images of a folder ``data`` of as many keep their places and names, with the suffix .png, and
    so do rows that are ``called`` by a "file". Those called by an "id" have it as their name, with
    ``%2F`` for a slash and so on; others are numbered from 0, with leading zeros.

    Raises
    ------
    UsageError
        If a file would lie outside of the folder, or a name is too long or stands twice.
    """
    if data is not None and os.path.isdir(data):
        found = image_files(Path(data))
        if len(found) == n_rows:
            return _as_png([PurePosixPath(path.relative_to(data)) for path in found])
    if called is None:
        digits = len(str(max(n_rows - 1, 0)))
        return [f"{i:0{digits}}.png" for i in range(n_rows)]
    header, rows = called
    _check_distinct(rows)
    if "" in rows:
        raise UsageError(
            "a row has no name, by which an image could be called; give it one, or name an output "
            ".npy or .csv."
        )
    names = [f"{_UNFIT.sub(_escaped, str(name))}.png" for name in rows]
    if header == "file":
        names = _as_png([_inside(str(name), row) for row, name in enumerate(rows)])
    _check_length(names)
    return names


def _as_png(files: Sequence[PurePosixPath]) -> list[str]:
    renamed = [str(file.with_suffix(".png")) for file in files]
    folders = {str(folder) for file in files for folder in file.parents}
    if len(set(renamed)) < len(renamed) or folders & {*renamed}:  # a.jpg beside a.png
        return [f"{file}.png" for file in files]
    return renamed


def _inside(name: str, row: int) -> PurePosixPath:
    """Return the path of a file if it stays in its folder."""
    odd = {"", ".", ".."} & {*re.split(r"[/\\]", name)}
    if odd or "\0" in name or os.path.splitdrive(name)[0]:
        raise UsageError(
            f"row {row}: the file {name!r:.60} is no path within a folder, by which an image could "
            "be named; name the column id, or an output .npy or .csv."
        )
    return PurePosixPath(name)


def _escaped(letters: re.Match[str]) -> str:
    return f"%{ord(letters[0]):02X}"


def _check_distinct(rows: Sequence[str]) -> None:
    several = next((name for name, n in Counter(rows).items() if n > 1), None)
    if several is not None:
        raise UsageError(
            f"{several!r:.60}: two rows are called so, of which each is to name an image; give "
            "them distinct names, or name an output .npy or .csv."
        )


def _check_length(names: Sequence[str]) -> None:
    for name in names:
        if len(os.fsencode(name.rpartition("/")[2])) > _LONGEST:
            raise UsageError(
                f"{name!r:.60}: too long for the name of an image; give rows shorter names, or "
                "name an output .npy or .csv."
            )
