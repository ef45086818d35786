"""Choose the rows that are held out of training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = ["Grouping", "Selection", "Split", "held_out_mask"]

_STRATUM = 1 << 20
"""Rows whose permutation is drawn at once: memory is one byte a row, and 16 MB."""


@dataclass(frozen=True)
class Selection:
    """Masks, bool (n_rows,): the rows to train on, and those held out. Some may be neither."""

    training: Tensor
    held_out: Tensor


@dataclass(frozen=True)
class Split:
    """The rows that ``fit`` was given: those to train on, and those held out, if there are any."""

    training: Source
    held_out: Source | None
    given: Split | None = None
    """Corrupted rows that the user gave to rebuild these rows from, in the same order."""

    @classmethod
    def of(cls, source: Source, selection: Selection) -> Split:
        if not bool(selection.held_out.any()):
            return cls(source, None)
        return cls(source.where(selection.training), source.where(selection.held_out))

    def each(self, change: Callable[[Source], Source]) -> Split:
        """Return the same split with every part changed."""
        held_out = None if self.held_out is None else change(self.held_out)
        given = None if self.given is None else self.given.each(change)
        return Split(change(self.training), held_out, given)

    @property
    def parts(self) -> list[Source]:
        return [self.training] if self.held_out is None else [self.training, self.held_out]


@dataclass(frozen=True)
class Grouping:
    """Which rows depend on each other: all of such a group are trained on, or all held out.

    ``groups`` (n_rows,), int64, numbers the group of every row. ``block_length`` says instead that
    rows are in order: runs of so many are the groups, and ``gap`` rows on either side of a run
    that is held out are left out of both parts.
    """

    groups: Tensor | None = None
    block_length: int | None = None
    gap: int = 0

    def __bool__(self) -> bool:
        return self.groups is not None or self.block_length is not None

    def of(self, n_rows: int) -> Tensor:
        """Return the group of every row, int64 (n_rows,), counted from 0."""
        if self.groups is not None:
            return self.groups
        if self.block_length is None:
            return torch.arange(n_rows)
        return torch.arange(n_rows) // self.block_length

    def subset(self, positions: Tensor) -> Grouping:
        """Return the grouping of these rows, in this order: blocks stay what they were."""
        if not self:
            return self
        groups = self.of(int(positions.max()) + 1) if self.groups is None else self.groups
        return Grouping(groups[positions].unique(return_inverse=True)[1])

    def select(self, n_rows: int, fraction: float, *, generator: Generator) -> Selection:
        """Draw the rows to hold out: that share of the rows, or of the groups, at least one group.

        Raises
        ------
        InvalidData
            If all rows are of one group, or the gap leaves none to train on.
        """
        if not self or fraction == 0:
            held_out = held_out_mask(n_rows, fraction, generator=generator)
            return Selection(~held_out, held_out)
        group_of = self.of(n_rows)
        n_groups = int(group_of.max()) + 1
        if n_groups < 2:
            what = "groups" if self.groups is not None else "block_length"
            raise InvalidData(
                f"{what}: all {n_rows} rows are of one group, so no whole group can be held out; "
                "give smaller groups, or validation_data."
            )
        wanted = min(max(1, int(n_groups * fraction)), n_groups - 1)
        chosen = torch.zeros(n_groups, dtype=torch.bool)
        chosen[torch.randperm(n_groups, generator=generator)[:wanted]] = True
        return self.around(chosen[group_of])

    def around(self, held_out: Tensor) -> Selection:
        """Return the selection of these held-out rows, less the gap beside them.

        Raises
        ------
        InvalidData
            If the gap leaves no row to train on.
        """
        near = held_out.clone()
        if self.gap:
            # how many held-out rows there are within the gap, by a running sum
            total = torch.cat([torch.zeros(1, dtype=torch.int64), held_out.cumsum(0)])
            at = torch.arange(len(held_out))
            gap = min(self.gap, len(held_out))  # a larger gap means the same, and would overflow
            low = (at - gap).clamp_min(0)
            high = (at + gap + 1).clamp_max(len(held_out))
            near = total[high] > total[low]
        if bool(near.all()):
            raise InvalidData(
                f"gap: {self.gap} rows on either side of the blocks held out leave none to train "
                f"on; lower it, or raise block_length ({self.block_length})."
            )
        return Selection(~near, held_out)

    def identity(self) -> dict[str, Any]:
        """Return what must be equal to resume a training; empty where rows are independent."""
        if self.groups is not None:
            return {"groups": hashlib.sha256(self.groups.numpy().tobytes()).hexdigest()}
        if self.block_length is not None:
            return {"block_length": self.block_length, "gap": self.gap}
        return {}


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
