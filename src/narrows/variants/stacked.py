"""Stacked autoencoder: each layer is pretrained on the one below, then all are trained together.

Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), "Stacked denoising autoencoders: learning
useful representations in a deep network with a local denoising criterion", JMLR 11; with
Boltzmann machines as layers Hinton, Salakhutdinov (2006), Science 313.

    encoder   dense           layers that were pretrained one by one    <- the initial weights
    decoder   tied | dense    their transposes, tied throughout or only initially
"""

from __future__ import annotations

from typing import Any

from narrows.core.objective import Objective
from narrows.variants.plain import plain
from narrows.variants.tied import tied as tied_variant

__all__ = ["stacked"]


def stacked(*, activation: str = "sigmoid", tied: bool = True, **given: Any) -> Objective:
    """``given`` goes to ``tied`` or ``plain``."""
    build = tied_variant if tied else plain
    return build(activation=activation, **given)
