"""The slots that a variant does not choose itself, from their specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Generator

from narrows.core.pieces import piece_from_spec
from narrows.corruptions import CORRUPTIONS
from narrows.errors import UsageError
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES

__all__ = ["Spec", "pieces"]

Spec = str | Mapping[str, Any]
"""A piece's name, or its name and fields: JSON values."""


def pieces(
    *,
    loss: Spec,
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    n_components: int,
    code_activation: str = "linear",
    generator: Generator,
) -> dict[str, Any]:
    """Return the keyword arguments of Objective for these three slots.

    Raises
    ------
    UsageError
        If a penalty needs another activation of the code.
    """
    omegas = []
    for spec in penalties:
        penalty = piece_from_spec(PENALTIES, spec, slot="penalties")
        needed = getattr(penalty, "code_activation", code_activation)
        if needed != code_activation:
            raise UsageError(
                f"penalties: {type(penalty).__name__} needs code_activation={needed!r}, "
                f"got {code_activation!r}."
            )
        if hasattr(penalty, "bind"):  # it has weights of its own
            penalty = penalty.bind(n_components, generator=generator)
        omegas.append(penalty)
    return {
        "corruption": piece_from_spec(CORRUPTIONS, corruption, slot="corruption"),
        "loss": piece_from_spec(LOSSES, loss, slot="loss"),
        "penalties": omegas,
    }
