"""What an index of binary codes does, whoever does it.

Order is the contract's core: by distance, then by id, and among equals at the k-th place the
smallest ids win. An exact index therefore has one right answer, to the bit."""

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
    "RaggedHits",
    "check_codes",
    "check_ids",
    "check_k",
    "check_width",
]

MAX_BITS = 4096
MISSING = -1
"""Id and distance where an index holds fewer than k codes."""


@dataclass(frozen=True)
class Hits:
    """The k nearest of each query; rows end in id -1, distance -1 where there are fewer.

    ``distances`` (n_queries, k): int32 bits that differ, or float32 1 - cosine.
    ``ids`` (n_queries, k): int64.
    """

    distances: NDArray[Any]
    ids: NDArray[np.int64]


@dataclass(frozen=True)
class RaggedHits:
    """All within a radius: query i has ``distances`` and ``ids`` [offsets[i] : offsets[i + 1]]."""

    offsets: NDArray[np.int64]
    distances: NDArray[Any]
    ids: NDArray[np.int64]


class CodeIndex(Protocol):
    """Packed binary codes under Hamming distance, each with an id of its own.

    Codes are uint8 (n, n_bits // 8), ids int64 (n,) and not negative.
    """

    @property
    def n_bits(self) -> int: ...

    def __len__(self) -> int: ...

    def add(self, ids: NDArray[np.int64], codes: NDArray[np.uint8]) -> None:
        """Add codes. Raises UsageError, and adds nothing, if an id is there already."""
        ...

    def delete(self, ids: NDArray[np.int64]) -> None:
        """Delete codes. Raises UsageError, and deletes nothing, if an id is not there."""
        ...

    def search(self, codes: NDArray[np.uint8], k: int) -> Hits:
        """Return the k nearest of each code."""
        ...

    def within(self, codes: NDArray[np.uint8], radius: int) -> RaggedHits:
        """Return all that differ from each code in at most ``radius`` bits."""
        ...


class LocalIndex(CodeIndex, Protocol):
    """An index in this process's memory, derived from its rows.

    It has no lock of its own; ``index.Index`` holds one around it. Searches may run side by side
    while the index is ``ready``. Everything else runs alone.
    """

    rows: Any

    @property
    def ready(self) -> bool:
        """Whether a search changes nothing that another search reads."""
        ...

    def prepare(self) -> Any:
        """Build whatever a search needs and lacks; a search also does so by itself."""
        ...

    def forget(self) -> None:
        """Drop everything that ``prepare`` builds, because the rows were set from outside."""
        ...


def check_width(n_bits: Any) -> None:
    """Raise UsageError unless ``n_bits`` is a multiple of 8 from 8 to 4096."""
    check_number("n_bits", n_bits, low=8, high=MAX_BITS, integer=True)
    if n_bits % 8:
        raise UsageError(f"n_bits: must be a multiple of 8, got {n_bits!r}; pad codes with zeros.")


def check_codes(codes: Any, n_bits: int) -> NDArray[np.uint8]:
    """Return ``codes`` (n, n_bits // 8) in one piece.

    Raises
    ------
    UsageError
        If they are no array of uint8 of that width.
    """
    if not isinstance(codes, np.ndarray) or codes.dtype != np.uint8 or codes.ndim != 2:
        got = f"{codes.dtype} {codes.shape}" if isinstance(codes, np.ndarray) else type(codes)
        raise UsageError(
            f"codes: must be a table of packed bits, uint8 (n, n_bits // 8), got {got}; "
            "pack bits with numpy.packbits(bits, axis=1)."
        )
    if 8 * codes.shape[1] != n_bits:
        raise UsageError(
            f"codes: must have {n_bits} bits ({n_bits // 8} bytes) a row, got "
            f"{8 * codes.shape[1]}; encode with the model that the index was made with."
        )
    return np.ascontiguousarray(codes)


def check_ids(ids: Any, n: int | None = None) -> NDArray[np.int64]:
    """Return ``ids`` (n,) as int64.

    Raises
    ------
    UsageError
        If they are no whole numbers >= 0, not n, or one stands twice.
    """
    array = np.asarray(ids)
    if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
        raise UsageError(f"ids: must be a row of whole numbers, got {array.dtype} {array.shape}.")
    if n is not None and len(array) != n:
        raise UsageError(f"ids: must be as many as codes, got {len(array)} for {n}.")
    if array.size and (int(array.min()) < 0 or int(array.max()) > np.iinfo(np.int64).max):
        raise UsageError(f"ids: must be >= 0 and below 2**63, got {array.min()}, {array.max()}.")
    array = array.astype(np.int64)
    ordered = np.sort(array)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    if twice.size:
        raise UsageError(f"ids: {twice[0]} stands twice; every code has an id of its own.")
    return array


def check_k(k: Any) -> int:
    """Return ``k`` if it is a whole number >= 1; UsageError otherwise."""
    check_number("k", k, low=1, high=2**31 - 1, integer=True)
    return int(k)


def check_radius(radius: Any) -> int:
    """Return ``radius`` if it is a whole number >= 0; UsageError otherwise."""
    check_number("radius", radius, low=0, high=2**31 - 2, integer=True)
    return int(radius)


@dataclass(frozen=True)
class Hit:
    """A row that was found.

    ``distance`` is in bits that differ, or 1 - cosine of float codes; ``cosine`` is that of the
    vectors, where they decided the order.
    """

    name: str
    distance: float
    metadata: dict[str, Any]
    cosine: float | None = None
