"""Choose the held-out rows from the arguments of ``fit``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import column_or_1d
from torch import Generator

from narrows.core.checks import check_number
from narrows.data.splitting import Grouping, Selection
from narrows.errors import InvalidData, UsageError
from narrows.estimators.targets import target_names

__all__ = ["HeldOut", "Select", "column_of_groups", "joined_targets", "rows_and_y"]

Select = Callable[[int], Selection]
"""Returns which rows are trained on and which are held out, from the number of rows."""


@dataclass(frozen=True)
class HeldOut:
    """The arguments of ``fit`` that determine the held-out rows."""

    groups: Any = None
    block_length: Any = None
    gap: Any = 0
    validation_data: Any = None

    @property
    def keeps_places(self) -> bool:
        """Whether the order of the rows matters, so that none may be dropped."""
        return self.block_length is not None

    def grouping(self, n_rows: int) -> Grouping:
        """Return which of ``n_rows`` rows depend on each other.

        Raises
        ------
        UsageError
            If ``block_length`` or ``gap`` is not a number of rows, or the arguments contradict each
            other.
        InvalidData
            If ``groups`` does not give a group for every row.
        """
        check_number("gap", self.gap, low=0, integer=True)
        if self.block_length is None:
            if self.gap:
                raise UsageError(
                    f"gap: {self.gap} has no effect without block_length, which says that rows are "
                    "in order; give block_length too, or leave gap out."
                )
            return Grouping() if self.groups is None else Grouping(_numbered(self.groups, n_rows))
        check_number("block_length", self.block_length, low=1, integer=True)
        if self.groups is not None:
            raise UsageError(
                "block_length: groups already says which rows belong together; give one of the two."
            )
        return Grouping(block_length=int(self.block_length), gap=int(self.gap))

    def select(self, n_rows: int, fraction: float, *, seed: int) -> Selection:
        """Draw the rows to hold out: a fraction, or none if ``validation_data`` provides them.

        Raises
        ------
        UsageError
            As in ``grouping``; or if a grouping has no effect because no rows are drawn.
        InvalidData
            As in ``grouping``; if all rows are in one group, or the gap leaves none to train on.
        """
        grouping = self.grouping(n_rows)
        name = "block_length" if self.keeps_places else "groups"
        if grouping and self.validation_data is not None:
            raise UsageError(
                f"{name}: has no effect with validation_data, which replaces the rows that would "
                "be drawn; leave one of the two out."
            )
        if grouping and not fraction:
            raise UsageError(
                f"{name}: has no effect, since no row of {n_rows:,} is held out; give "
                "validation_fraction, such as 0.1."
            )
        drawn = 0.0 if self.validation_data is not None else fraction
        return grouping.select(n_rows, drawn, generator=Generator().manual_seed(seed))

    def folds(self, n_rows: int, n_folds: int, *, seed: int) -> list[Selection]:
        """Return selections, of which each row is held out in one; none if rows are given."""
        grouping = self.grouping(n_rows)
        if self.validation_data is not None:
            return []
        return grouping.folds(n_rows, n_folds, generator=Generator().manual_seed(seed))


def rows_and_y(validation_data: Any) -> tuple[Any, Any]:
    """Return X and y of ``validation_data``: a pair, or X alone."""
    if isinstance(validation_data, tuple):
        if len(validation_data) != 2:
            raise UsageError(
                f"validation_data: must be X or a pair (X, y), got {len(validation_data)} parts."
            )
        return validation_data
    return validation_data, None


def joined_targets(y: Any, y_held_out: Any, n_rows: int, n_held_out: int) -> np.ndarray:
    """Return y followed by the y of the held-out rows.

    Raises
    ------
    InvalidData
        If either differs in length from its rows, or the two differ in kind or columns.
    """
    names, others = target_names(y), target_names(y_held_out)
    if names is not None and others is not None and names != others:
        raise InvalidData(
            f"validation_data: its y has the columns {others}, the y of fit {names}; give the same."
        )
    parts = [np.asarray(y), np.asarray(y_held_out)]
    for name, part, n in zip(("y", "validation_data"), parts, (n_rows, n_held_out), strict=True):
        if part.ndim == 0 or len(part) != n:
            raise InvalidData(f"{name}: {part.size} values of y for {n} rows of X.")
    if (parts[0].dtype.kind in "US") != (parts[1].dtype.kind in "US") or (
        parts[0].shape[1:] != parts[1].shape[1:]
    ):
        raise InvalidData(
            f"validation_data: its y is {parts[1].dtype} of shape {parts[1].shape}, the y of fit "
            f"{parts[0].dtype} of shape {parts[0].shape}; give the same kind."
        )
    return np.concatenate(parts)


def column_of_groups(groups: Any) -> np.ndarray:
    """Return ``groups`` as a one-dimensional array.

    Raises
    ------
    InvalidData
        If it is not one-dimensional, such as the name of a column.
    """
    if isinstance(groups, str):
        raise InvalidData(
            f"groups: must hold a value for every row, got {groups!r}; give the column itself, "
            f"such as groups=table[{groups!r}], and leave it out of X."
        )
    if np.ndim(groups) == 0:
        raise InvalidData(f"groups: must hold a value for every row, got {groups!r:.60}.")
    try:
        return column_or_1d(groups, warn=False)
    except (TypeError, ValueError) as error:
        raise InvalidData(f"groups: {str(error).replace('y should', 'should', 1)}") from None


def _numbered(groups: Any, n_rows: int) -> torch.Tensor:
    """Return the group index of every row, int64 (n_rows,)."""
    values = column_of_groups(groups)
    if len(values) != n_rows:
        raise InvalidData(f"groups: {len(values)} values for {n_rows} rows of X.")
    missing = np.array([v is None or v != v or v == "" for v in values.tolist()], dtype=bool)
    if missing.any():
        raise InvalidData(
            f"groups: no group in row {int(missing.argmax())}; give every row a group, its own if "
            "it depends on no other row."
        )
    if values.dtype == object:
        values = np.array([str(value) for value in values.tolist()])
    return torch.from_numpy(np.unique(values, return_inverse=True)[1].astype(np.int64))
