"""Build the slots that users choose in any variant: corruption, loss and penalties."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Generator

from narrows.core.pieces import piece_from_spec
from narrows.corruptions import CORRUPTIONS
from narrows.errors import UsageError
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES

__all__ = ["Spec", "slots_from_specs"]

Spec = str | Mapping[str, Any]
"""A piece as JSON values: its name, or its name and fields."""


def slots_from_specs(
    *,
    loss: Spec,
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    n_components: int,
    code_activation: str = "linear",
    generator: Generator,
) -> dict[str, Any]:
    """Return the keyword arguments of ``Objective`` for these three slots.

    Raises
    ------
    UsageError
        If a piece is unknown, or a penalty needs another activation of the code.

    Examples
    --------
    >>> slots = slots_from_specs(
    ...     loss="bernoulli", penalties=["l1:0.1"], n_components=2, generator=Generator()
    ... )
    >>> slots["loss"], slots["penalties"]
    (Bernoulli(), [L1(weight=0.1)])
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
        if hasattr(penalty, "bind"):  # it has parameters of its own
            penalty = penalty.bind(n_components, generator=generator)
        omegas.append(penalty)
    return {
        "corruption": piece_from_spec(CORRUPTIONS, corruption, slot="corruption"),
        "loss": piece_from_spec(LOSSES, loss, slot="loss"),
        "penalties": omegas,
    }
