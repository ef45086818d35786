"""Hashing autoencoder: a code of bits, the address of a row in a table.

Salakhutdinov, Hinton (2009), "Semantic hashing", International Journal of Approximate Reasoning 50.

    corrupt   identity | masking
    encoder   binary, sparse-native       noise on the code drives it to bits, a group at a time
    decoder   dense
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.core.pieces import name_of
from narrows.decoders import DenseDecoder
from narrows.encoders import BinaryEncoder
from narrows.variants._pieces import Spec, pieces
from narrows.variants.document import ROW_LENGTH

__all__ = ["hashing"]


def hashing(
    *,
    n_features: int,
    n_components: int,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    binarization: str = "noise",
    noise: float = 1.0,
    n_groups: int = 1,
    bag_of_words: bool | None = None,
    loss: Spec = "squared_error",
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    generator: Generator,
) -> Objective:
    """``bag_of_words`` has the encoder read a row's direction, not its length; None: where the loss
    is multinomial."""
    if bag_of_words is None:
        bag_of_words = name_of(loss) == "multinomial"
    widths = [n_features, *hidden, n_components]
    return Objective(
        encoder=BinaryEncoder(
            widths,
            activation=activation,
            binarization=binarization,
            noise=noise,
            n_groups=n_groups,
            row_length=ROW_LENGTH if bag_of_words else None,
            generator=generator,
        ),
        # one matrix from bits to logits: what a bit means is then a direction, and near codes
        # are near rows; to the full strength of a lone group it learned too fast, to the n-th
        # part of it too slowly
        decoder=DenseDecoder(
            [n_components, n_features],
            activation="linear",
            code_scale=n_groups**-0.5,
            generator=generator,
        ),
        **pieces(
            loss=loss,
            corruption=corruption,
            penalties=penalties,
            n_components=n_components,
            generator=generator,
        ),
    )
