"""What lies in a folder: the names that are shown, and the images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from narrows.errors import InvalidData

__all__ = ["IMAGE_SUFFIXES", "image_files", "images_in", "shown"]

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}


def shown(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, by name, without what is hidden: names that begin with a dot.

    Raises
    ------
    InvalidData
        If the folder cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            kept = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise InvalidData(f"{folder}: cannot be read: {error.strerror}.") from None
    return sorted(kept, key=lambda entry: entry.name)


def image_files(folder: Path) -> list[Path]:
    """Return the images of a folder and its subfolders by their suffixes, in order.

    Raises
    ------
    InvalidData
        If there is none.
    """
    paths = sorted(images_in(folder))
    if not paths:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise InvalidData(f"{folder}: no image files ({kinds}).")
    return paths


def images_in(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Yield the images of a folder and its subfolders.

    Links to folders are followed, but for those to a folder in which they lie: ``above`` are the
    real paths of these.
    """
    within = (*above, os.path.realpath(folder))
    for entry in shown(folder):
        if entry.is_dir():
            if os.path.realpath(entry.path) not in within:
                yield from images_in(folder / entry.name, within)
        elif os.path.splitext(entry.name)[1].lower() in IMAGE_SUFFIXES:
            yield folder / entry.name
