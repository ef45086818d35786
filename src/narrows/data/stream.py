"""Stream files larger than memory, and shuffle slices from all over a file in a pool."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Generator as Generated
from collections.abc import Iterable, Iterator
from copy import copy
from itertools import islice
from pathlib import Path
from typing import Self

import torch
from torch import Generator, Tensor

from narrows.data.source import Source

__all__ = ["BLOCK_BYTES", "POOL_BLOCKS", "StreamSource", "file_digest"]

BLOCK_BYTES = 8 << 20
POOL_BLOCKS = 8

_MASKED = 1 << 20
"""Rows of a mask that are searched at a time."""


class StreamSource(Source):
    """Rows of a file that are read on demand, in blocks of about ``BLOCK_BYTES``.

    An epoch reads slices from all over the file, collects ``POOL_BLOCKS`` blocks of them in a pool,
    and yields the rows of the pool in random order. Memory is constant for any size and order of
    the file, as is the time per row; a file sorted by class trains about as well as a shuffled one.

    Subclasses set ``n_rows`` and ``n_features``, and implement reading. A mask of one byte per row
    says which rows of the file belong to the source.
    """

    _kept: Tensor | None = None
    """Mask of the rows of the file in this source, bool; None for all."""

    _cached: Tensor | None = None
    """The kept rows if they fit into a pool: held-out rows are read after every epoch."""

    _wide: bool = False
    """Whether the file has numbers wider than float32."""

    # the following methods return rows of type ``_float``

    @abstractmethod
    def _file_blocks(self) -> Iterator[Tensor]:
        """Yield all rows of the file in order, at most ``block_rows`` at a time."""

    @abstractmethod
    def _mixed(self, generator: Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every row of the file once, in random short slices, as (numbers, rows)."""

    @abstractmethod
    def _file_rows(self, numbers: Tensor) -> Tensor:
        """Return the rows with these ascending numbers in the file."""

    @property
    def _float(self) -> torch.dtype:
        return torch.float64 if self.double else torch.float32

    @property
    def block_rows(self) -> int:
        return max(1, BLOCK_BYTES // (self._float.itemsize * self.n_features))

    def in_float64(self) -> Self:
        return self._of(double=self._wide)

    def in_float32(self) -> Self:
        return self._of(double=False)

    def _of(self, *, double: bool) -> Self:
        source = copy(self)
        source.double = double
        if double != self.double:
            source._cached = None
        return source

    def _kept_blocks(self) -> Iterator[Tensor]:
        """Yield the kept rows in order, block by block."""
        first = 0
        for rows in self._file_blocks():
            yield rows if self._kept is None else rows[self._kept[first : first + len(rows)]]
            first += len(rows)

    def in_order(self, batch_size: int) -> Iterator[Tensor]:
        if self._kept is not None and self.n_rows <= POOL_BLOCKS * self.block_rows:
            if self._cached is None:
                self._cached = torch.cat(list(self._kept_blocks()))
            return iter(self._cached.split(batch_size))
        # whole batches, as from memory: codes can differ in a bit with the size of a batch
        return _in_batches(self._kept_blocks(), batch_size)

    def shuffled(
        self, batch_size: int, *, generator: Generator, start: int = 0
    ) -> Iterator[Tensor]:
        return islice(self._shuffled(batch_size, generator), start, None)

    def _shuffled(self, batch_size: int, generator: Generator) -> Iterator[Tensor]:
        # one pool, refilled again and again; batches are gathered from it on demand
        shape = min(POOL_BLOCKS * self.block_rows, self.n_rows), self.n_features
        pool = torch.empty(shape, dtype=self._float)
        left, n = pool[:0].clone(), 0
        for numbers, rows in self._mixed(generator):
            kept = rows if self._kept is None else rows[self._kept[numbers]]
            while len(kept):
                taken = kept[: len(pool) - n]
                pool[n : n + len(taken)] = taken
                kept, n = kept[len(taken) :], n + len(taken)
                if n == len(pool):
                    left = yield from _drained(pool, left, batch_size, generator)
                    n = 0
        left = yield from _drained(pool[:n], left, batch_size, generator)
        if len(left):
            yield left

    def where(self, mask: Tensor) -> StreamSource:
        part = copy(self)
        part._cached, part._kept = None, mask
        if self._kept is not None:
            part._kept = self._kept.clone()
            part._kept[self._kept] = mask
        part.n_rows = int(mask.sum())
        return part

    def at(self, positions: Tensor) -> Tensor:
        return self._file_rows(positions if self._kept is None else self._numbers(positions))

    def _numbers(self, positions: Tensor) -> Tensor:
        """Return the numbers in the file of rows counted among the kept rows."""
        assert self._kept is not None
        found, before = [positions[:0]], 0
        for first in range(0, len(self._kept), _MASKED):
            here = self._kept[first : first + _MASKED].nonzero()[:, 0]
            wanted = positions[(positions >= before) & (positions < before + len(here))]
            found.append(first + here[wanted - before])
            before += len(here)
        return torch.cat(found)

    def sample(self, n_rows: int, *, generator: Generator) -> Tensor:
        return self.at(_drawn(self.n_rows, min(n_rows, self.n_rows), generator))


def _in_batches(blocks: Iterable[Tensor], batch_size: int) -> Iterator[Tensor]:
    """Yield the rows of blocks in batches; the last batch may be short."""
    waiting: list[Tensor] = []
    n = 0
    for block in blocks:
        rows = block
        del block  # so that a yielded block can be freed
        if n + len(rows) >= batch_size:
            if n:
                first = rows[: batch_size - n]
                rows = rows[batch_size - n :]
                yield torch.cat([*waiting, first])
                del first
            whole = len(rows) - len(rows) % batch_size
            if whole:
                yield from rows[:whole].split(batch_size)
            waiting, n = [], 0
            rows = rows[whole:].clone()
        waiting.append(rows)
        n += len(rows)
        del rows
    if n:
        yield torch.cat(waiting)


def _drained(
    pool: Tensor, left: Tensor, batch_size: int, generator: Generator
) -> Generated[Tensor, None, Tensor]:
    """Yield whole batches of ``left``, then of a pool in random order; return the rest."""
    order = torch.randperm(len(pool), generator=generator)
    while len(left) + len(order) >= batch_size:
        wanted = batch_size - len(left)
        yield torch.cat([left, pool[order[:wanted]]])
        left, order = left[:0], order[wanted:]
    return torch.cat([left, pool[order]])


def _drawn(n_rows: int, wanted: int, generator: Generator) -> Tensor:
    """Return ``wanted`` distinct random row numbers, sorted; memory is O(wanted)."""
    if 4 * wanted >= n_rows:
        return torch.randperm(n_rows, generator=generator)[:wanted].sort().values
    drawn = torch.empty(0, dtype=torch.int64)
    while len(drawn) < wanted:
        more = torch.randint(n_rows, (wanted + wanted // 4 + 8,), generator=generator)
        drawn = torch.cat([drawn, more]).unique()
    return drawn[torch.randperm(len(drawn), generator=generator)[:wanted]].sort().values


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
