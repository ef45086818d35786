"""Linear autoencoder: two matrices, without a hidden layer.

With squared error its best subspace is that of PCA; with the Bernoulli loss it is logistic PCA.

Baldi, Hornik (1989), "Neural networks and principal component analysis: learning from examples
without local minima", Neural Networks 2.
Schein, Saul, Ungar (2003), "A generalized linear model for principal component analysis of
binary data", AISTATS.

    encoder   dense           one linear layer
    decoder   dense           one linear layer; the loss owns the link
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.variants.plain import plain
from narrows.variants.specs import Spec

__all__ = ["linear"]


def linear(
    *,
    n_features: int,
    n_components: int,
    loss: Spec = "squared_error",
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    generator: Generator,
) -> Objective:
    return plain(
        n_features=n_features,
        n_components=n_components,
        hidden=(),
        activation="linear",
        loss=loss,
        corruption=corruption,
        penalties=penalties,
        generator=generator,
    )
