"""Batches of pairs of rows."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy

import torch
from torch import Generator, Tensor

from narrows.core.slots import Labeled
from narrows.core.sparse import Rows
from narrows.data.array_sources import DenseSource, SparseSource
from narrows.data.source import Source

__all__ = ["PairedSource"]


class PairedSource(Source):
    """The n pairs (row i, row n + i) of a source of 2n rows in memory.

    A batch of b pairs has 2b rows: the first rows of all pairs, then the second rows. y (2n,) is 1
    for both rows of a pair that match, else 0.
    """

    holds_targets = True

    def __init__(self, source: DenseSource | SparseSource, *, pairs: Tensor | None = None) -> None:
        self._source = source
        self._half = source.n_rows // 2
        self._pairs = torch.arange(self._half) if pairs is None else pairs
        self.n_rows, self.n_features = len(self._pairs), source.n_features
        self.sparse = source.sparse
        self.copy_metadata(source)
        self.targets = source.targets

    def _both(self, pairs: Tensor) -> Tensor:
        return torch.cat([pairs, pairs + self._half])

    def in_order(self, batch_size: int) -> Iterator[Rows]:
        for pairs in self._pairs.split(batch_size):
            yield self._source.at(self._both(pairs))

    def shuffled(
        self, batch_size: int, *, generator: Generator, start: int = 0
    ) -> Iterator[Rows | Labeled]:
        assert self.targets is not None
        order = self._pairs[torch.randperm(self.n_rows, generator=generator)]
        for pairs in order[start * batch_size :].split(batch_size):
            if len(pairs):
                both = self._both(pairs)
                yield Labeled(self._source.at(both), self.targets[both])

    def in_float64(self) -> PairedSource:
        return self._of(self._source.in_float64())

    def in_float32(self) -> PairedSource:
        return self._of(self._source.in_float32())

    def _of(self, source: DenseSource | SparseSource) -> PairedSource:
        pairs = copy(self)
        pairs._source, pairs.double = source, source.double
        return pairs

    def where(self, mask: Tensor) -> PairedSource:
        """Return the pairs at which ``mask``, bool (n_pairs,), is True."""
        return PairedSource(self._source, pairs=self._pairs[mask])

    def sample(self, n_rows: int, *, generator: Generator) -> Rows:
        pairs = self._pairs[torch.randperm(self.n_rows, generator=generator)[:n_rows]]
        return self._source.at(self._both(pairs.sort().values))

    def at(self, positions: Tensor) -> Rows:
        return self._source.at(self._both(self._pairs[positions]))

    def fingerprint(self) -> str:
        return self._source.fingerprint()

    def targets_in_order(self) -> Tensor | None:
        return None if self.targets is None else self.targets[self._both(self._pairs)]
