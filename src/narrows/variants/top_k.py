"""Top-k autoencoder: at most k numbers of every code are not 0.

Makhzani, Frey (2014), "k-sparse autoencoders", ICLR.

    encoder   top-k           the k largest stay      <- the only slot that differs from plain
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import DenseDecoder
from narrows.encoders import TopKEncoder
from narrows.variants.specs import Spec, slots_from_specs

__all__ = ["top_k"]


def top_k(
    *,
    n_features: int,
    n_components: int,
    k: int = 8,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    loss: Spec = "squared_error",
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    generator: Generator,
) -> Objective:
    widths = [n_features, *hidden, n_components]
    return Objective(
        encoder=TopKEncoder(widths, k=k, activation=activation, generator=generator),
        decoder=DenseDecoder(widths[::-1], activation=activation, generator=generator),
        **slots_from_specs(
            loss=loss,
            corruption=corruption,
            penalties=penalties,
            n_components=n_components,
            generator=generator,
        ),
    )
