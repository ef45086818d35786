"""Read NumPy files: .npy in memory or streamed, .npz of a dense array or a CSR matrix."""

from __future__ import annotations

import ast
import math
import os
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np
import scipy.sparse as sp
import torch
from torch import Generator, Tensor

from narrows.data.array_sources import array_source
from narrows.data.csr import checked_csr
from narrows.data.memory import check_columns, check_memory
from narrows.data.source import Source
from narrows.data.stream import StreamSource, file_digest
from narrows.errors import InvalidData, NarrowsError

__all__ = ["NpyStream", "read_npy", "read_npz"]

_SLICES = 64
"""Slices per block: the number of places of the file that shuffled rows come from."""

_KINDS = "buif"
_MAX_HEADER = 10_000  # NumPy's own limit
_MAX_AXES = 32


def _header(stream: BinaryIO, origin: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read and check a .npy header, before memory of the size that it states is allocated."""
    try:
        version = np.lib.format.read_magic(stream)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise ValueError(f"version {version}")
        length = int.from_bytes(stream.read(2 if version[0] == 1 else 4), "little")
        if length > _MAX_HEADER:
            raise ValueError(f"a header of {length} bytes")
        header = ast.literal_eval(stream.read(length).decode("latin1"))
        if not isinstance(header, dict) or header.keys() != {"descr", "fortran_order", "shape"}:
            raise ValueError("entries other than descr, fortran_order and shape")
        shape, fortran = header["shape"], header["fortran_order"]
        if not isinstance(shape, tuple) or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError(f"shape {shape!r}")
        if len(shape) > _MAX_AXES:
            raise ValueError(f"{len(shape)} axes, but at most {_MAX_AXES} are read")
        if not isinstance(fortran, bool):
            raise ValueError(f"fortran_order {fortran!r}")
        dtype = np.lib.format.descr_to_dtype(header["descr"])
    except (ValueError, SyntaxError, TypeError, EOFError, RecursionError, MemoryError) as error:
        # the parser raises MemoryError for deep nesting
        raise InvalidData(f"{origin}: not a .npy file: {error or type(error).__name__}.") from None
    if dtype.kind not in _KINDS:
        raise InvalidData(
            f"{origin}: arrays of dtype {dtype} are not supported; save numbers, not objects."
        )
    return shape, fortran, dtype


def _rows_of(shape: tuple[int, ...], origin: str) -> tuple[int, int]:
    if len(shape) < 2:
        raise InvalidData(f"{origin}: expected rows of features (2 axes or more), got {shape}.")
    if not math.prod(shape):
        raise InvalidData(f"{origin}: no rows, or rows without values: {shape}.")
    return shape[0], math.prod(shape[1:])


class NpyStream(StreamSource):
    """A C-ordered .npy file, read block by block without memory mapping."""

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._path, self._offset, self._stored = path, offset, dtype
        self._wide = dtype.itemsize >= (8 if dtype.kind == "f" else 4)
        n_rows, self.n_features = _rows_of(shape, str(path))
        self.origin = str(path)
        self.kind = "image" if dtype == np.uint8 else "table"
        self._describe_shape(shape)
        self.n_rows = self._n_file_rows = n_rows

    def _describe_shape(self, shape: tuple[int, ...]) -> None:
        self.image_shape = shape[1:] if len(shape) > 2 else None

    def _file_blocks(self) -> Iterator[Tensor]:
        with open(self._path, "rb") as file:
            for start in range(0, self._n_file_rows, self.block_rows):
                yield self._read(file, start, min(start + self.block_rows, self._n_file_rows))

    def _mixed(self, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        size = max(1, self.block_rows // _SLICES)
        order = torch.randperm(-(-self._n_file_rows // size), generator=generator)
        with open(self._path, "rb") as file:
            for start in (order * size).tolist():
                stop = min(start + size, self._n_file_rows)
                yield torch.arange(start, stop), self._read(file, start, stop)

    def _file_rows(self, numbers: Tensor) -> Tensor:
        rows = torch.empty(len(numbers), self.n_features, dtype=self._float)
        ends = (numbers.diff() != 1).nonzero()[:, 0] + 1  # consecutive rows are read at once
        edges = [0, *ends.tolist(), len(numbers)] if len(numbers) else [0]
        with open(self._path, "rb") as file:
            for first, last in pairwise(edges):
                start = int(numbers[first])
                rows[first:last] = self._read(file, start, start + last - first)
        return rows

    def _read(self, file: BinaryIO, start: int, stop: int) -> Tensor:
        """Return the rows from ``start`` to ``stop`` of the open file."""
        wanted = (stop - start) * self.n_features
        file.seek(self._offset + start * self.n_features * self._stored.itemsize)
        raw = np.fromfile(file, self._stored, wanted)
        if raw.size != wanted:
            raise InvalidData(
                f"{self._path}: truncated at row {start + raw.size // self.n_features}."
            )
        with np.errstate(over="ignore"):
            kept = np.float64 if self.double else np.float32
            rows = raw.reshape(-1, self.n_features).astype(kept, copy=False)
        return torch.from_numpy(rows)

    def fingerprint(self) -> str:
        return file_digest(self._path)


def read_npy(path: Path, *, stream: bool | None = None) -> Source:
    """Return the source of a .npy file; large files in C order are streamed."""
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
    stream = False if fortran else stream  # in Fortran order a row is spread over the whole file
    if check_memory(n_rows, n_features, dtype, str(path), stream=stream):
        return NpyStream(path, offset, shape, dtype)
    array = np.load(path, allow_pickle=False)
    return _described(array, path)


def read_npz(path: Path, *, key: str | None = None) -> Source:
    """Return the CSR matrix that scipy.sparse.save_npz wrote, or one dense array of an archive.

    The dense array is ``key``, else ``X``, ``x``, ``images`` or ``data``, else the only array.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # only members named .npy: NumPy would decompress others entirely, unchecked
            members = {
                member.filename.removesuffix(".npy"): member
                for member in archive.infolist()
                if member.filename.endswith(".npy")
            }
            if key is None and {"indices", "indptr", "shape", "data"} <= members.keys():
                return _sparse(archive, members, path)
            chosen = key or next((n for n in ("X", "x", "images", "data") if n in members), None)
            if chosen is None and len(members) == 1:
                chosen = next(iter(members))
            if chosen is None or chosen not in members:
                held = ", ".join(sorted(members)) or "none"
                wanted = f"no array {chosen!r}" if chosen else "several arrays and none named X"
                way = f"; name one, as in {path}:member={min(members)}" if members else ""
                raise InvalidData(
                    f"{path}: {wanted if members else 'no array'}; it holds {held}{way}."
                )
            return _described(_array(archive, members[chosen], path), path)
    except NarrowsError:
        raise
    except (OSError, ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        # RuntimeError: an encrypted member or an unknown compression
        raise InvalidData(f"{path}: not an .npz archive, or damaged: {error}.") from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """Read a member after checking its header against its size and the memory limit."""
    with archive.open(member) as file:
        shape, _, dtype = _header(file, f"{path}:{member.filename}")  # pyright: ignore[reportArgumentType] -- a binary reader
        promised = file.tell() + math.prod(shape) * dtype.itemsize
    if promised != member.file_size:
        raise InvalidData(
            f"{path}: {member.filename} promises {promised} bytes, but has {member.file_size}."
        )
    check_memory(math.prod(shape), 1, dtype, str(path), stream=False)
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _sparse(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: Path) -> Source:
    """Return the matrix that scipy.sparse.save_npz wrote, which must be CSR."""
    if "format" in members:
        with archive.open(members["format"]) as file:
            written = file.read(1024)[-12:]  # b"csr" or "csr", at the end of a short array
        if b"csr" not in written.replace(b"\0", b""):
            # CSC has the same members; as CSR it would be the transpose
            raise InvalidData(f"{path}: a sparse matrix, but not CSR; save matrix.tocsr().")
    shape = _array(archive, members["shape"], path)
    if shape.shape != (2,) or shape.dtype.kind != "i":
        raise InvalidData(f"{path}: a sparse matrix of shape {shape.tolist()!r:.60}.")
    n_features = int(shape[1])
    check_columns(n_features, str(path))
    data, indices, indptr = (
        _array(archive, members[n], path) for n in ("data", "indices", "indptr")
    )
    for name, part in (("indices", indices), ("indptr", indptr)):
        if part.dtype.kind != "i":
            raise InvalidData(f"{path}: {name} must be signed integers, got {part.dtype}.")
    matrix = sp.csr_array((data, indices, indptr), shape=(int(shape[0]), n_features))
    source = array_source(checked_csr(matrix, str(path)))
    source.origin = str(path)
    return source


def _described(array: np.ndarray, path: Path) -> Source:
    n_rows, n_features = _rows_of(array.shape, str(path))
    source = array_source(array.reshape(n_rows, n_features))
    source.image_shape = array.shape[1:] if array.ndim > 2 else None
    source.origin = str(path)
    return source
