"""Read IDX files, the format of MNIST, plain or gzipped."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from narrows.data.array_sources import array_source
from narrows.data.memory import memory_limit
from narrows.data.readers.kinds import is_gzipped
from narrows.data.source import Source
from narrows.errors import InvalidData, ResourceError

__all__ = ["read_idx", "read_idx_array"]

_MAX_AXES = 32
_MAX_RATIO = 1032  # bytes that one byte of deflate can expand to
_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx_array(path: Path) -> np.ndarray:
    """Return the array of an IDX file, after checking its header against its length.

    Raises
    ------
    InvalidData
        If the header is not an IDX header or does not match the length, or the gzip is damaged.
    """
    gzipped = is_gzipped(path)
    opened = gzip.open(path, "rb") if gzipped else open(path, "rb")
    room = path.stat().st_size * (_MAX_RATIO if gzipped else 1)
    with opened as file:
        try:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _TYPES or not magic[3]:
                raise InvalidData(f"{path}: not an IDX file (magic number {magic.hex()}).")
            dtype, n_axes = np.dtype(_TYPES[magic[2]]), magic[3]
            if n_axes > _MAX_AXES:
                raise InvalidData(f"{path}: {n_axes} axes, but at most {_MAX_AXES} are read.")
            sizes = file.read(4 * n_axes)
            if len(sizes) < 4 * n_axes:
                raise InvalidData(f"{path}: IDX header cut short.")
            shape = struct.unpack(f">{n_axes}I", sizes)
            promised = math.prod(shape) * dtype.itemsize
            if promised > room:
                raise InvalidData(
                    f"{path}: the header promises {promised} bytes of {shape}, the file has room "
                    f"for {room} at most."
                )
            if promised > memory_limit():
                raise ResourceError(f"{path}: the header promises {promised} bytes; refused.")
            data = file.read(promised + 1)  # one byte more shows whether data follow
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InvalidData(f"{path}: damaged gzip: {error}.") from None
    if len(data) != promised:
        held = len(data) if len(data) < promised else "more"
        raise InvalidData(
            f"{path}: the header promises {promised} bytes of {shape}, the file has {held}."
        )
    return np.frombuffer(data, dtype).reshape(shape)


def read_idx(path: Path) -> Source:
    """Return the images of an IDX file as rows."""
    array = read_idx_array(path)
    if array.ndim < 2:
        raise InvalidData(f"{path}: expected images or rows, got {array.ndim} axis (labels?).")
    if not array.size:
        raise InvalidData(f"{path}: no rows, or rows without values: {array.shape}.")
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    source = array_source(native.reshape(len(array), -1))
    source.image_shape = array.shape[1:] if array.ndim > 2 else None
    source.origin = str(path)
    return source
