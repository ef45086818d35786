"""Choose the rows that are held out of training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from narrows.data.source import Source

__all__ = ["Split", "held_out_mask"]

_STRATUM = 1 << 20
"""Rows whose permutation is drawn at once: memory is one byte a row, and 16 MB."""


@dataclass(frozen=True)
class Split:
    """The rows that ``fit`` was given: those to train on, and those held out, if there are any."""

    training: Source
    held_out: Source | None

    @classmethod
    def of(cls, source: Source, held_out: Tensor) -> Split:
        """Split a source by the mask of the rows that are held out, bool (n_rows,)."""
        if not bool(held_out.any()):
            return cls(source, None)
        return cls(source.where(~held_out), source.where(held_out))

    @property
    def parts(self) -> list[Source]:
        return [self.training] if self.held_out is None else [self.training, self.held_out]


def held_out_mask(n_rows: int, fraction: float, *, generator: Generator) -> Tensor:
    """Return which rows are held out, bool (n_rows,): ``fraction`` of them, rounded down.

    They are drawn over all rows. Of more than 2^20 rows, the same share is drawn from each run of
    2^20. No row is held out where fewer than one would be, or none would be left to train on.
    """
    mask = torch.zeros(n_rows, dtype=torch.bool)
    if not 1 <= int(n_rows * fraction) < n_rows:
        return mask
    drawn = 0
    for first in range(0, n_rows, _STRATUM):
        part = mask[first : first + _STRATUM]
        order = torch.randperm(len(part), generator=generator)
        wanted = int((first + len(part)) * fraction) - drawn
        part[order[:wanted]] = True
        drawn += wanted
    return mask
