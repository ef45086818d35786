"""Check numeric arguments where they are used."""

from __future__ import annotations

import math
import numbers
from typing import Any

from narrows.errors import UsageError

__all__ = ["check_number"]

_MOST = 2**63 - 1
"""The largest 64-bit integer."""


def check_number(
    name: str,
    value: Any,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    integer: bool = False,
    low_open: bool = False,
    high_open: bool = False,
    way_out: str = "",
) -> None:
    """Raise UsageError, with name, rule and value, unless ``value`` is finite and in range.

    Integers must fit in 64 bits, other numbers in a float. ``way_out`` is appended to the message,
    for rules that do not themselves say how to fix the value.

    Examples
    --------
    >>> check_number("rate", 1.5, low=0, high=1)
    Traceback (most recent call last):
    narrows.errors.UsageError: rate: must be a number >= 0 and <= 1, got 1.5.
    """
    kind: Any = numbers.Integral if integer else numbers.Real
    good = isinstance(value, kind) and not isinstance(value, bool) and _is_finite(value)
    wide = integer and good and not -_MOST - 1 <= value <= _MOST
    if good:
        above = value > low if low_open else value >= low
        good = above and not wide and (value < high if high_open else value <= high)
    if not good:
        what = "an integer" if integer else "a number"
        rule = "that is finite" if low == -math.inf else f"{'>' if low_open else '>='} {low:g}"
        if high != math.inf:
            rule += f" and {'<' if high_open else '<='} {high:g}"
        elif wide:
            rule += " and fit in 64 bits"
        raise UsageError(
            f"{name}: must be {what} {rule}, got {value!r}{way_out and '; '}{way_out}."
        )


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float holds
        return False
