"""Read masks: the class of every pixel, from files that belong to images."""

from __future__ import annotations

import os
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from narrows.data.labels import read_labels
from narrows.data.pixel_classes import pixel_values
from narrows.data.readers import read
from narrows.data.readers.folders import image_files
from narrows.data.readers.images import decode, decoded
from narrows.data.readers.npy import read_npz
from narrows.data.source import Source
from narrows.errors import InvalidData, PairingWarning

__all__ = ["places_by_name", "read_mask_file", "read_mask_images"]

if TYPE_CHECKING:
    from PIL import Image


_LOSSY = ("JPEG", "MPO", "WEBP")
_APART = 128
"""Two values as far apart as this come back from compression as two values."""

_WAY_OUT = "store masks as PNG of 8 bits, or as .npy, of class numbers"


def read_mask_images(folder: Path) -> np.ndarray:
    """Return the masks of a folder in the order of their names, (n, height, width) uint8.

    Images with a palette say its indices, others their gray.

    Raises
    ------
    InvalidData
        Naming the file: of colors, of more than 8 bits, with transparent pixels, with another
        palette than others have, or of a lossy format, unless such files hold two values
        that are 128 or more apart.
    """
    paths = image_files(folder)
    lossy = [path for path in paths if _changes_values(path)]
    palettes = _Palettes()
    size = decode(paths[0], palettes.pixels).shape[:2]
    masks = list(decoded(paths, size, paths[0].name, palettes.pixels))
    if lossy:
        first = set(lossy)
        held = [np.unique(mask) for mask, at in zip(masks, paths, strict=True) if at in first]
        _check_values(np.unique(np.concatenate(held)), lossy[0])
    for mask, path in zip(masks, paths, strict=True):
        if mask.ndim == 3 and (mask != mask[..., :1]).any():
            raise InvalidData(
                f"{path}: a mask of colors: its channels differ. A mask is one integer a pixel; "
                "write the classes in gray, with a palette, or as .npy."
            )
    return np.stack([mask if mask.ndim == 2 else mask[..., 0] for mask in masks])


def _check_values(values: np.ndarray, path: Path) -> None:
    """Refuse values (n_values,) that compression has changed, or may have."""
    if len(values) == 2 and int(values[1]) - int(values[0]) >= _APART:
        return
    some = ", ".join(map(str, values[:4])) + (", ..." if len(values) > 4 else "")
    wide = int(values[-1]) - int(values[0]) >= _APART
    raise InvalidData(
        f"{path}: a mask in {_kind(path)}, which changes values: there are {len(values)} of them "
        f"({some}), not two that are far apart, such as 0 and 255. "
        + (
            "Threshold the masks, such as masks > 127"
            if wide
            else "Go back to those before compression"
        )
        + f", and {_WAY_OUT}."
    )


class _Palettes:
    """Reads masks; remembers the color of each index, which two files have to agree on."""

    def __init__(self) -> None:
        self._colors: dict[int, tuple[int, ...]] = {}

    def pixels(self, image: Image.Image, path: Path) -> np.ndarray:
        """Return the numbers of a mask, (height, width), or (height, width, 3) of colors."""
        if image.mode == "I" or image.mode.startswith("I;16"):
            raise InvalidData(
                f"{path}: a mask of 16 bits or more, which images are cut to 8 of; {_WAY_OUT}."
            )
        if image.mode == "F":
            raise InvalidData(f"{path}: a mask of floating-point pixels; {_WAY_OUT}.")
        if image.has_transparency_data:
            _check_opaque(image, path)
            image.info.pop("transparency", None)
        if image.mode in ("P", "PA"):
            return self._indices(image, path)
        return np.asarray(image.convert("L" if image.mode in ("1", "L", "LA", "La") else "RGB"))

    def _indices(self, image: Image.Image, path: Path) -> np.ndarray:
        indices = np.asarray(image)
        indices = indices if indices.ndim == 2 else indices[..., 0]
        colors = np.asarray(image.convert("RGB"))
        for index, at in zip(*np.unique(indices, return_index=True), strict=True):
            color = tuple(map(int, colors.reshape(-1, 3)[at]))
            before = self._colors.setdefault(int(index), color)
            if before != color:
                raise InvalidData(
                    f"{path}: index {index} of its palette is the color {color}, but {before} "
                    f"in another mask of the folder; give all one palette, or {_WAY_OUT}."
                )
        return indices


