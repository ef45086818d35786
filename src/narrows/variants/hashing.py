"""Hashing autoencoder: a code of bits, the address of a row in a table.

Salakhutdinov, Hinton (2009), "Semantic hashing", International Journal of Approximate Reasoning 50.

    corrupt   identity | masking
    encoder   binary, sparse-native       noise on the code drives it to bits, a group at a time
    decoder   dense
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Generator

from narrows.core.objective import Objective
from narrows.core.pieces import name_of
from narrows.decoders import DenseDecoder
from narrows.encoders import BinaryEncoder
from narrows.variants.document import row_length
from narrows.variants.specs import Spec, assemble, decoder_or

__all__ = ["hashing"]


def hashing(
    *,
    n_features: int,
    n_components: int,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    linear_path: bool = False,
    binarization: str = "noise",
    noise: float = 1.0,
    n_groups: int = 1,
    bag_of_words: bool | None = None,
    loss: Spec = "squared_error",
    decoder: Any = None,
    generator: Generator,
    **slots: Any,
) -> Objective:
    """With ``bag_of_words`` the encoder reads the direction of a row, not its length.

    None turns this on if the loss is multinomial. ``slots`` go to ``assemble``.
    """
    if bag_of_words is None:
        bag_of_words = name_of(loss) == "multinomial"
    encoder = BinaryEncoder(
        [n_features, *hidden, n_components],
        activation=activation,
        binarization=binarization,
        noise=noise,
        n_groups=n_groups,
        row_length=row_length(hidden, linear_path) if bag_of_words else None,
        linear_path=linear_path and bool(hidden),
        turns=linear_path and bag_of_words,
        generator=generator,
    )

    def one_matrix() -> DenseDecoder:
        # from bits to logits: each bit is then a direction, and near codes are near rows. With
        # code_scale 1 it learned too fast, with 1 / n_groups too slowly.
        widths, scale = [n_components, n_features], n_groups**-0.5
        return DenseDecoder(widths, activation="linear", code_scale=scale, generator=generator)

    return assemble(
        encoder,
        decoder_or(decoder, one_matrix),
        loss=loss,
        n_components=n_components,
        generator=generator,
        **slots,
    )
