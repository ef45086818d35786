"""Build the slots that users choose in any variant, and put an objective together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Generator

from narrows.core.custom_pieces import adapted
from narrows.core.objective import Objective
from narrows.core.pieces import piece_from_spec
from narrows.core.slots import Decoder, Encoder
from narrows.corruptions import CORRUPTIONS
from narrows.errors import UsageError
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES

__all__ = ["Spec", "assemble", "decoder_or", "encoder_or"]

Spec = Any
"""A piece as JSON values, its name or its name and fields, or a user's own piece."""


def encoder_or(
    own: Any, n_components: int, default: Callable[[], Encoder], *, stochastic: bool = False
) -> Encoder:
    """Return a user's encoder, or the variant's where there is none.

    A ``stochastic`` one returns a posterior, from which its codes are drawn in training.
    """
    if own is None:
        return default()
    return adapted("encoder", own, n_components=n_components, stochastic=stochastic)


def decoder_or(own: Any, default: Callable[[], Decoder]) -> Decoder:
    """Return a user's decoder, or the variant's where there is none."""
    return default() if own is None else adapted("decoder", own)


def assemble(
    encoder: Encoder,
    decoder: Decoder,
    *,
    n_components: int,
    generator: Generator,
    code_activation: str | None = "linear",
    loss: Spec = "squared_error",
    corruption: Spec = "identity",
    penalties: Sequence[Spec] = (),
) -> Objective:
    """Return the objective of five pieces, three of them given as specs.

    ``code_activation`` is what penalties that need one are checked against; None of a user's
    encoder, which keeps to its penalties by itself.

    Raises
    ------
    UsageError
        If a piece is unknown, or a penalty needs another activation of the code.

    Examples
    --------
    >>> from narrows.decoders import DenseDecoder
    >>> from narrows.encoders import DenseEncoder
    >>> made = {"activation": "linear", "generator": Generator().manual_seed(0)}
    >>> net = assemble(
    ...     DenseEncoder([3, 2], **made), DenseDecoder([2, 3], **made), loss="bernoulli",
    ...     penalties=["l1:0.1"], n_components=2, generator=made["generator"],
    ... )
    >>> net.loss, net.penalties
    (Bernoulli(), [L1(weight=0.1)])
    """
    omegas = []
    for spec in penalties:
        penalty = piece_from_spec(PENALTIES, spec, slot="penalties")
        needed = getattr(penalty, "code_activation", code_activation)
        if code_activation is not None and needed != code_activation:
            raise UsageError(
                f"penalties: {type(penalty).__name__} needs code_activation={needed!r}, "
                f"got {code_activation!r}."
            )
        if hasattr(penalty, "bind"):  # it has parameters of its own
            penalty = penalty.bind(n_components, generator=generator)
        omegas.append(penalty)
    return Objective(
        encoder=encoder,
        decoder=decoder,
        corruption=piece_from_spec(CORRUPTIONS, corruption, slot="corruption"),
        loss=piece_from_spec(LOSSES, loss, slot="loss"),
        penalties=omegas,
    )
