"""Revive dead units: train them on the error that the active units leave."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.sparse import dense_rows
from narrows.core.weights import mean_of_features, mean_over_rows
from narrows.encoders.top_k import TopKEncoder
from narrows.errors import UsageError

__all__ = ["Revive"]


@dataclass(frozen=True)
class Revive:
    """Omega = weight * V * mean of ||e - z_dead D||^2 / mean of ||e||^2, e = x - g(h) held fixed.

    z_dead holds the ``k`` largest preactivations, negative ones too, of the dead units: those that
    no code has used for ``after`` training rows. D is the decoder's matrix; the means and the
    variance V of x are over the batch, so that the penalty does not fade as e gets small. Unit:
    squared units of the scaled features; 0 if no unit is dead. For a top-k code and a decoder of
    one layer only. Cost: O(batch x components x features), a second decoding.

    Raises
    ------
    UsageError
        If a number is out of range; in use, if the encoder or the decoder is another.

    References
    ----------
    Gao et al. (2024), "Scaling and evaluating sparse autoencoders", appendix A.2.

    Examples
    --------
    >>> import torch
    >>> from narrows import Revive
    >>> from narrows.core.slots import Forward
    >>> from narrows.decoders import UnitDecoder
    >>> from narrows.encoders import TopKEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = TopKEncoder([2, 3], k=1, activation="linear", generator=generator)
    >>> decoder = UnitDecoder(3, 2, generator=generator)
    >>> x = torch.randn(4, 2, generator=generator)
    >>> code = encoder(x)
    >>> step = Forward(x, x, code, decoder(code.h), encoder, decoder)
    >>> Revive()(step).item()  # no unit is dead yet
    0.0
    >>> _ = encoder.idle.fill_(20_000)
    >>> Revive()(step).item() > 0
    True
    """

    weight: float = 1 / 32
    k: int = 64
    after: int = 10_000

    def __post_init__(self) -> None:
        check_number("Revive: weight", self.weight, low=0)
        check_number("Revive: k", self.k, low=1, integer=True)
        check_number("Revive: after", self.after, low=1, integer=True)

    def __call__(self, step: Forward) -> Scalar:
        preactivation, encoder = step.code.preactivation, step.encoder
        if (
            preactivation is None
            or not isinstance(encoder, TopKEncoder)
            or len(step.decoder.weights) != 1
        ):
            raise UsageError("Revive: needs a top-k code and a decoder of one layer.")
        dead = encoder.idle > self.after
        masked = preactivation.masked_fill(~dead, -torch.inf)
        values, places = masked.topk(min(self.k, preactivation.shape[1]), dim=1, sorted=False)
        # no relu: a dead unit is mostly negative, and needs a gradient there
        values = torch.where(values == -torch.inf, 0.0, values)
        z_dead = torch.zeros_like(preactivation).scatter(1, places, values)
        x = dense_rows(step.x)
        residual = (x - step.output).detach()
        errors = (residual - z_dead @ step.decoder.weights[0]).square().sum(dim=1)
        centered = (x - mean_of_features(x, step.weights)).square().sum(dim=1)
        error, variance, residual_norm = (
            mean_over_rows(values, step.weights)
            for values in (errors, centered, residual.square().sum(dim=1))
        )
        share = error / residual_norm.clamp_min(1e-12)
        return self.weight * variance * share * dead.any()
