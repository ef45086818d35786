"""From what a user wrote in a constructor to values that the lower ranks take."""

from __future__ import annotations

import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from narrows.errors import UsageError
from narrows.slots import piece_from_spec, piece_to_spec

__all__ = ["batch_size_for", "check_number", "seed_from", "spec_of", "specs_of"]


def seed_from(random_state: Any) -> int:
    """Return a seed; None draws one from NumPy's global state, as in scikit-learn."""
    return int(check_random_state(random_state).randint(2**31 - 2))


def spec_of(table: Mapping[str, Any], value: Any, *, slot: str) -> dict[str, Any]:
    """Return the spec of a piece given as a name, a spec or an instance; check its values."""
    if isinstance(value, str | Mapping):
        value = piece_from_spec(table, value, slot=slot)
    try:
        return piece_to_spec(table, value)
    except UsageError as error:
        raise UsageError(f"{slot}: {error}") from None


def specs_of(table: Mapping[str, Any], values: Any, *, slot: str) -> list[dict[str, Any]]:
    """Return the specs of a sequence of pieces, of one piece, or of None."""
    if values is None:
        return []
    if not isinstance(values, Sequence) or isinstance(values, str):
        values = [values]
    return [spec_of(table, value, slot=slot) for value in values]


def check_number(
    name: str,
    value: Any,
    *,
    low: float,
    high: float = float("inf"),
    integer: bool = False,
    low_open: bool = False,
    high_open: bool = False,
) -> None:
    """Raise UsageError naming the argument, the rule and the value."""
    kind: Any = numbers.Integral if integer else numbers.Real
    good = isinstance(value, kind) and not isinstance(value, bool | np.bool_)
    if good:
        above = value > low if low_open else value >= low
        good = above and (value < high if high_open else value <= high)
    if not good:
        what = "an integer" if integer else "a number"
        rule = f"{'>' if low_open else '>='} {low:g}"
        if high != float("inf"):
            rule += f" and {'<' if high_open else '<='} {high:g}"
        raise UsageError(f"{name}: must be {what} {rule}, got {value!r}.")


def batch_size_for(batch_size: Any, n_rows: int) -> int:
    """Resolve ``"auto"``: a power of two near n / 64, from 16 to 256, so that small sets get
    enough steps an epoch and large ones full products."""
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise UsageError(f"batch_size: must be 'auto' or an integer, got {batch_size!r}.")
        return int(min(256, max(16, 2 ** round(np.log2(max(n_rows / 64, 1))))))
    check_number("batch_size", batch_size, low=1, integer=True)
    return min(int(batch_size), n_rows)
