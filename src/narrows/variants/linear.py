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

from narrows.core.objective import Objective
from narrows.variants.plain import plain

__all__ = ["linear"]


def linear(**given: Any) -> Objective:
    """``given`` goes to ``plain``."""
    return plain(hidden=(), activation="linear", **given)
