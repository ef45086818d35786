"""Read masks, the class of every pixel, from files or folders, and pair them with images."""

from __future__ import annotations

import os
import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from narrows.data.pixel_classes import pixel_values
from narrows.data.readers import read
from narrows.data.readers.folders import image_files
from narrows.data.readers.images import decode_image, decode_images
from narrows.data.readers.labels import read_labels
from narrows.data.readers.npy import read_npz
from narrows.data.source import Source
from narrows.errors import InvalidData, PairingWarning, warn

__all__ = ["places_by_name", "read_mask_file", "read_mask_images"]

if TYPE_CHECKING:
    from PIL import Image


_LOSSY = ("JPEG", "MPO", "WEBP")
_APART = 128
"""Two values with at least this difference remain distinct after compression."""

_WAY_OUT = "store masks of class numbers as 8-bit PNG or .npy"


def read_mask_images(folder: Path) -> np.ndarray:
    """Return the masks of a folder, sorted by name, (n, height, width) uint8.

    The class of a pixel is its palette index, or its gray value in images without a palette.

    Raises
    ------
    InvalidData
        Naming a file that has colors, more than 8 bits, transparent pixels, another palette than
        the others, or a lossy format, unless the lossy files hold two values that differ by at
        least 128.
    """
    paths = image_files(folder)
    lossy = [path for path in paths if _changes_values(path)]
    palettes = _Palettes()
    size = decode_image(paths[0], palettes.pixels).shape[:2]
    masks = list(decode_images(paths, size, paths[0].name, palettes.pixels))
    if lossy:
        first = set(lossy)
        held = [np.unique(mask) for mask, at in zip(masks, paths, strict=True) if at in first]
        _check_values(np.unique(np.concatenate(held)), lossy[0])
    for mask, path in zip(masks, paths, strict=True):
        if mask.ndim == 3 and (mask != mask[..., :1]).any():
            raise InvalidData(
                f"{path}: a mask in color: its channels differ. A mask is one integer per pixel; "
                "write the classes in gray, with a palette, or as .npy."
            )
    return np.stack([mask if mask.ndim == 2 else mask[..., 0] for mask in masks])


def _check_values(values: np.ndarray, path: Path) -> None:
    """Refuse values (n_values,) that compression has changed or may have changed."""
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
            else "Use the masks before compression"
        )
        + f", and {_WAY_OUT}."
    )


