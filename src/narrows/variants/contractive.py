"""Contractive autoencoder: a code that barely moves when the input moves.

Rifai, Vincent, Muller, Glorot, Bengio (2011), "Contractive auto-encoders: explicit invariance
during feature extraction", ICML; with gamma > 0 Rifai, Mesnil, Vincent, Muller, Bengio, Dauphin,
Glorot (2011), "Higher order contractive auto-encoder", ECML PKDD.

    encoder   dense           a sigmoid code; one layer in the papers
    decoder   tied            W^T
    penalty   contractive     weight * ||J(x)||^2 + gamma * ||J(x) - J(x + e)||^2    <- contracts
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows.core.objective import Objective
from narrows.variants.specs import Spec
from narrows.variants.tied import tied

__all__ = ["contractive"]


def contractive(
    *,
    n_features: int,
    n_components: int,
    weight: float = 0.1,
    gamma: float = 0.0,
    sigma: float = 0.1,
    method: str = "auto",
    hidden: Sequence[int] = (),
    activation: str = "sigmoid",
    loss: Spec = "squared_error",
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
    generator: Generator,
) -> Objective:
    penalty: Spec = {"name": "contractive", "weight": weight, "method": method}
    if gamma:
        penalty = {**penalty, "name": "higher_order_contractive", "gamma": gamma, "sigma": sigma}
    return tied(
        n_features=n_features,
        n_components=n_components,
        hidden=hidden,
        activation=activation,
        code_activation="sigmoid",
        loss=loss,
        corruption=corruption,
        penalties=[penalty, *penalties],
        generator=generator,
    )
