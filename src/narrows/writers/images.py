"""Write rows as image files."""

from __future__ import annotations

import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np

from narrows.artefact.durable import replacing
from narrows.data.readers.folders import image_files
from narrows.data.readers.naming import path_of
from narrows.errors import ResourceError, UsageError
from narrows.model.model import Model
from narrows.writers.pixels import image_shape_of, pixel_range
from narrows.writers.tables import check_rows_file, write_rows

__all__ = [
    "ImageFolder",
    "check_target",
    "image_names",
    "row_target",
    "write_images",
    "write_model_rows",
]


@dataclass(frozen=True)
class ImageFolder:
    """A folder to write rows to as images; it is created if needed."""

    path: Path

    def __str__(self) -> str:
        return f"{self.path}{os.sep}"


def row_target(name: str) -> Path | ImageFolder:
    """Return the target of rows: a folder if the name ends with a slash or is that of a folder."""
    path = Path(name)
    return ImageFolder(path) if name.endswith(("/", os.sep)) or path.is_dir() else path


def check_target(target: Path | ImageFolder, *inputs: str | Path) -> None:
    """Refuse, before any work is done, a target that cannot be written or is an input.

    Raises
    ------
    ResourceError
        As in ``check_writable``, or if the folder is a file.
    UsageError
        As in ``check_rows_file``, or if the folder is an input folder or lies in one.
    """
    if not isinstance(target, ImageFolder):
        check_rows_file(target, *inputs)
        return
    folder = target.path
    real = Path(os.path.realpath(folder))
    for other in map(path_of, inputs):
        if os.path.isdir(other) and Path(os.path.realpath(other)) in (real, *real.parents):
            raise UsageError(
                f"{target}: is the input folder {other} or inside it, so its images would be "
                "replaced, or the next run would read these as input; choose another output path."
            )
    if folder.exists() and not folder.is_dir():
        raise ResourceError(f"{target}: is a file; name a folder, or a file without the slash.")
    if folder.is_symlink() and not folder.exists():
        raise ResourceError(f"{target}: is a link to {real}, which does not exist; make it first.")
    existing = folder if folder.is_dir() else folder.parent
    if not existing.is_dir():
        raise ResourceError(f"{target}: the folder {existing} does not exist; make it first.")
    if not os.access(existing, os.W_OK):
        raise ResourceError(f"{target}: the folder {existing} cannot be written to.")


def write_model_rows(
    target: Path | ImageFolder,
    blocks: Iterable[np.ndarray],
    model: Model,
    *,
    n_rows: int,
    image_shape: tuple[int, ...] | None = None,
    data: str | None = None,
    row_names: tuple[str, Sequence[str]] | None = None,
) -> tuple[int, int]:
    """Write rows in input units as .npy or .csv, or as images; return the shape (n, n_features).

    The header of a .csv holds the column names, or the words, of the model. ``row_names`` is the
    kind of the names of rows, "file" or "id", and the names: they are the first column of a .csv,
    and the names of images. Images are gray or RGB, of 8 bits; 0 and 255 are the ends of the
    model's pixel range. If ``data`` is a folder of as many images, each image gets the relative
    path of its source, with the suffix .png; without any names images are numbered. Files are
    replaced atomically.

    Raises
    ------
    ResourceError
        If the disk is full or a file cannot be written.
    UsageError
        If the suffix is unknown, or if the target is a folder and the rows are not images or the
        pixels of the model have no range.
    """
    if not isinstance(target, ImageFolder):
        return write_rows(
            target, blocks, n_rows=n_rows, names=model.feature_names, row_names=row_names
        )
    shape = image_shape_of(model, image_shape)
    if shape is None or len(shape) not in (2, 3) or (*shape, 1)[2] not in (1, 3):
        has = "rows are no images" if shape is None else f"no image has the shape {shape}"
        raise UsageError(
            f"{target}: {has}; give their shape by --image-shape, or name a file, .npy or .csv."
        )
    limits = pixel_range(model)
    if limits is None:
        raise UsageError(
            f"{target}: pixels scaled by {model.scaling.kind!r} have no black and no white; name a "
            "file, .npy or .csv, or fit with --scale unit."
        )
    size = shape[:2] if (*shape, 1)[2] == 1 else shape
    images = (_levels(row.reshape(size), limits) for block in blocks for row in block)
    write_images(target, images, n_rows=n_rows, data=data, row_names=row_names)
    return n_rows, math.prod(shape)


