"""The slots that a variant does not choose itself, from their specs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from narrows.corruptions import CORRUPTIONS
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES
from narrows.slots import piece_from_spec

__all__ = ["Spec", "pieces"]

Spec = str | Mapping[str, Any]
"""A piece's name, or its name and fields: JSON values."""


def pieces(
    *, loss: Spec, corruption: Spec = "identity", penalties: Sequence[Spec] = ()
) -> dict[str, Any]:
    """Return the keyword arguments of Objective for these three slots."""
    return {
        "corruption": piece_from_spec(CORRUPTIONS, corruption, slot="corruption"),
        "loss": piece_from_spec(LOSSES, loss, slot="loss"),
        "penalties": [piece_from_spec(PENALTIES, spec, slot="penalties") for spec in penalties],
    }
