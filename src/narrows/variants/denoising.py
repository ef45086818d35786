"""Denoising autoencoder: reconstructs the clean row from a corrupted one.

Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), "Stacked denoising autoencoders: learning
useful representations in a deep network with a local denoising criterion", JMLR 11.

    corrupt   masking         a quarter of the features at 0    <- the only slot that differs
"""

from __future__ import annotations

from typing import Any

from narrows.core.objective import Objective
from narrows.variants.plain import plain
from narrows.variants.specs import Spec
from narrows.variants.tied import tied as tied_variant

__all__ = ["denoising"]


def denoising(*, corruption: Spec = "masking", tied: bool = False, **given: Any) -> Objective:
    """``given`` goes to ``tied`` or ``plain``."""
    build = tied_variant if tied else plain
    return build(corruption=corruption, **given)
