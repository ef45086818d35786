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

from typing import Any

from torch import no_grad

from narrows.core.objective import Objective
from narrows.variants.plain import plain

__all__ = ["linear"]


_SMALL = 0.01
"""The encoder starts this much smaller than in other nets: what few rows leave unlearned, the
directions in which they do not vary, stays small."""


def linear(**given: Any) -> Objective:
    """``given`` goes to ``plain``."""
    objective = plain(hidden=(), activation="linear", **given)
    with no_grad():
        for weight in objective.encoder.weights:
            weight.mul_(_SMALL)
    return objective
