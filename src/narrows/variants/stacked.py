"""Stacked autoencoder: each layer is pretrained on the one below, then all are trained together.

Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), "Stacked denoising autoencoders: learning
useful representations in a deep network with a local denoising criterion", JMLR 11; with
Boltzmann machines as layers Hinton, Salakhutdinov (2006), Science 313.

    encoder   dense           a stack of earlier encoders    <- where training starts
    decoder   tied | dense    the stack's transposes, for good or at the start only
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.variants.plain import plain
from narrows.variants.specs import Spec
from narrows.variants.tied import tied as tied_variant

__all__ = ["stacked"]


def stacked(
    *,
    n_features: int,
    n_components: int,
    hidden: Sequence[int] = (),
    activation: str = "sigmoid",
    code_activation: str = "linear",
    tied: bool = True,
    loss: Spec = "squared_error",
    penalties: Sequence[Spec] = (),
    generator: Generator,
) -> Objective:
    build = tied_variant if tied else plain
    return build(
        n_features=n_features,
        n_components=n_components,
        hidden=hidden,
        activation=activation,
        code_activation=code_activation,
        loss=loss,
        penalties=penalties,
        generator=generator,
    )
