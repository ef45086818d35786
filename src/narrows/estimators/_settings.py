"""From what a user wrote in a constructor to values that the lower ranks take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from narrows.checks import check_number
from narrows.corruptions import CORRUPTIONS
from narrows.errors import UsageError
from narrows.slots import piece_from_spec, piece_to_spec

__all__ = [
    "batch_size_for",
    "corruption_spec",
    "epochs_of_steps",
    "forget",
    "keep",
    "seed_from",
    "spec_of",
    "specs_of",
    "widths_of",
]


def keep(estimator: Any, arguments: Mapping[str, Any]) -> None:
    """Set what a constructor was given, as it was given: scikit-learn's rule for constructors."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def forget(estimator: Any) -> None:
    """Drop what an earlier fit set: a fit that fails leaves nothing half replaced."""
    for name in [*vars(estimator)]:
        if name == "_trainer" or (name.endswith("_") and not name.startswith("_")):
            delattr(estimator, name)


def seed_from(random_state: Any) -> int:
    """Return a seed; None draws one from NumPy's global state, as in scikit-learn."""
    try:
        return int(check_random_state(random_state).randint(2**31 - 2))
    except ValueError as error:
        raise UsageError(f"random_state: {error}.") from None


def spec_of(table: Mapping[str, Any], value: Any, *, slot: str) -> dict[str, Any]:
    """Return the spec of a piece given as a name, a spec or an instance; check its values."""
    if isinstance(value, str | Mapping):
        value = piece_from_spec(table, value, slot=slot)
    if isinstance(value, type):
        raise UsageError(f"{slot}: give an instance, {value.__name__}(), not the class itself.")
    try:
        return piece_to_spec(table, value)
    except UsageError as error:
        raise UsageError(f"{slot}: {error}") from None


def corruption_spec(value: Any) -> dict[str, Any]:
    """Return the spec of a corruption given as ``spec_of`` takes it; None and "none" mean none."""
    none = value is None or (isinstance(value, str) and value == "none")
    return spec_of(CORRUPTIONS, "identity" if none else value, slot="corruption")


def specs_of(table: Mapping[str, Any], values: Any, *, slot: str) -> list[dict[str, Any]]:
    """Return the specs of a sequence of pieces, of one piece, or of None."""
    if values is None:
        return []
    if not isinstance(values, Sequence) or isinstance(values, str):
        values = [values]
    return [spec_of(table, value, slot=slot) for value in values]


def batch_size_for(batch_size: Any, n_rows: int) -> int:
    """Resolve ``"auto"``: a power of two near n / 64, from 16 to 256, so that small sets get
    enough steps an epoch and large ones full products."""
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise UsageError(f"batch_size: must be 'auto' or an integer, got {batch_size!r}.")
        return int(min(256, max(16, 2 ** round(np.log2(max(n_rows / 64, 1))))))
    check_number("batch_size", batch_size, low=1, integer=True)
    return min(int(batch_size), n_rows)


def epochs_of_steps(least: int, an_epoch: int, *, most: int) -> int:
    """Return how many epochs make ``least`` steps, from 50 to ``most``."""
    return min(most, max(50, -(-least // an_epoch)))


def widths_of(widths: Any, name: str = "hidden") -> list[int]:
    """Return widths as a list of integers; ``name`` is the argument's."""
    if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
        raise UsageError(
            f"{name}: must be a sequence of widths, such as (512, 256), got {widths!r}."
        )
    for width in widths:
        check_number(name, width, low=1, integer=True)
    return [int(width) for width in widths]
