"""Warn of columns that vary, but by less than the scaled rows can show."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from narrows.core.slots import Rows
from narrows.data.column_names import first_names
from narrows.data.source import Source
from narrows.data.statistics import Statistics
from narrows.errors import LostColumnsWarning

__all__ = ["warn_of_lost_columns"]


def warn_of_lost_columns(
    forward: Callable[[Tensor], Rows], kind: str, source: Source, statistics: Statistics
) -> None:
    """Warn of the columns that are constant after the scaling, though their values differ.

    ``forward`` scales rows, ``kind`` is the scaling's. Shares of a row are left out: they follow
    from all of its values.

    Warns
    -----
    LostColumnsWarning
        By the names of the columns, or their numbers.
    """
    if kind in ("proportions", "tfidf"):
        return
    if kind == "standard":
        lost = statistics.varying & statistics.constant
    else:
        ends = torch.stack([statistics.smallest, statistics.largest])
        low, high = torch.as_tensor(forward(ends))
        lost = statistics.varying & ~statistics.noise & (low == high)
    _warn(
        source,
        lost,
        f"the values differ by less than scale={kind!r} can show ({{}}), and are taken for "
        "constant; subtract a number near to them, or multiply them, before the fit.",
        statistics,
    )
    size = statistics.largest.abs()
    # a 64-bit number is read to the nearest float64; those of one value may have had several
    same = ~statistics.varying & (size > 2.0**53) & (size <= 2.0**64)
    _warn(
        source,
        same,
        "all values are read as one ({}), since float64 rounds whole numbers above 2^53; if they "
        "differ, subtract a number near to them before the fit.",
        statistics,
    )


def _warn(source: Source, lost: Tensor, what: str, statistics: Statistics) -> None:
    numbers = lost.nonzero()[:, 0].tolist()
    if not numbers:
        return
    names = [repr(source.names[i]) if source.names else str(i) for i in numbers]
    low, high = (float(ends[numbers[0]]) for ends in (statistics.smallest, statistics.largest))
    between = f"in {names[0]} from {low:.17g} to {high:.17g}" if low < high else f"{low:.17g}"
    warnings.warn(
        f"{source.origin}: {'column' if len(names) == 1 else f'{len(names)} columns:'} "
        f"{first_names(names)}: {what.format(between)}",
        LostColumnsWarning,
        stacklevel=5,
    )
