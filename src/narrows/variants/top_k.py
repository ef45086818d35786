"""Top-k autoencoder: at most k numbers of every code are not 0.

Makhzani, Frey (2014), "k-sparse autoencoders", ICLR.

    encoder   top-k           the k largest stay      <- the only slot that differs from plain
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import DenseDecoder
from narrows.encoders import TopKEncoder
from narrows.variants.specs import assemble, decoder_or

__all__ = ["top_k"]


def top_k(
    *,
    n_features: int,
    n_components: int,
    k: int = 8,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    linear_path: bool = False,
    decoder: Any = None,
    generator: Generator,
    **slots: Any,
) -> Objective:
    """``slots`` go to ``assemble``."""
    widths = [n_features, *hidden, n_components]
    made: dict[str, Any] = {
        "activation": activation, "linear_path": linear_path, "generator": generator
    }  # fmt: skip
    return assemble(
        TopKEncoder(widths, k=k, **made),
        decoder_or(decoder, lambda: DenseDecoder(widths[::-1], **made)),
        n_components=n_components,
        generator=generator,
        **slots,
    )
