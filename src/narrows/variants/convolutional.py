"""Convolutional autoencoder: ever smaller maps of an image, and back.

Masci, Meier, Ciresan, Schmidhuber (2011), "Stacked convolutional auto-encoders for hierarchical
feature extraction", ICANN.

    encoder   convolutional   stages that halve the image, then dense or gaussian
    decoder   convolutional   the same stages mirrored
    penalty   none | beta * KL(q(h | x) || N(0, 1))    <- with a beta it is variational
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from torch import Generator

from narrows.core.convolution import checked_shape, sides
from narrows.core.objective import Objective
from narrows.decoders import ConvolutionalDecoder
from narrows.encoders import ConvolutionalEncoder, DenseEncoder, GaussianEncoder
from narrows.variants.specs import Spec, assemble, decoder_or

__all__ = ["convolutional"]


def convolutional(
    *,
    n_features: int,
    n_components: int,
    image_shape: Sequence[int],
    channels: Sequence[int] = (32, 64, 128),
    blocks: int = 0,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    code_activation: str = "linear",
    linear_path: bool = False,
    beta: float | None = None,
    penalties: Sequence[Spec] = (),
    decoder: Any = None,
    generator: Generator,
    **slots: Any,
) -> Objective:
    """With ``beta`` None the code is not random; ``hidden`` are widths between maps and code.

    ``slots`` go to ``assemble``.
    """
    shape = checked_shape(image_shape, n_features)
    last = sides(*shape[:2], len(channels))[-1]
    widths = [math.prod(last) * channels[-1], *hidden, n_components]
    made: dict[str, Any] = {"activation": activation, "generator": generator}
    if beta is None:
        top = DenseEncoder(widths, code_activation=code_activation, **made)
    else:
        top = GaussianEncoder(widths, **made)
        penalties = [*penalties, {"name": "kl_to_prior", "weight": beta}]
    maps = {"channels": channels, "blocks": blocks, "linear_path": linear_path, **made}

    def mirrored() -> ConvolutionalDecoder:
        return ConvolutionalDecoder(shape, widths=widths[:0:-1], **maps)

    return assemble(
        ConvolutionalEncoder(shape, top=top, **maps),
        decoder_or(decoder, mirrored),
        penalties=penalties,
        n_components=n_components,
        code_activation=code_activation,
        generator=generator,
        **slots,
    )
