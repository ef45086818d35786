"""Plain autoencoder: a dense encoder and its mirror as decoder, each with its own weights.

Rumelhart, Hinton, Williams (1986), "Learning internal representations by error propagation",
in Parallel Distributed Processing, vol. 1.

    corrupt   identity        x~ = x, unless another is named
    encoder   dense           n_features -> hidden -> n_components
    decoder   dense           n_components -> hidden, reversed -> n_features
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import DenseDecoder
from narrows.encoders import DenseEncoder
from narrows.variants.specs import assemble, decoder_or, encoder_or

__all__ = ["plain"]


def plain(
    *,
    n_features: int,
    n_components: int,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    code_activation: str = "linear",
    row_length: float | None = None,
    linear_path: bool = False,
    encoder: Any = None,
    decoder: Any = None,
    generator: Generator,
    **slots: Any,
) -> Objective:
    """``row_length`` goes to ``DenseEncoder``, ``slots`` to ``assemble``."""
    widths = [n_features, *hidden, n_components]
    made: dict[str, Any] = {
        "activation": activation, "linear_path": linear_path, "generator": generator
    }  # fmt: skip

    def dense_encoder() -> DenseEncoder:
        return DenseEncoder(widths, code_activation=code_activation, row_length=row_length, **made)

    def dense_decoder() -> DenseDecoder:
        return DenseDecoder(widths[::-1], **made)

    return assemble(
        encoder_or(encoder, n_components, dense_encoder),
        decoder_or(decoder, dense_decoder),
        n_components=n_components,
        code_activation=code_activation if encoder is None else None,
        generator=generator,
        **slots,
    )
