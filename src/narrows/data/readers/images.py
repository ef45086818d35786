"""Read images as rows of one size and number of channels, in memory or streamed."""

from __future__ import annotations

import hashlib
import math
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.data.array_sources import array_source
from narrows.data.memory import check_memory
from narrows.data.readers.folders import image_files
from narrows.data.source import Source
from narrows.data.stream import StreamSource, file_digest
from narrows.errors import InvalidData

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "ImageStream",
    "decode_image",
    "decode_images",
    "image_bytes",
    "one_number_of_channels",
    "read_image",
    "read_images",
]

_MAX_PIXELS = 25_000_000
_PART_BYTES = 64 << 20
_GRAY = ("1", "I", "L", "LA", "La")
# errors that Pillow raises on damaged files, as observed or documented
_DAMAGED = (
    OSError, EOFError, SyntaxError, ValueError, TypeError, LookupError, OverflowError,
    struct.error, zlib.error,
)  # fmt: skip


def read_image(path: Path, *, resize: tuple[int, int] | None = None) -> Source:
    """Return one image as a row named by its file, by the rules of ``read_images``.

    Raises
    ------
    InvalidData
        See ``read_images``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = decode_image(path, _to_size(resize))
    source = array_source(image.reshape(1, -1))
    source.image_shape, source.origin, source.resize = image.shape, str(path), resize
    source.ids = np.array([path.name], dtype=object)
    return source


def read_images(
    folder: Path, *, stream: bool | None = None, resize: tuple[int, int] | None = None
) -> Source:
    """Return the images of a folder and its subfolders, sorted by name.

    They are kept as bytes in memory. If these take more than 512 MiB, or with ``stream=True``, the
    images are decoded again in every epoch, in blocks. If all images are in two or more subfolders,
    these are their labels. Hidden files and folders are skipped; links to folders are followed.

    EXIF rotation is applied, transparency is composed with white, CMYK and palettes become RGB,
    16-bit gray is divided by 256, wider gray and floats are refused, and images keep one channel if
    all are gray. ``resize`` resizes every image to this height and width: each pixel is the mean of
    the pixels that it covers, weighted linearly by distance; the aspect ratio is not kept.

    Raises
    ------
    InvalidData
        Naming a file that is animated, truncated, empty, larger than 25 million pixels, or of
        another size than the first.
    """
    paths = image_files(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = decode_image(paths[0], _to_size(resize))
    if check_memory(len(paths), first.size, np.dtype(np.uint8), str(folder), stream=stream):
        gray = first.ndim == 2 and all(map(_is_gray, paths))
        shape = (*first.shape[:2], 1 if gray else 3)
        streamed = ImageStream(folder, paths, shape, resize=resize)
        return _described(streamed, folder, paths)
    images = list(decode_images(paths, first.shape[:2], paths[0].name, _to_size(resize)))
    stacked = np.stack(one_number_of_channels(images))
    source = array_source(stacked.reshape(len(stacked), -1))
    source.image_shape, source.origin, source.resize = stacked.shape[1:], str(folder), resize
    return _described(source, folder, paths)


def _described(source: Source, folder: Path, paths: list[Path]) -> Source:
    """Set the ids of images, their paths in the folder, and their labels; return the source.

    The labels are the subfolders, if there are two or more and every image is in one.
    """
    parts = [path.relative_to(folder).parts for path in paths]
    # names that are not UTF-8 get U+FFFD, which can be written
    names = [os.fsencode("/".join(p)).decode("utf-8", "replace") for p in parts]
    source.ids = np.array(names, dtype=object)  # strings of different lengths
    labels = [first for first, *rest in parts if rest]
    if len(labels) == len(parts) and len(set(labels)) > 1:
        source.labels = np.array(labels)
    return source


class ImageStream(StreamSource):
    """A folder of images of one size and number of channels, decoded on demand."""

    def __init__(
        self,
        folder: Path,
        paths: list[Path],
        shape: tuple[int, int, int],
        *,
        resize: tuple[int, int] | None = None,
    ) -> None:
        self._paths, self._shape, self.resize = paths, shape, resize
        self.origin, self.kind = str(folder), "image"
        self.image_shape = shape if shape[2] > 1 else shape[:2]
        self.n_features = math.prod(shape)
        self.n_rows = len(paths)

    def _file_blocks(self) -> Iterator[Tensor]:
        yield from self._decode(torch.arange(len(self._paths)))

    def _kept_blocks(self) -> Iterator[Tensor]:
        every = torch.arange(len(self._paths)) if self._kept is None else self._kept.nonzero()[:, 0]
        yield from self._decode(every)  # other images are not decoded

    def _mixed(self, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self._paths), generator=generator)
        if self._kept is not None:
            order = order[self._kept[order]]
        yield from zip(order.split(self.block_rows), self._decode(order), strict=True)

    def _file_rows(self, numbers: Tensor) -> Tensor:
        return torch.cat([torch.empty(0, self.n_features), *self._decode(numbers)])

    def _decode(self, numbers: Tensor) -> Iterator[Tensor]:
        """Yield the images with these numbers as rows, ``block_rows`` at a time."""
        for part in numbers.split(self.block_rows) if len(numbers) else ():
            paths = [self._paths[number] for number in part.tolist()]
            rows = np.empty((len(paths), *self._shape), np.float32)
            size, named = self._shape[:2], self._paths[0].name
            for i, image in enumerate(decode_images(paths, size, named, _to_size(self.resize))):
                rows[i] = image[..., None] if image.ndim == 2 else image
            yield torch.from_numpy(rows.reshape(len(paths), -1))

    def fingerprint(self) -> str:
        digest = hashlib.sha256(f"images {len(self._paths)}".encode())
        digest.update(f"resized {self.resize}".encode() if self.resize else b"")
        for path in self._paths:
            digest.update(f"{path.relative_to(self.origin)} {file_digest(path)}".encode())
        return digest.hexdigest()


def decode_images(
    paths: list[Path],
    size: tuple[int, ...],
    named: str,
    to_array: Callable[[Image.Image, Path], np.ndarray] | None = None,
) -> Iterator[np.ndarray]:
    """Yield images in order, decoded by several threads, all of ``size``, like image ``named``."""
    at_once = min(256, max(4, _PART_BYTES // (3 * math.prod(size))))
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for start in range(0, len(paths), at_once):
            part = paths[start : start + at_once]
            with warnings.catch_warnings():  # warning filters are shared by all threads
                warnings.simplefilter("ignore")  # our limit is far below Pillow's
                images = list(pool.map(lambda path: decode_image(path, to_array), part))
            for path, image in zip(part, images, strict=True):
                if image.shape[:2] != size:
                    hint = (
                        ", or give one size as height and width, for example narrows fit --resize "
                        "64,64, FOLDER:resize=64x64, or read(folder, resize=(64, 64))"
                    )
                    raise InvalidData(
                        f"{path}: {image.shape[0]} x {image.shape[1]} pixels (height x width), "
                        f"but {named} has {size[0]} x {size[1]}; resize them to one size first"
                        f"{'' if to_array else hint}."
                    )
                yield image


def _is_gray(path: Path) -> bool:
    """Return whether an image is gray by its header; decoding will report damaged files."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.mode in _GRAY or image.mode.startswith("I;16")
    except (*_DAMAGED, Image.DecompressionBombError):
        return True


