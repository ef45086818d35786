"""Variational autoencoder: codes of a known density, so that the decoder alone generates rows.

Kingma, Welling (2014), "Auto-encoding variational Bayes", ICLR; beta other than 1: Higgins et al.
(2017), "beta-VAE: learning basic visual concepts with a constrained variational framework", ICLR.

    encoder   gaussian        a mean and a variance for every component of the code
    decoder   dense           p(x | h)
    penalty   beta * KL(q(h | x) || N(0, 1))    <- with a loss in nats, J >= - log p(x)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Generator

from narrows.core.objective import Objective
from narrows.decoders import DenseDecoder
from narrows.encoders import GaussianEncoder
from narrows.variants.specs import Spec, assemble, decoder_or, encoder_or

__all__ = ["variational"]


def variational(
    *,
    n_features: int,
    n_components: int,
    beta: float = 1.0,
    hidden: Sequence[int] = (),
    activation: str = "silu",
    linear_path: bool = False,
    loss: Spec = "bernoulli",
    penalties: Sequence[Spec] = (),
    encoder: Any = None,
    decoder: Any = None,
    generator: Generator,
    **slots: Any,
) -> Objective:
    """``slots`` go to ``assemble``."""
    widths = [n_features, *hidden, n_components]
    made: dict[str, Any] = {
        "activation": activation, "linear_path": linear_path, "generator": generator
    }  # fmt: skip
    return assemble(
        encoder_or(encoder, n_components, lambda: GaussianEncoder(widths, **made), stochastic=True),
        decoder_or(decoder, lambda: DenseDecoder(widths[::-1], **made)),
        loss=loss,
        penalties=[{"name": "kl_to_prior", "weight": beta}, *penalties],
        n_components=n_components,
        generator=generator,
        **slots,
    )
