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
from narrows.variants.document import ROW_LENGTH
from narrows.variants.specs import Spec, slots_from_specs

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
    """With ``bag_of_words`` the encoder reads the direction of a row, not its length.

    None turns this on if the loss is multinomial.
    """
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
        # one matrix from bits to logits: each bit is then a direction, and near codes are near
        # rows. With code_scale 1 it learned too fast, with 1 / n_groups too slowly.
        decoder=DenseDecoder(
            [n_components, n_features],
            activation="linear",
            code_scale=n_groups**-0.5,
            generator=generator,
        ),
        **slots_from_specs(
            loss=loss,
            corruption=corruption,
            penalties=penalties,
            n_components=n_components,
            generator=generator,
        ),
    )
