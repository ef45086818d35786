"""Sources bigger than memory: blocks of a file, read in a shuffled order through a pool."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from itertools import islice
from math import ceil

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.data.source import Source

__all__ = ["BLOCK_BYTES", "POOL_BLOCKS", "StreamSource"]

BLOCK_BYTES = 8 << 20
POOL_BLOCKS = 8


class StreamSource(Source):
    """A file of units (runs of rows that can be read on their own), streamed in blocks.

    An epoch visits the units in a random order, holds ``POOL_BLOCKS`` blocks of about
    ``BLOCK_BYTES`` at a time, and emits the rows of that pool in a random order: memory is
    flat whatever the file's size, and time per row is constant.

    Subclasses set ``n_rows`` and ``n_features``, and fill ``_unit_rows``.
    """

    _unit_rows: Sequence[int]
    _units: Tensor
    _kept: Tensor | None = None
    """Which rows of the file these are, bool; None for all."""

    @abstractmethod
    def _blocks(self, unit: int) -> Iterator[np.ndarray]:
        """Yield the rows of a unit in order, as arrays of at most ``block_rows`` rows."""

    @property
    def block_rows(self) -> int:
        return max(1, BLOCK_BYTES // (4 * self.n_features))

    def _use_units(self, units: Tensor) -> None:
        self._units = units
        self.n_rows = int(sum(self._unit_rows[unit] for unit in units.tolist()))

    def _kept_rows(self, unit: int) -> Iterator[Tensor]:
        """Yield the rows of a unit that are kept, in order, block by block, float32."""
        first = sum(self._unit_rows[:unit])
        for block in self._blocks(unit):
            rows = torch.from_numpy(block).float()
            yield rows if self._kept is None else rows[self._kept[first : first + len(rows)]]
            first += len(rows)

    def _unit_sizes(self) -> Tensor:
        """Return how many rows are kept of each unit of ``_units``, (n_units,)."""
        sizes = torch.tensor(self._unit_rows)
        if self._kept is not None:
            ends = torch.cat([torch.zeros(1, dtype=torch.int64), self._kept.cumsum(0)])
            edges = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
            sizes = ends[edges].diff()
        return sizes[self._units]

    def in_order(self, batch_size: int) -> Iterator[Tensor]:
        # whole batches across blocks, as from memory: codes can differ in a bit with a batch's size
        left_over = torch.empty(0, self.n_features)
        for unit in self._units:
            for block in self._kept_rows(int(unit)):
                rows = torch.cat((left_over, block))
                whole = len(rows) - len(rows) % batch_size
                yield from rows[:whole].split(batch_size) if whole else ()
                left_over = rows[whole:].clone()
        if len(left_over):
            yield left_over

    def shuffled(
        self, batch_size: int, *, generator: Generator, start: int = 0
    ) -> Iterator[Tensor]:
        return islice(self._shuffled(batch_size, generator), start, None)

    def _shuffled(self, batch_size: int, generator: Generator) -> Iterator[Tensor]:
        order = self._units[torch.randperm(len(self._units), generator=generator)]
        blocks = (block for unit in order for block in self._kept_rows(int(unit)))
        left_over: list[Tensor] = []
        while pool := list(islice(blocks, POOL_BLOCKS)):
            rows = torch.cat(left_over + pool)
            del pool
            rows = rows[torch.randperm(len(rows), generator=generator)]
            whole = len(rows) - len(rows) % batch_size
            yield from rows[:whole].split(batch_size) if whole else ()
            left_over = [rows[whole:].clone()]
        if left_over and len(left_over[0]):
            yield left_over[0]

    def where(self, mask: Tensor) -> StreamSource:
        part = copy(self)
        part._kept = mask
        if self._kept is not None:
            part._kept = self._kept.clone()
            part._kept[self._kept] = mask
        part.n_rows = int(mask.sum())
        return part

    def at(self, positions: Tensor) -> Tensor:
        sizes = self._unit_sizes()
        ends = sizes.cumsum(0)
        owners = torch.searchsorted(ends, positions, right=True)
        picked = [torch.empty(0, self.n_features)]
        for at in owners.unique():  # no unit is read for nothing
            here = positions[owners == at]
            first = int(ends[at] - sizes[at])
            for rows in self._kept_rows(int(self._units[at])):
                inside = here[(here >= first) & (here < first + len(rows))] - first
                picked.append(rows[inside])
                first += len(rows)
        return torch.cat(picked)

    def sample(self, n_rows: int, *, generator: Generator) -> Tensor:
        """Return rows of whole blocks, or of half of each, in a random order of the units."""
        order = self._units[torch.randperm(len(self._units), generator=generator)]
        wanted = min(n_rows, self.n_rows)
        share = 1.0 if self.n_rows < 2 * wanted else 0.5
        kept: list[Tensor] = []
        for rows in (rows for unit in order for rows in self._kept_rows(int(unit))):
            picked = torch.randperm(len(rows), generator=generator)[: ceil(len(rows) * share)]
            kept.append(rows[picked])
            if sum(map(len, kept)) >= wanted:
                break
        return torch.cat(kept)[:wanted]
