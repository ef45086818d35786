"""Masks from files: a folder of images, or an array of one integer a pixel."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from narrows.data.pixel_classes import pixel_values
from narrows.data.readers import read
from narrows.data.readers.images import image_files
from narrows.data.readers.npy import read_npz
from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = ["read_mask_file"]

_LOSSY = ("JPEG", "MPO", "WEBP")
_EXACT = 2**24
"""Readers give float32, which holds every integer below this."""

_WAY_OUT = "store masks as PNG of 8 bits, or as .npy, of class numbers"


def read_mask_file(path: Path, n_rows: int, sides: tuple[int, int]) -> np.ndarray:
    """Return the masks (n_rows, n_pixels), int64, of a file or a folder of images.

    Raises
    ------
    InvalidData
        If they are of another shape, hold other values than integers or integers from 2^24 on,
        are colours or 16-bit images, or are of a lossy format and hold more than two values.
    """
    height, width = sides
    n_pixels = height * width
    source = read(path) if path.suffix.lower() != ".npz" else _of_archive(path)
    masks = np.concatenate([np.asarray(block) for block in source.in_order(1024)])
    if path.is_dir():
        _check_images(path, masks)
    channels = (*(source.image_shape or ()), 1, 1, 1)[2]
    if channels > 1 and masks.shape[1] == n_pixels * channels:
        masks = _of_equal_channels(masks.reshape(len(masks), n_pixels, channels), path)
    shape = source.image_shape or sides  # flat rows say no shape
    if masks.shape != (n_rows, n_pixels) or _longer(shape)[:2] != _longer(sides):
        shown = " x ".join(map(str, source.image_shape or (masks.shape[1],)))
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
    try:
        return pixel_values(masks, n_rows, sides)
    except InvalidData as error:
        raise InvalidData(f"{path}: {str(error).removeprefix('y: ')}") from None


def _check_images(folder: Path, masks: np.ndarray) -> None:
    """Refuse image files whose values are not those that were drawn."""
    from PIL import Image

    for path in image_files(folder):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                kind, mode = image.format, image.mode
        if mode == "I" or mode.startswith("I;16"):
            raise InvalidData(
                f"{path}: a mask of 16 bits or more, which images are cut to 8 of; {_WAY_OUT}."
            )
        if kind in _LOSSY and (n_values := len(np.unique(masks))) > 2:
            raise InvalidData(
                f"{path}: a mask in {kind}, which changes values: there are {n_values} of them in "
                f"{folder}. Threshold the masks, such as masks > 127, and {_WAY_OUT}."
            )


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
