"""Document autoencoder: shares of words through a narrow code and a softmax.

Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
Science 313.

    corrupt   identity | masking          drops words
    encoder   dense, sparse-native        reads the direction of a row, not its length
    decoder   dense
    loss      multinomial                 a row is a distribution over words
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.variants._pieces import Spec
from narrows.variants.plain import plain

__all__ = ["document"]

ROW_LENGTH = 100.0
"""Adam moves every weight by about its rate a step: rows this long make the first layer, of which
a document meets a few dozen rows in thousands, learn as fast as the others."""


def document(
    *,
    n_features: int,
    n_components: int,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    code_activation: str = "linear",
    loss: Spec = "multinomial",
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    generator: Generator,
) -> Objective:
    return plain(
        n_features=n_features,
        n_components=n_components,
        hidden=hidden,
        activation=activation,
        code_activation=code_activation,
        loss=loss,
        corruption=corruption,
        penalties=penalties,
        row_length=ROW_LENGTH,
        generator=generator,
    )