def one_number_of_channels(images: list[np.ndarray]) -> list[np.ndarray]:
    """Return images with three channels if any image is in color, else gray."""
    if all(image.ndim == 2 for image in images):
        return images
    return [image if image.ndim == 3 else np.repeat(image[..., None], 3, 2) for image in images]


def image_bytes(image: Image.Image) -> np.ndarray:
    """Return a PIL image as bytes, upright, by the rules of ``read_images``.

    Raises
    ------
    ValueError
        If it has gray of more than 16 bits, or several frames.
    """
    from PIL import ImageOps

    if getattr(image, "n_frames", 1) > 1:
        raise ValueError("it is animated; take one frame")
    return _to_bytes(ImageOps.exif_transpose(image))


def decode_image(
    path: Path, to_array: Callable[[Image.Image, Path], np.ndarray] | None = None
) -> np.ndarray:
    """Return one image as bytes, (height, width) if gray, else (height, width, 3).

    ``to_array`` may convert its pixels otherwise.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise InvalidData(
                    f"{path}: {image.width} x {image.height} pixels, more than 25 million; refused."
                )
            if getattr(image, "n_frames", 1) > 1:
                raise InvalidData(f"{path}: animated; save one frame.")
            upright = ImageOps.exif_transpose(image)
            return _to_bytes(upright) if to_array is None else to_array(upright, path)
    except InvalidData:
        raise
    except (*_DAMAGED, Image.DecompressionBombError) as error:
        raise InvalidData(f"{path}: cannot be read as an image: {error}.") from None


def _to_size(
    resize: tuple[int, int] | None,
) -> Callable[[Image.Image, Path], np.ndarray] | None:
    """Return a function that converts an image to bytes of this size, or None for None."""
    if resize is None:
        return None
    height, width = resize

    def resized(image: Image.Image, _path: Path) -> np.ndarray:
        from PIL import Image as pillow

        made = pillow.fromarray(_to_bytes(image))
        return np.asarray(made.resize((width, height), pillow.Resampling.BILINEAR))

    return resized


def _to_bytes(image: Image.Image) -> np.ndarray:
    from PIL import Image

    if image.mode.startswith("I;16") or image.mode == "I":
        wide = np.asarray(image).astype(np.int64)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError(f"gray from {wide.min()} to {wide.max()}, more than 16 bits")
        return (wide >> 8).astype(np.uint8)
    if image.mode == "F":
        raise ValueError("floating-point pixels have no standard range; save bytes")
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        gray = image.mode in ("LA", "La")
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("L" if gray else "RGB"))
    return np.asarray(image.convert("RGB"))
