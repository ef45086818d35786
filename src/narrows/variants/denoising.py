"""Denoising autoencoder: reconstructs the clean row from a corrupted one.

Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), "Stacked denoising autoencoders: learning
useful representations in a deep network with a local denoising criterion", JMLR 11.

    corrupt   masking         a quarter of the features at 0    <- the only slot that differs
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.variants.plain import plain
from narrows.variants.specs import Spec
from narrows.variants.tied import tied as tied_variant

__all__ = ["denoising"]


def denoising(
    *,
    n_features: int,
    n_components: int,
    corruption: Spec = "masking",
    tied: bool = False,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    code_activation: str = "linear",
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
        corruption=corruption,
        penalties=penalties,
        generator=generator,
    )