class _Palettes:
    """Read masks, and check that their palettes give each index the same color."""

    def __init__(self) -> None:
        self._colors: dict[int, tuple[int, ...]] = {}

    def pixels(self, image: Image.Image, path: Path) -> np.ndarray:
        """Return the values of a mask, (height, width), or (height, width, 3) for colors."""
        if image.mode == "I" or image.mode.startswith("I;16"):
            raise InvalidData(
                f"{path}: a mask of 16 bits or more, but images are read with 8 bits; {_WAY_OUT}."
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
    """Refuse a mask with transparent pixels."""
    least = int(np.asarray(image.convert("RGBA").getchannel("A")).min())
    if least < 255:
        raise InvalidData(
            f"{path}: a mask with transparent pixels (alpha from {least}), whose class is unclear; "
            f"remove the alpha channel, and {_WAY_OUT}."
        )


def _changes_values(path: Path) -> bool:
    """Return whether a file has a lossy format."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                kind, compression = image.format, image.info.get("compression")
    except Exception:  # decoding will report damage
        return False
    if kind == "WEBP":
        return not _is_lossless_webp(path)
    return kind in _LOSSY or (kind == "TIFF" and "jpeg" in str(compression))


def _kind(path: Path) -> str:
    from PIL import Image

    with Image.open(path) as image:
        return str(image.format)


def _is_lossless_webp(path: Path) -> bool:
    """Return whether a WebP file stores its pixels in a VP8L chunk."""
    with open(path, "rb") as file:
        file.seek(12)  # RIFF, length, WEBP
        while len(head := file.read(8)) == 8:
            name, length = struct.unpack("<4sI", head)
            if name in (b"VP8L", b"VP8 "):
                return name == b"VP8L"
            file.seek(length + length % 2, 1)
    return False


_EXACT = 2**24
"""Readers return float32, which represents every integer below this."""


def read_mask_file(
    path: Path, n_rows: int, sides: tuple[int, int], *, images: Path | None = None
) -> np.ndarray:
    """Return the masks (n_rows, n_pixels), int64, in a file or a folder of images.

    In a .npy file (n_rows,), an integer is the class of all pixels of a row. If the rows are a
    folder of ``images``, a folder of masks is paired with them by ``places_by_name``.

    Raises
    ------
    InvalidData
        If the masks have another shape, values other than integers below 2^24, or colors, or are
        images that ``read_mask_images`` refuses.
    """
    height, width = sides
    n_pixels = height * width
    if _is_one_axis(path):
        return _values(read_labels(path, n_rows=n_rows), sides, path)
    masks, image_shape = _read(path, images)
    channels = (*(image_shape or ()), 1, 1, 1)[2]
    if channels > 1 and masks.shape[1] == n_pixels * channels:
        masks = _of_equal_channels(masks.reshape(len(masks), n_pixels, channels), path)
    shape = image_shape or sides  # flat rows have no image shape
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
            "np.unique(masks, return_inverse=True)[1]; numbers of instances are not classes."
        )
    return _values(masks, sides, path)


def _values(masks: np.ndarray, sides: tuple[int, int], path: Path) -> np.ndarray:
    """Return ``pixel_values``; its errors name the file."""
    try:
        return pixel_values(masks, len(masks), sides)
    except InvalidData as error:
        raise InvalidData(f"{path}: {str(error).removeprefix('y: ')}") from None


def _read(path: Path, image_folder: Path | None) -> tuple[np.ndarray, tuple[int, ...] | None]:
    """Return masks as rows (n_rows, n_values), and their image shape if the file has one."""
    if path.is_dir():
        images = read_mask_images(path)
        if image_folder is not None and image_folder.is_dir():
            images = images[places_by_name(image_folder, path)]
        return images.reshape(len(images), -1), images.shape[1:]
    archive = path.suffix.lower() == ".npz" and path.is_file()  # not a pipe, which would block
    source = _of_archive(path) if archive else read(path)
    rows = np.concatenate([np.asarray(block) for block in source.in_order(1024)])
    return rows, source.image_shape


def _is_one_axis(path: Path) -> bool:
    """Return whether a file is .npy with one axis; the reader reports damaged files."""
    if path.suffix.lower() != ".npy" or not path.is_file():
        return False
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False).ndim == 1
    except (ValueError, EOFError, OSError):
        return False


def _longer(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in shape if side > 1)


def _of_equal_channels(masks: np.ndarray, path: Path) -> np.ndarray:
    """Return one channel of masks (n_rows, n_pixels, channels), which must all be equal."""
    differ = (masks != masks[:, :, :1]).any(axis=(1, 2))
    if differ.any():
        raise InvalidData(
            f"{path}: mask {int(differ.argmax())} is in color: its channels differ. A mask is "
            "one integer per pixel; write the classes in gray, or as .npy."
        )
    return masks[:, :, 0]


def _of_archive(path: Path) -> Source:
    """Read the array `masks` of an archive, or its default array if it has no `masks`."""
    try:
        return read_npz(path, key="masks")
    except InvalidData as error:
        if "no array 'masks'" not in str(error):
            raise
        return read_npz(path)


_DIGITS = "0123456789"
_SEPARATORS = "_-. /"


def places_by_name(images: Path, masks: Path) -> np.ndarray:
    """Return the position of each image's mask in the sorted masks, (n_images,) int64.

    Names are compared without their suffix, such as .png. If fewer than half of them match, the
    common prefix and suffix of each folder's names, such as _mask, are removed too. If still fewer
    than half match, masks and images are paired in the order of their names.

    Raises
    ------
    InvalidData
        If at least half of the names match, but not all.

    Warns
    -----
    PairingWarning
        If fewer than half of the names match.
    """
    of_images, of_masks = _names(images), _names(masks)
    in_order = np.arange(len(of_masks))
    if len(of_images) != len(of_masks):
        return in_order  # the caller reports the different numbers
    image_names, mask_names = of_images, of_masks
    if _n_shared(image_names, mask_names) * 2 < len(image_names):
        image_names, mask_names = _cores(image_names), _cores(mask_names)
    if image_names == mask_names:
        return in_order
    place = {name: i for i, name in enumerate(mask_names)}
    if len(place) == len(mask_names) and set(image_names) == set(mask_names):
        return np.array([place[name] for name in image_names])
    n_shared, n = _n_shared(image_names, mask_names), len(image_names)
    first = next(i for i, (a, b) in enumerate(zip(image_names, mask_names, strict=True)) if a != b)
    pair = f"image {of_images[first]!r} would go with mask {of_masks[first]!r}"
    if n_shared * 2 >= n:
        raise InvalidData(
            f"{masks}: {n_shared} of {n} masks have the name of an image in {images}, the others "
            f"do not; in the order of names {pair}. Give every mask the name of its image."
        )
    warn(
        f"{masks}: {n_shared} of {n} masks have the name of an image in {images}; they are paired "
        f"in the order of their names: {pair}. Give masks the names of their images to be sure.",
        PairingWarning,
    )
    return in_order


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).with_suffix("").as_posix() for path in image_files(folder)]


def _n_shared(a: list[str], b: list[str]) -> int:
    return len({*a} & {*b})


def _cores(names: list[str]) -> list[str]:
    """Return names without their common prefix and suffix, which do not split numbers."""
    begin = len(os.path.commonprefix(names).rstrip(_DIGITS))
    end = len(os.path.commonprefix([name[::-1] for name in names]).rstrip(_DIGITS))
    return [name[begin : max(begin, len(name) - end)].strip(_SEPARATORS) for name in names]
