"""Plain autoencoder: a dense encoder and its mirror as decoder, each with its own weights.

Rumelhart, Hinton, Williams (1986), "Learning internal representations by error propagation",
in Parallel Distributed Processing, vol. 1.

    corrupt   identity        x~ = x, unless another is named
    encoder   dense           n_features -> hidden -> n_components
    decoder   dense           n_components -> hidden, reversed -> n_features
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import DenseDecoder
from narrows.encoders import DenseEncoder
from narrows.variants.specs import Spec, slots_from_specs

__all__ = ["plain"]


def plain(
    *,
    n_features: int,
    n_components: int,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    code_activation: str = "linear",
    loss: Spec = "squared_error",
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    row_length: float | None = None,
    generator: Generator,
) -> Objective:
    """``row_length`` goes to ``DenseEncoder``."""
    widths = [n_features, *hidden, n_components]
    return Objective(
        encoder=DenseEncoder(
            widths,
            activation=activation,
            code_activation=code_activation,
            row_length=row_length,
            generator=generator,
        ),
        decoder=DenseDecoder(widths[::-1], activation=activation, generator=generator),
        **slots_from_specs(
            loss=loss,
            corruption=corruption,
            penalties=penalties,
            n_components=n_components,
            code_activation=code_activation,
            generator=generator,
        ),
    )
