"""Define the contract of an index of codes, its results, and the checks of its arguments.

Hits are ordered by distance, then by id; among equal distances at the k-th place the smallest ids
are kept. An exact index therefore has exactly one correct answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from narrows.core.checks import check_number
from narrows.errors import UsageError

__all__ = [
    "CodeIndex",
    "Hit",
    "Hits",
    "LocalIndex",
    "check_codes",
    "check_ids",
    "check_k",
    "check_width",
]

MAX_BITS = 4096
MISSING = -1
"""Id and distance that fill a row of hits if the index holds fewer than k codes."""


@dataclass(frozen=True)
class Hits:
    """The k nearest codes of each query; id -1 and distance -1 fill rows with fewer hits.

    ``distances`` (n_queries, k): the number of differing bits, int32, or 1 - cosine, float32.
    ``ids`` (n_queries, k): int64.
    """

    distances: NDArray[Any]
    ids: NDArray[np.int64]


class CodeIndex(Protocol):
    """An index of packed binary codes under Hamming distance; every code has a unique id.

    Codes are uint8 (n, n_bits // 8); ids are int64 (n,) and not negative.
    """

    @property
    def n_bits(self) -> int: ...

    def __len__(self) -> int: ...

    def add(self, ids: NDArray[np.int64], codes: NDArray[np.uint8]) -> None:
        """Add codes. Raises UsageError, and adds nothing, if an id exists already."""
        ...

    def delete(self, ids: NDArray[np.int64]) -> None:
        """Delete codes. Raises UsageError, and deletes nothing, if an id does not exist."""
        ...

    def search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        """Return the k nearest codes of each query code."""
        ...


class LocalIndex(CodeIndex, Protocol):
    """An index in memory, built from its ``table`` of ids and codes.

    It has no lock; ``index.Index`` locks it. Several searches may run at once while the index is
    ``ready``; every other method must run alone.
    """

    table: Any

    @property
    def ready(self) -> bool:
        """Whether a search leaves everything unchanged that other searches read."""
        ...

    def prepare(self) -> Any:
        """Build the search structures that are missing; ``search`` calls this itself."""
        ...

    def forget(self) -> None:
        """Drop everything that ``prepare`` built, because the table was replaced."""
        ...


def check_width(n_bits: Any) -> None:
    """Raise UsageError unless ``n_bits`` is a multiple of 8 from 8 to 4096."""
    check_number("n_bits", n_bits, low=8, high=MAX_BITS, integer=True)
    if n_bits % 8:
        raise UsageError(f"n_bits: must be a multiple of 8, got {n_bits!r}; pad codes with zeros.")


def check_codes(codes: Any, n_bits: int) -> NDArray[np.uint8]:
    """Return ``codes`` (n, n_bits // 8) as a contiguous array.

    Raises
    ------
    UsageError
        If they are not a uint8 array of that width.
    """
    if not isinstance(codes, np.ndarray) or codes.dtype != np.uint8 or codes.ndim != 2:
        got = f"{codes.dtype} {codes.shape}" if isinstance(codes, np.ndarray) else type(codes)
        raise UsageError(
            f"codes: must be a table of packed bits, uint8 (n, n_bits // 8), got {got}; "
            "pack bits with numpy.packbits(bits, axis=1)."
        )
    if 8 * codes.shape[1] != n_bits:
        raise UsageError(
            f"codes: must have {n_bits} bits ({n_bits // 8} bytes) per row, got "
            f"{8 * codes.shape[1]}; encode with the model that the index was made with."
        )
    return np.ascontiguousarray(codes)


def check_ids(ids: Any, n: int | None = None) -> NDArray[np.int64]:
    """Return ``ids`` (n,) as int64.

    Raises
    ------
    UsageError
        If they are not n distinct whole numbers >= 0.
    """
    array = np.asarray(ids)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise UsageError(
            f"ids: must be a 1-D array of whole numbers, got {array.dtype} {array.shape}."
        )
    if n is not None and len(array) != n:
        raise UsageError(f"ids: expected one per code, got {len(array)} for {n} codes.")
    if array.size and (int(array.min()) < 0 or int(array.max()) > np.iinfo(np.int64).max):
        raise UsageError(f"ids: must be >= 0 and below 2**63, got {array.min()}, {array.max()}.")
    array = array.astype(np.int64)
    ordered = np.sort(array)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if repeated.size:
        raise UsageError(f"ids: {repeated[0]} is repeated; every code needs a unique id.")
    return array


def check_k(k: Any) -> int:
    """Return ``k``; raise UsageError unless it is a whole number >= 1."""
    check_number("k", k, low=1, high=2**31 - 1, integer=True)
    return int(k)


@dataclass(frozen=True)
class Hit:
    """A row that a search found.

    ``distance`` is the number of differing bits, or 1 - cosine of float codes. ``cosine`` is the
    cosine between the vectors if hits were re-ranked by them.
    """

    name: str
    distance: float
    metadata: dict[str, Any]
    cosine: float | None = None
