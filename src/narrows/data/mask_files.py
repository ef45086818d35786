"""Masks from files: a folder of images, or an array of one integer a pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from narrows.data.labels import read_labels
from narrows.data.mask_images import read_mask_images
from narrows.data.mask_names import places_by_name
from narrows.data.pixel_classes import pixel_values
from narrows.data.readers import read
from narrows.data.readers.npy import read_npz
from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = ["read_mask_file"]

_EXACT = 2**24
"""Readers give float32, which holds every integer below this."""


def read_mask_file(
    path: Path, n_rows: int, sides: tuple[int, int], *, images: Path | None = None
) -> np.ndarray:
    """Return the masks (n_rows, n_pixels), int64, of a file or a folder of images.

    A .npy file of one integer a row, (n_rows,), says the class of all its pixels. Where the rows
    are a folder of ``images`` too, masks go with them as ``places_by_name`` has it.

    Raises
    ------
    InvalidData
        If they are of another shape, hold other values than integers or integers from 2^24 on,
        are of colours, or are images that ``read_mask_images`` refuses.
    """
    height, width = sides
    n_pixels = height * width
    if _is_one_axis(path):
        return _values(read_labels(path, n_rows=n_rows), sides, path)
    masks, image_shape = _read(path, images)
    channels = (*(image_shape or ()), 1, 1, 1)[2]
    if channels > 1 and masks.shape[1] == n_pixels * channels:
        masks = _of_equal_channels(masks.reshape(len(masks), n_pixels, channels), path)
    shape = image_shape or sides  # flat rows say no shape
    if masks.shape != (n_rows, n_pixels) or _longer(shape)[:2] != _longer(sides):
        shown = " x ".join(map(str, image_shape or (masks.shape[1],)))
        raise InvalidData(
            f"{path}: {len(masks)} masks of {shown} pixels, expected {n_rows} of "
            f"{height} x {width}."
        )
    too_large = np.isfinite(masks) & (np.abs(masks) >= _EXACT)
    if too_large.any():
        raise InvalidData(
            f"{path}: holds about {masks[too_large][0]:.0f}; integers from 2^24 on are rounded as "
            "files are read. Number the classes from 0, such as by "
            "np.unique(masks, return_inverse=True)[1]; numbers of instances are no classes."
        )
    return _values(masks, sides, path)


def _values(masks: np.ndarray, sides: tuple[int, int], path: Path) -> np.ndarray:
    """Return ``pixel_values``, whose errors name the file."""
    try:
        return pixel_values(masks, len(masks), sides)
    except InvalidData as error:
        raise InvalidData(f"{path}: {str(error).removeprefix('y: ')}") from None


def _read(path: Path, beside: Path | None) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """Return masks as rows (n_rows, n_values), and their shape, where the file says it."""
    if path.is_dir():
        images = read_mask_images(path)
        if beside is not None and beside.is_dir():
            images = images[places_by_name(beside, path)]
        return images.reshape(len(images), -1), images.shape[1:]
    archive = path.suffix.lower() == ".npz" and path.is_file()  # a pipe would be waited on
    source = _of_archive(path) if archive else read(path)
    rows = np.concatenate([np.asarray(block) for block in source.in_order(1024)])
    return rows, source.image_shape


def _is_one_axis(path: Path) -> bool:
    """Return whether a file is .npy of one axis; what cannot be read is named by its reader."""
    if path.suffix.lower() != ".npy" or not path.is_file():
        return False
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).ndim == 1
    except (ValueError, EOFError, OSError):
        return False


def _longer(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side > 1)


def _of_equal_channels(masks: np.ndarray, path: Path) -> np.ndarray:
    """Return the one mask that all channels of (n_rows, n_pixels, channels) hold."""
    differ = (masks != masks[:, :, :1]).any(axis=(1, 2))
    if differ.any():
        raise InvalidData(
            f"{path}: mask {int(differ.argmax())} is of colours: its channels differ. A mask is "
            "one integer a pixel; write the classes in grey, or as .npy."
        )
    return masks[:, :, 0]


def _of_archive(path: Path) -> Source:
    """Read an archive's array `masks`, or else what it would be read as otherwise."""
    try:
        return read_npz(path, key="masks")
    except InvalidData as error:
        if "no array 'masks'" not in str(error):
            raise
        return read_npz(path)
