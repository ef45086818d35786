"""How much a reader may unfold, decided by arithmetic before anything is allocated."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np

from narrows.data.memory import total_memory
from narrows.errors import ResourceError

__all__ = [
    "STREAM_BYTES",
    "check_columns",
    "check_memory",
    "check_stored",
    "file_digest",
    "memory_limit",
]

STREAM_BYTES = 512 << 20
"""A file whose rows would take more than this as float32 is streamed, if its format can be."""

_ROW_BYTES = 128  # of its labels, as Python has them, and where it starts
_VALUE_BYTES = 24  # a float32 and its index, before and after they are put in order


@cache  # readers ask at every row, and the answer is in system files
def memory_limit() -> int:
    """Return the bytes that one data set may take: half of the memory of the machine, or of the
    program's control group."""
    return total_memory() // 2


def check_memory(
    n_rows: int, n_features: int, dtype: np.dtype, origin: str, *, stream: bool | None
) -> bool:
    """Return whether to stream; ``stream=None`` decides by size, False insists on memory.

    Raises
    ------
    ResourceError
        If the rows must be in memory and would take more than half of it.
    """
    kept = dtype.itemsize if dtype == np.uint8 else max(dtype.itemsize, 4)
    size = n_rows * n_features * kept
    if stream or (stream is None and size > STREAM_BYTES):
        return True
    if size > memory_limit():
        raise ResourceError(
            f"{origin}: {n_rows} x {n_features} values need {size / 2**30:.1f} GiB, the limit is "
            f"{memory_limit() / 2**30:.1f} GiB; use C-ordered .npy or Parquet, which are streamed."
        )
    return False


def check_columns(n_features: int, origin: str) -> None:
    """Refuse a sparse matrix so wide that what is learned of its columns cannot be held.

    Raises
    ------
    ResourceError
        If one float64 a column would take more than half of the machine's memory.
    """
    if 8 * n_features > memory_limit():
        raise ResourceError(f"{origin}: {n_features} columns: not even one number for each fits.")


def check_stored(n_rows: int, n_values: int, origin: str) -> None:
    """Refuse sparse rows whose stored values and indices cannot be held.

    Raises
    ------
    ResourceError
        If they would take more than half of the machine's memory while they are parsed.
    """
    size = _ROW_BYTES * n_rows + _VALUE_BYTES * n_values
    if size > memory_limit():
        raise ResourceError(
            f"{origin}: {n_values} values in {n_rows} rows need {size / 2**30:.1f} GiB, the limit "
            f"is {memory_limit() / 2**30:.1f} GiB; split the file."
        )


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
