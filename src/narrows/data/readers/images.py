"""A folder of images: one row an image, all of one size and one number of channels."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np

from narrows.data.arrays import array_source
from narrows.data.readers._limits import check_memory
from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = ["IMAGE_SUFFIXES", "read_images"]

IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
_MAX_PIXELS = 25_000_000
# what Pillow was seen to raise, or says it may, on a damaged file
_DAMAGED = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, OverflowError,
    struct.error, zlib.error,
)  # fmt: skip


def read_images(folder: Path) -> Source:
    """Return the images of a folder and its subfolders, in the order of their names.

    EXIF rotation is applied, transparency is laid over white, CMYK and palettes become RGB,
    16-bit grey is divided by 256, wider grey and floats are refused, and grey stays one channel
    if every image is grey.

    Raises
    ------
    InvalidData
        Naming the file: animated, truncated, empty, over 25 million pixels, or of another size
        than the first.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not paths:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise InvalidData(f"{folder}: no image files ({kinds}).")
    images: list[np.ndarray] = []
    for path in paths:
        image = _decode(path)
        if images and image.shape[:2] != images[0].shape[:2]:
            raise InvalidData(
                f"{path}: {image.shape[1]} x {image.shape[0]} pixels, but {paths[0].name} has "
                f"{images[0].shape[1]} x {images[0].shape[0]}; resize them to one size first."
            )
        if not images:
            check_memory(len(paths), image.size, np.dtype(np.uint8), str(folder), stream=False)
        images.append(image)
    grey = all(image.ndim == 2 for image in images)
    stacked = np.stack(
        [i if grey or i.ndim == 3 else np.repeat(i[..., None], 3, 2) for i in images]
    )
    source = array_source(stacked.reshape(len(stacked), -1))
    source.image_shape, source.origin = stacked.shape[1:], str(folder)
    return source


def _decode(path: Path) -> np.ndarray:
    """Return one image as bytes, (height, width) if grey, else (height, width, 3)."""
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit is far below Pillow's warning
            with Image.open(path) as image:
                if image.width * image.height > _MAX_PIXELS:
                    raise InvalidData(f"{path}: {image.width} x {image.height} pixels; refused.")
                if getattr(image, "n_frames", 1) > 1:
                    raise InvalidData(f"{path}: animated; save one frame.")
                return _to_bytes(ImageOps.exif_transpose(image))
    except InvalidData:
        raise
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise InvalidData(f"{path}: cannot be read as an image: {error}.") from None


def _to_bytes(image: object) -> np.ndarray:
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode.startswith("I;16") or image.mode == "I":
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError(f"grey from {wide.min()} to {wide.max()}, more than 16 bits")
        return (wide >> 8).astype(np.uint8)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no range that is agreed on; save bytes")
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        grey = image.mode in ("LA", "La")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("L" if grey else "RGB"))
    return np.asarray(image.convert("RGB"))