def write_images(
    target: ImageFolder,
    images: Iterable[np.ndarray],
    *,
    n_rows: int,
    data: str | None,
    row_names: tuple[str, Sequence[str]] | None = None,
) -> None:
    """Write uint8 images, (height, width) or (height, width, 3), named as in ``write_model_rows``.

    Raises
    ------
    ResourceError
        If the disk is full or a file cannot be written.
    UsageError
        If an image would be written into the input folder, by its name or by a link, or if the
        name of a row cannot be that of an image.
    """
    names = image_names(n_rows, data=data, row_names=row_names)
    _check_not_inputs(target, names, data)
    _create(target.path)
    for folder in sorted({(target.path / name).parent for name in names}):
        _create(folder, parents=True)
    for name, image in zip(names, images, strict=True):
        with replacing(target.path / name) as file:
            file.write(_png(image))


def _check_not_inputs(target: ImageFolder, names: list[str], data: str | None) -> None:
    if data is None or not os.path.isdir(data):
        return
    home = Path(os.path.realpath(data))
    for name in names:
        real = Path(os.path.realpath(target.path / name))
        if home in real.parents:
            raise UsageError(
                f"{target}: {name} would be {real}, in the input folder {data}; name a folder "
                "elsewhere."
            )


def _create(folder: Path, *, parents: bool = False) -> None:
    try:
        folder.mkdir(exist_ok=True, parents=parents)
    except OSError as error:
        raise ResourceError(f"{folder}: cannot be made: {error.strerror}.") from error


def _levels(image: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Return an image in levels from 0 to 255, which stand for the two limits."""
    low, high = limits
    levels = np.rint((image.astype(np.float64) - low) * (255 / (high - low)))
    return levels.clip(0, 255).astype(np.uint8)


def _png(image: np.ndarray) -> bytes:
    from PIL import Image

    file = BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


_LONGEST = 255
"""The largest length of a file name in bytes, on the usual systems."""

_FORBIDDEN = re.compile(r'^\.|[\x00-\x1f\x7f"%*/:<>?\\|]')
"""Characters that some systems do not allow in file names, and a first dot, which hides a file."""


def image_names(
    n_rows: int, *, data: str | None = None, row_names: tuple[str, Sequence[str]] | None = None
) -> list[str]:
    """Return distinct relative paths for ``n_rows`` images.

    If ``data`` is a folder of as many images, they keep their relative paths, with the suffix .png,
    as do rows named by "file". Rows named by "id" get that name, with ``%2F`` for a slash and so
    on. Others are numbered from 0, with leading zeros.

    Raises
    ------
    UsageError
        If a file would lie outside of the folder, or a name is too long or occurs twice.
    """
    if data is not None and os.path.isdir(data):
        found = image_files(Path(data))
        if len(found) == n_rows:
            return _as_png([PurePosixPath(path.relative_to(data)) for path in found])
    if row_names is None:
        digits = len(str(max(n_rows - 1, 0)))
        return [f"{i:0{digits}}.png" for i in range(n_rows)]
    kind, rows = row_names
    _check_distinct(rows)
    if "" in rows:
        raise UsageError(
            "a row has no name for its image; give it one, or name an output .npy or .csv."
        )
    names = [f"{_FORBIDDEN.sub(_escaped, str(name))}.png" for name in rows]
    if kind == "file":
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
    """Return the path of a file, which must stay within its folder."""
    odd = {"", ".", ".."} & {*re.split(r"[/\\]", name)}
    if odd or "\0" in name or os.path.splitdrive(name)[0]:
        raise UsageError(
            f"row {row}: the file {name!r:.60} is not a path within a folder and cannot name an "
            "image; name the column id, or an output .npy or .csv."
        )
    return PurePosixPath(name)


def _escaped(letters: re.Match[str]) -> str:
    return f"%{ord(letters[0]):02X}"


def _check_distinct(rows: Sequence[str]) -> None:
    repeated = next((name for name, n in Counter(rows).items() if n > 1), None)
    if repeated is not None:
        raise UsageError(
            f"{repeated!r:.60}: two rows have this name, and images need distinct names; rename "
            "them, or name an output .npy or .csv."
        )


def _check_length(names: Sequence[str]) -> None:
    for name in names:
        if len(os.fsencode(name.rpartition("/")[2])) > _LONGEST:
            raise UsageError(
                f"{name!r:.60}: too long for the name of an image; give rows shorter names, or "
                "name an output .npy or .csv."
            )
