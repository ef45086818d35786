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

    @abstractmethod
    def _blocks(self, unit: int) -> Iterator[np.ndarray]:
        """Yield the rows of a unit in order, as arrays of at most ``block_rows`` rows."""

    @property
    def block_rows(self) -> int:
        return max(1, BLOCK_BYTES // (4 * self.n_features))

    def _use_units(self, units: Tensor) -> None:
        self._units = units
        self.n_rows = int(sum(self._unit_rows[unit] for unit in units.tolist()))

    def in_order(self, batch_size: int) -> Iterator[Tensor]:
        # whole batches across blocks, as from memory: codes can differ in a bit with a batch's size
        left_over = torch.empty(0, self.n_features)
        for unit in self._units:
            for block in self._blocks(int(unit)):
                rows = torch.cat((left_over, torch.from_numpy(block).float()))
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
        blocks = (torch.from_numpy(b).float() for unit in order for b in self._blocks(int(unit)))
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

    def split(self, fraction: float, *, generator: Generator) -> tuple[Source, Source | None]:
        held_out = int(len(self._units) * fraction)
        if held_out < 1:
            return self, None
        order = self._units[torch.randperm(len(self._units), generator=generator)]
        train, validation = copy(self), copy(self)
        train._use_units(order[held_out:].sort().values)
        validation._use_units(order[:held_out].sort().values)
        return train, validation

    def at(self, positions: Tensor) -> Tensor:
        sizes = torch.tensor([self._unit_rows[unit] for unit in self._units.tolist()])
        ends = sizes.cumsum(0)
        owners = torch.searchsorted(ends, positions, right=True)
        picked = [torch.empty(0, self.n_features)]
        for at in owners.unique():  # no unit is read for nothing
            here = positions[owners == at]
            first = int(ends[at] - sizes[at])
            for block in self._blocks(int(self._units[at])):
                inside = here[(here >= first) & (here < first + len(block))] - first
                picked.append(torch.from_numpy(block).float()[inside])
                first += len(block)
        return torch.cat(picked)

    def sample(self, n_rows: int, *, generator: Generator) -> Tensor:
        """Return rows of whole blocks, or of half of each, in a random order of the units."""
        order = self._units[torch.randperm(len(self._units), generator=generator)]
        wanted = min(n_rows, self.n_rows)
        share = 1.0 if self.n_rows < 2 * wanted else 0.5
        kept: list[Tensor] = []
        for block in (block for unit in order for block in self._blocks(int(unit))):
            rows = torch.from_numpy(block).float()
            picked = torch.randperm(len(rows), generator=generator)[: ceil(len(rows) * share)]
            kept.append(rows[picked])
            if sum(map(len, kept)) >= wanted:
                break
        return torch.cat(kept)[:wanted]
