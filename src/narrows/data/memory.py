"""Measure the available memory, and refuse data that does not fit into it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cache
from math import prod
from pathlib import Path

import numpy as np

from narrows.errors import ResourceError

__all__ = [
    "STREAM_BYTES",
    "available_memory",
    "check_columns",
    "check_memory",
    "check_result_fits",
    "check_stored",
    "gib",
    "memory_limit",
    "total_memory",
]

_GROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_MACHINE = Path("/proc/meminfo")


def total_memory() -> int:
    """Return the memory in bytes of the machine, or of this process's control group if less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(limit for limit, _ in _group_limits())])


def available_memory() -> int:
    """Return the number of bytes that this process can still allocate, including swap.

    The file cache counts as free. On systems other than Linux, all memory does.
    """
    free = [limit - used for limit, used in _group_limits()]
    known = _numbers(_MACHINE)
    if "MemAvailable" in known:
        free.append(1024 * (known["MemAvailable"] + known.get("SwapFree", 0)))
    return max(0, min([total_memory(), *free]))


def check_result_fits(shape: Sequence[int], what: str, way_out: str) -> None:
    """Refuse to create a float32 array that does not fit into memory.

    Parameters
    ----------
    shape : sequence of int
        Shape of the array.
    what, way_out : str
        What the array is, and which argument to lower, for the error message.

    Raises
    ------
    ResourceError
    """
    needed, available = 4 * prod(shape), available_memory()
    if needed > available:
        shown = " x ".join(f"{side:,}" for side in shape)
        raise ResourceError(
            f"{what}: {shown} numbers need {gib(needed)}, and {gib(available)} of memory are "
            f"available; {way_out}."
        )


def gib(n_bytes: int) -> str:
    """Return a number of bytes as text, in GiB."""
    return f"{n_bytes / 2**30:,.1f} GiB"


def _group_limits() -> Iterator[tuple[int, int]]:
    """Yield (limit, usage) in bytes of every control group of this process."""
    for line in _lines(_MEMBERSHIP):
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            yield from _limits_above(_GROUPS, path, "memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            names = "memory.limit_in_bytes", "memory.usage_in_bytes"
            yield from _limits_above(_GROUPS / "memory", path, *names)


def _limits_above(root: Path, path: str, limit: str, used: str) -> Iterator[tuple[int, int]]:
    """Yield (limit, usage) of a group and its parents; a container may see its group as root."""
    group = root / path.lstrip("/")
    for place in {root, *(p for p in (group, *group.parents) if root in p.parents)}:
        most = "".join(_lines(place / limit))
        if most.isdigit():  # "max" means no limit
            use = "".join(_lines(place / used))
            kept = _numbers(place / "memory.stat").get("inactive_file", 0)
            yield int(most), max(0, (int(use) if use.isdigit() else 0) - kept)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _numbers(path: Path) -> dict[str, int]:
    """Return the numbers in a file with lines such as "MemTotal: 5 kB", by name."""
    pairs = (line.split()[:2] for line in _lines(path))
    return {pair[0].rstrip(":"): int(pair[1]) for pair in pairs if len(pair) == 2
            and pair[1].isdigit()}  # fmt: skip


STREAM_BYTES = 512 << 20
"""Files whose rows take more than this as float32 are streamed, if the format allows it."""

_ROW_BYTES = 128  # labels as Python objects, and the row's start
_VALUE_BYTES = 24  # a float32 and its index, before and after sorting


@cache  # readers call it for every row, and it reads system files
def memory_limit() -> int:
    """Return the number of bytes that one data set may take: half of ``total_memory``."""
    return total_memory() // 2


def check_memory(
    n_rows: int, n_features: int, dtype: np.dtype, origin: str, *, stream: bool | None
) -> bool:
    """Return whether to stream data; ``stream=None`` decides by size.

    Raises
    ------
    ResourceError
        If the rows are not streamed and would take more than half of the memory.
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
    """Refuse a sparse matrix that is too wide for statistics of its columns.

    Raises
    ------
    ResourceError
        If one float64 per column would take more than half of the memory.
    """
    if 8 * n_features > memory_limit():
        raise ResourceError(
            f"{origin}: {n_features} columns: one number per column does not fit into memory."
        )


def check_stored(n_rows: int, n_values: int, origin: str) -> None:
    """Refuse sparse rows whose stored values and indices do not fit into memory.

    Raises
    ------
    ResourceError
        If they would take more than half of the memory while they are parsed.
    """
    size = _ROW_BYTES * n_rows + _VALUE_BYTES * n_values
    if size > memory_limit():
        raise ResourceError(
            f"{origin}: {n_values} values in {n_rows} rows need {size / 2**30:.1f} GiB, the limit "
            f"is {memory_limit() / 2**30:.1f} GiB; split the file."
        )
