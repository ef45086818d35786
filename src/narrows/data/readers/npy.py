"""NumPy files: .npy in memory or streamed, .npz with one dense array or a scipy CSR matrix."""

from __future__ import annotations

import ast
import math
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import scipy.sparse as sp
import torch

from narrows.data.arrays import array_source, checked_csr
from narrows.data.readers._limits import check_memory, file_digest
from narrows.data.source import Source
from narrows.data.stream import StreamSource
from narrows.errors import InvalidData

__all__ = ["NpyStream", "read_npy", "read_npz"]

_KINDS = "buif"
_MAX_HEADER = 65536


def _header(stream: BinaryIO, origin: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read a .npy header, checked before anything of the size it claims is allocated."""
    try:
        version = np.lib.format.read_magic(stream)
        width = 2 if version[0] == 1 else 4
        length = int.from_bytes(stream.read(width), "little")
        if length > _MAX_HEADER:
            raise ValueError(f"a header of {length} bytes")
        header = ast.literal_eval(stream.read(length).decode("latin1"))
        shape, fortran = header["shape"], header["fortran_order"]
        dtype = np.dtype(header["descr"])
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError(f"shape {shape!r}")
    except (ValueError, SyntaxError, KeyError, TypeError, EOFError, RecursionError) as error:
        raise InvalidData(f"{origin}: not a .npy file: {error}.") from None
    if dtype.kind not in _KINDS:
        raise InvalidData(
            f"{origin}: arrays of dtype {dtype} are not read; save numbers (and never objects)."
        )
    return shape, fortran, dtype


def _rows_of(shape: tuple[int, ...], origin: str) -> tuple[int, int]:
    if len(shape) < 2:
        raise InvalidData(f"{origin}: expected rows of features (2 axes or more), got {shape}.")
    return shape[0], math.prod(shape[1:])


class NpyStream(StreamSource):
    """A C-ordered .npy file read block by block with plain reads: no page of it stays mapped."""

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._path, self._offset, self._dtype = path, offset, dtype
        n_rows, self.n_features = _rows_of(shape, str(path))
        self.origin = str(path)
        self.kind = "image" if dtype == np.uint8 else "table"
        self._describe_shape(shape)
        size = self.block_rows
        self._unit_rows = [min(size, n_rows - at) for at in range(0, n_rows, size)]
        self._use_units(torch.arange(len(self._unit_rows)))

    def _describe_shape(self, shape: tuple[int, ...]) -> None:
        self.image_shape = shape[1:] if len(shape) > 2 else None

    def _blocks(self, unit: int) -> Iterator[np.ndarray]:
        rows = self._unit_rows[unit]
        start = unit * self.block_rows
        step = self.n_features * self._dtype.itemsize
        with open(self._path, "rb") as file:
            raw = np.fromfile(
                file, self._dtype, rows * self.n_features, offset=self._offset + start * step
            )
        if raw.size != rows * self.n_features:
            raise InvalidData(
                f"{self._path}: truncated at row {start + raw.size // self.n_features}."
            )
        with np.errstate(over="ignore"):
            yield raw.reshape(rows, self.n_features).astype(np.float32, copy=False)

    def fingerprint(self) -> str:
        return file_digest(self._path)


def read_npy(path: Path, *, stream: bool | None = None) -> Source:
    """Return the source of a .npy file; bigger ones than the memory limit are streamed."""
    with open(path, "rb") as file:
        shape, fortran, dtype = _header(file, str(path))
        offset = file.tell()
    n_rows, n_features = _rows_of(shape, str(path))
    expected = offset + n_rows * n_features * dtype.itemsize
    actual = os.path.getsize(path)
    if expected != actual:
        raise InvalidData(
            f"{path}: the header promises {n_rows} rows of {n_features} {dtype} "
            f"({expected} bytes), the file has {actual} bytes."
        )
    if not fortran and n_rows and check_memory(n_rows, n_features, dtype, str(path), stream=stream):
        return NpyStream(path, offset, shape, dtype)
    array = np.load(path, allow_pickle=False)
    return _described(array, path)


def read_npz(path: Path, *, key: str | None = None) -> Source:
    """Return the CSR matrix of scipy.sparse.save_npz, or the one dense array of features.

    A dense archive is read from ``key``, else from ``X``, ``x``, ``images`` or ``data``, else
    from its only array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            _check_members(archive, path)
    except (zipfile.BadZipFile, OSError) as error:
        raise InvalidData(f"{path}: not an .npz archive: {error}.") from None
    try:
        if {"indices", "indptr", "shape", "data"} <= names and key is None:
            with np.load(path, allow_pickle=False) as parts:
                matrix = sp.csr_array(
                    (parts["data"], parts["indices"], parts["indptr"]),
                    shape=tuple(int(n) for n in parts["shape"]),
                )
            source = array_source(checked_csr(matrix, str(path)))
            source.origin = str(path)
            return source
        chosen = key or next((n for n in ("X", "x", "images", "data") if n in names), None)
        if chosen is None and len(names) == 1:
            chosen = next(iter(names))
        if chosen not in names:
            raise InvalidData(f"{path}: no array {chosen!r}; it holds {', '.join(sorted(names))}.")
        with np.load(path, allow_pickle=False) as parts:
            return _described(parts[chosen], path)
    except InvalidData:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise InvalidData(f"{path}: {error}.") from None


def _check_members(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse members whose header, unfolded size and memory limit do not agree."""
    for member in archive.infolist():
        if not member.filename.endswith(".npy"):
            continue
        with archive.open(member) as file:
            shape, _, dtype = _header(file, f"{path}:{member.filename}")  # pyright: ignore[reportArgumentType] -- a binary reader
            promised = file.tell() + math.prod(shape) * dtype.itemsize
        if promised != member.file_size:
            raise InvalidData(
                f"{path}: {member.filename} promises {promised} bytes and holds {member.file_size}."
            )
        check_memory(math.prod(shape), 1, dtype, str(path), stream=False)


def _described(array: np.ndarray, path: Path) -> Source:
    if array.dtype.kind not in _KINDS:
        raise InvalidData(f"{path}: arrays of dtype {array.dtype} are not read; save numbers.")
    n_rows, n_features = _rows_of(array.shape, str(path))
    source = array_source(array.reshape(n_rows, n_features))
    source.image_shape = array.shape[1:] if array.ndim > 2 else None
    source.origin = str(path)
    return source
