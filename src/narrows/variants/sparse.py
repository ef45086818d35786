"""Sparse autoencoder: few units of the code are active at a time.

Ranzato, Poultney, Chopra, LeCun (2007), "Efficient learning of sparse representations with an
energy-based model", NIPS; Lee, Ekanadham, Ng (2008), "Sparse deep belief net model for visual
area V2", NIPS.

    encoder   dense           a code that can be 0: relu for L1, sigmoid for KL sparsity
    penalty   l1 or kl        <- the slot that makes it sparse
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from narrows.core.objective import Objective
from narrows.errors import unknown_name
from narrows.variants.plain import plain
from narrows.variants.specs import Spec

__all__ = ["sparse"]


def sparse(
    *,
    sparsity: str = "l1",
    weight: float = 1e-3,
    target: float = 0.05,
    penalties: Sequence[Spec] = (),
    **given: Any,
) -> Objective:
    """``given`` goes to ``plain``."""
    omegas: dict[str, Spec] = {
        "l1": {"name": "l1", "weight": weight},
        "kl": {"name": "kl_sparsity", "weight": weight, "target": target},
    }
    if sparsity not in omegas:
        raise unknown_name("sparsity", sparsity, omegas)
    return plain(
        code_activation="relu" if sparsity == "l1" else "sigmoid",
        penalties=[omegas[sparsity], *penalties],
        **given,
    )
