"""Deep tied autoencoder: the decoder's weights are the encoder's, transposed.

Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
Science 313. There the weights are tied only at the start of fine-tuning; here they stay tied.

    decoder   tied            W_k^T, ..., W_1^T      <- the only slot that differs from plain
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import TiedDecoder
from narrows.encoders import DenseEncoder
from narrows.variants.specs import Spec, slots_from_specs

__all__ = ["tied"]


def tied(
    *,
    n_features: int,
    n_components: int,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    code_activation: str = "linear",
    loss: Spec = "squared_error",
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    generator: Generator,
) -> Objective:
    encoder = DenseEncoder(
        [n_features, *hidden, n_components],
        activation=activation,
        code_activation=code_activation,
        generator=generator,
    )
    return Objective(
        encoder=encoder,
        decoder=TiedDecoder(encoder, activation=activation),
        **slots_from_specs(
            loss=loss,
            corruption=corruption,
            penalties=penalties,
            n_components=n_components,
            code_activation=code_activation,
            generator=generator,
        ),
    )
