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
from typing import Any

from narrows.core.objective import Objective
from narrows.variants.plain import plain
from narrows.variants.specs import Spec
from narrows.variants.tied import tied

__all__ = ["contractive"]


def contractive(
    *,
    weight: float = 0.1,
    gamma: float = 0.0,
    sigma: float = 0.1,
    method: str = "auto",
    activation: str = "sigmoid",
    penalties: Sequence[Spec] = (),
    encoder: Any = None,
    decoder: Any = None,
    **given: Any,
) -> Objective:
    """``given`` goes to ``tied``, or to ``plain`` with an encoder or decoder of your own."""
    penalty: Spec = {"name": "contractive", "weight": weight, "method": method}
    if gamma:
        penalty = {**penalty, "name": "higher_order_contractive", "gamma": gamma, "sigma": sigma}
    given |= {
        "activation": activation,
        "code_activation": "sigmoid",
        "penalties": [penalty, *penalties],
    }
    if encoder is None and decoder is None:
        return tied(**given)
    return plain(encoder=encoder, decoder=decoder, **given)