def _check_opaque(image: Image.Image, path: Path) -> None:
    """Refuse a mask with pixels that are not wholly there."""
    least = int(np.asarray(image.convert("RGBA").getchannel("A")).min())
    if least < 255:
        raise InvalidData(
            f"{path}: a mask with transparent pixels (alpha from {least}), of which nobody knows "
            f"the class; remove the alpha channel, and {_WAY_OUT}."
        )


def _changes_values(path: Path) -> bool:
    """Return whether a file is of a format that does not keep values."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                kind, compression = image.format, image.info.get("compression")
    except Exception:  # whatever is damaged is found, and named, as it is decoded
        return False
    if kind == "WEBP":
        return not _is_lossless_webp(path)
    return kind in _LOSSY or (kind == "TIFF" and "jpeg" in str(compression))


def _kind(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        return str(image.format)


def _is_lossless_webp(path: Path) -> bool:
    """Return whether the pixels of a WebP are in a chunk VP8L, alone or behind others."""
    with open(path, "rb") as file:
        file.seek(12)  # RIFF, length, WEBP
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name in (b"VP8L", b"VP8 "):
                return name == b"VP8L"
            file.seek(length + length % 2, 1)
    return False


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
        are of colors, or are images that ``read_mask_images`` refuses.
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
            f"{path}: mask {int(differ.argmax())} is of colors: its channels differ. A mask is "
            "one integer a pixel; write the classes in gray, or as .npy."
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


_DIGITS = "0123456789"
_SEPARATORS = "_-. /"


def places_by_name(images: Path, masks: Path) -> np.ndarray:
    """Return the place, in the order of names, of the mask of every image, (n_images,) int64.

    Names are compared without suffix, such as .png; where fewer than half agree, without what all
    of a folder begin with, and end with, such as _mask, too. If as many are in both folders, and
    fewer than half agree, they go together in the order of their names.

    Raises
    ------
    InvalidData
        If half of the names agree or more, but not all.

    Warns
    -----
    PairingWarning
        If fewer than half agree.
    """
    of_images, of_masks = _names(images), _names(masks)
    in_order = np.arange(len(of_masks))
    if len(of_images) != len(of_masks):
        return in_order  # how many there are of each is said by who counts rows
    ours, theirs = of_images, of_masks
    if _n_shared(ours, theirs) * 2 < len(ours):
        ours, theirs = _cores(ours), _cores(theirs)
    if ours == theirs:
        return in_order
    place = {name: i for i, name in enumerate(theirs)}
    if len(place) == len(theirs) and set(ours) == set(theirs):
        return np.array([place[name] for name in ours])
    n_shared, n = _n_shared(ours, theirs), len(ours)
    first = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    pair = f"image {of_images[first]!r} would go with mask {of_masks[first]!r}"
    if n_shared * 2 >= n:
        raise InvalidData(
            f"{masks}: {n_shared} of {n} masks have the name of an image in {images}, the others "
            f"have not; in the order of names {pair}. Give the mask of every image its name."
        )
    warnings.warn(
        f"{masks}: {n_shared} of {n} masks have the name of an image in {images}; they go together "
        f"in the order of their names: {pair}. Give masks the names of their images to be sure.",
        PairingWarning,
        stacklevel=2,
    )
    return in_order


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).with_suffix("").as_posix() for path in image_files(folder)]


def _n_shared(ours: list[str], theirs: list[str]) -> int:
    return len({*ours} & {*theirs})


def _cores(names: list[str]) -> list[str]:
    """Return names without what all begin with and end with; digits of a number stay together."""
    begin = len(os.path.commonprefix(names).rstrip(_DIGITS))
    end = len(os.path.commonprefix([name[::-1] for name in names]).rstrip(_DIGITS))
    return [name[begin : max(begin, len(name) - end)].strip(_SEPARATORS) for name in names]
