"""Vector-quantized autoencoder: each part of the code is one of a few learned vectors.

Van den Oord, Vinyals, Kavukcuoglu (2017), "Neural discrete representation learning", NIPS.

    encoder   quantized       the nearest entry of a codebook, part by part
    penalty   commitment      <- trains the entries; f learns straight through them
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import DenseDecoder
from narrows.encoders import QuantizedEncoder
from narrows.variants.specs import Spec, slots_from_specs

__all__ = ["vector_quantized"]


def vector_quantized(
    *,
    n_features: int,
    n_components: int,
    n_groups: int = 1,
    n_entries: int = 64,
    commitment: float = 0.25,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    loss: Spec = "squared_error",
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    generator: Generator,
) -> Objective:
    widths = [n_features, *hidden, n_components]
    return Objective(
        encoder=QuantizedEncoder(
            widths,
            n_groups=n_groups,
            n_entries=n_entries,
            activation=activation,
            generator=generator,
        ),
        decoder=DenseDecoder(widths[::-1], activation=activation, generator=generator),
        **slots_from_specs(
            loss=loss,
            corruption=corruption,
            penalties=[{"name": "commitment", "weight": commitment}, *penalties],
            n_components=n_components,
            generator=generator,
        ),
    )
