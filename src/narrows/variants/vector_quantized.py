"""Vector-quantized autoencoder: each part of the code is one of a few learned vectors.

Van den Oord, Vinyals, Kavukcuoglu (2017), "Neural discrete representation learning", NIPS.

    encoder   quantized       the nearest entry of a codebook, part by part
    penalty   commitment      <- trains the entries; f learns straight through them
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import DenseDecoder
from narrows.encoders import QuantizedEncoder
from narrows.variants.specs import Spec, assemble, decoder_or

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
    linear_path: bool = False,
    penalties: Sequence[Spec] = (),
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
        QuantizedEncoder(widths, n_groups=n_groups, n_entries=n_entries, **made),
        decoder_or(decoder, lambda: DenseDecoder(widths[::-1], **made)),
        penalties=[{"name": "commitment", "weight": commitment}, *penalties],
        n_components=n_components,
        generator=generator,
        **slots,
    )
