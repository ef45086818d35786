"""Deep tied autoencoder: the decoder's weights are the encoder's, transposed.

Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
Science 313. There the weights are tied only at the start of fine-tuning; here they stay tied.

    decoder   tied            W_k^T, ..., W_1^T      <- the only slot that differs from plain
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import TiedDecoder
from narrows.encoders import DenseEncoder
from narrows.errors import UsageError
from narrows.variants.specs import assemble

__all__ = ["tied"]


def tied(
    *,
    n_features: int,
    n_components: int,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    code_activation: str = "linear",
    linear_path: bool = False,
    encoder: Any = None,
    decoder: Any = None,
    generator: Generator,
    **slots: Any,
) -> Objective:
    """``slots`` go to ``assemble``.

    Raises
    ------
    UsageError
        If there is an encoder or a decoder of your own: neither has the other's weights.
    """
    if encoder is not None or decoder is not None:
        raise UsageError(
            "tied: the decoder's weights are a dense encoder's, transposed, and an encoder or "
            "decoder of your own has others; use tied=False."
        )
    dense = DenseEncoder(
        [n_features, *hidden, n_components],
        activation=activation,
        code_activation=code_activation,
        linear_path=linear_path,
        generator=generator,
    )
    return assemble(
        dense,
        TiedDecoder(dense, activation=activation),
        n_components=n_components,
        code_activation=code_activation,
        generator=generator,
        **slots,
    )
