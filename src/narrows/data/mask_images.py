"""Masks from a folder of images: the numbers that were drawn, or an error."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from narrows.data.readers.folders import image_files
from narrows.data.readers.images import decode, decoded
from narrows.errors import InvalidData

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["read_mask_images"]

_LOSSY = ("JPEG", "MPO", "WEBP")
_APART = 128
"""Two values as far apart as this come back from compression as two values."""

_WAY_OUT = "store masks as PNG of 8 bits, or as .npy, of class numbers"


def read_mask_images(folder: Path) -> np.ndarray:
    """Return the masks of a folder in the order of their names, (n, height, width) uint8.

    Images with a palette say its indices, others their grey.

    Raises
    ------
    InvalidData
        Naming the file: of colours, of more than 8 bits, with transparent pixels, with another
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
                f"{path}: a mask of colours: its channels differ. A mask is one integer a pixel; "
                "write the classes in grey, with a palette, or as .npy."
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
    """Reads masks; remembers the colour of each index, which two files have to agree on."""

    def __init__(self) -> None:
        self._colours: dict[int, tuple[int, ...]] = {}

    def pixels(self, image: Image.Image, path: Path) -> np.ndarray:
        """Return the numbers of a mask, (height, width), or (height, width, 3) of colours."""
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
        colours = np.asarray(image.convert("RGB"))
        for index, at in zip(*np.unique(indices, return_index=True), strict=True):
            colour = tuple(map(int, colours.reshape(-1, 3)[at]))
            before = self._colours.setdefault(int(index), colour)
            if before != colour:
                raise InvalidData(
                    f"{path}: index {index} of its palette is the colour {colour}, but {before} "
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
