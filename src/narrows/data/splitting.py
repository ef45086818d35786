"""Split rows into training and held-out rows."""

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
"""Rows permuted at a time; memory is one byte per row, plus 16 MB."""


@dataclass(frozen=True)
class Selection:
    """Masks, bool (n_rows,), of training and held-out rows; some rows may be neither."""

    training: Tensor
    held_out: Tensor


@dataclass(frozen=True)
class Split:
    """The training rows and the held-out rows, if any, of the data of a fit."""

    training: Source
    held_out: Source | None
    inputs: Split | None = None
    """Corrupted rows given by the user, from which these rows are reconstructed, in order."""

    @classmethod
    def of(cls, source: Source, selection: Selection) -> Split:
        if not bool(selection.held_out.any()):
            return cls(source, None)
        return cls(source.where(selection.training), source.where(selection.held_out))

    def each(self, change: Callable[[Source], Source]) -> Split:
        """Return the split with ``change`` applied to every part."""
        held_out = None if self.held_out is None else change(self.held_out)
        inputs = None if self.inputs is None else self.inputs.each(change)
        return Split(change(self.training), held_out, inputs)

    @property
    def net_inputs(self) -> Split:
        """The rows that the net reads: the corrupted rows if the user gave any, else these."""
        return self if self.inputs is None else self.inputs

    @property
    def parts(self) -> list[Source]:
        return [self.training] if self.held_out is None else [self.training, self.held_out]


@dataclass(frozen=True)
class Grouping:
    """Groups of dependent rows; all rows of a group are training rows, or all are held out.

    ``groups`` (n_rows,), int64, is the group of every row. Alternatively, the groups are
    consecutive blocks of ``block_length`` rows, and ``gap`` rows on either side of a held-out block
    are left out of both parts.
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
        """Return the grouping of some rows, in the given order; blocks are preserved."""
        if not self:
            return self
        groups = self.of(int(positions.max()) + 1) if self.groups is None else self.groups
        return Grouping(groups[positions].unique(return_inverse=True)[1])

    def select(self, n_rows: int, fraction: float, *, generator: Generator) -> Selection:
        """Draw the held-out rows: a fraction of the rows, or of the groups (at least one).

        Raises
        ------
        InvalidData
            If all rows are in one group, or the gap leaves no training rows.
        """
        if not self or fraction == 0:
            held_out = held_out_mask(n_rows, fraction, generator=generator)
            return Selection(~held_out, held_out)
        group_of = self.of(n_rows)
        n_groups = int(group_of.max()) + 1
        if n_groups < 2:
            what = "groups" if self.groups is not None else "block_length"
            raise InvalidData(
                f"{what}: all {n_rows} rows are in one group, so no whole group can be held out; "
                "give smaller groups, or validation_data."
            )
        wanted = min(max(1, int(n_groups * fraction)), n_groups - 1)
        chosen = torch.zeros(n_groups, dtype=torch.bool)
        chosen[torch.randperm(n_groups, generator=generator)[:wanted]] = True
        return self.around(chosen[group_of])

    def folds(self, n_rows: int, n_folds: int, *, generator: Generator) -> list[Selection]:
        """Return ``n_folds`` selections, of which each row is held out in one.

        There are fewer if there are fewer groups, and none of a single group.
        """
        group_of = self.of(n_rows)
        n_groups = int(group_of.max()) + 1
        n_folds = min(n_folds, n_groups)
        if n_folds < 2:
            return []
        order = torch.randperm(n_groups, generator=generator)
        fold_of = torch.empty(n_groups, dtype=torch.int64)
        fold_of[order] = torch.arange(n_groups) % n_folds
        return [self.around(fold_of[group_of] == fold) for fold in range(n_folds)]

    def around(self, held_out: Tensor) -> Selection:
        """Return the selection with these held-out rows, and a gap around them.

        Raises
        ------
        InvalidData
            If the gap leaves no training rows.
        """
        near = held_out.clone()
        if self.gap:
            # count held-out rows within the gap by a running sum
            total = torch.cat([torch.zeros(1, dtype=torch.int64), held_out.cumsum(0)])
            at = torch.arange(len(held_out))
            # a larger gap has the same effect, but would overflow
            gap = min(self.gap, len(held_out))
            low = (at - gap).clamp_min(0)
            high = (at + gap + 1).clamp_max(len(held_out))
            near = total[high] > total[low]
        if bool(near.all()):
            raise InvalidData(
                f"gap: {self.gap} rows on either side of the held-out blocks leave none to train "
                f"on; lower it, or raise block_length ({self.block_length})."
            )
        return Selection(~near, held_out)

    def identity(self) -> dict[str, Any]:
        """Return JSON values that must be equal to resume a training; {} for independent rows."""
        if self.groups is not None:
            return {"groups": hashlib.sha256(self.groups.numpy().tobytes()).hexdigest()}
        if self.block_length is not None:
            return {"block_length": self.block_length, "gap": self.gap}
        return {}


def held_out_mask(n_rows: int, fraction: float, *, generator: Generator) -> Tensor:
    """Return a mask of held-out rows, bool (n_rows,): a random ``fraction``, rounded down.

    From each run of 2^20 rows the same share is drawn. No row is held out if that would be less
    than one row, or would leave no training rows.
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
