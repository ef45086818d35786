"""Revival of dead units: they learn from what the others could not rebuild."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward, dense_rows
from narrows.core.terms import mean_of_features, mean_over_rows
from narrows.encoders.top_k import TopKEncoder
from narrows.errors import UsageError

__all__ = ["Revive"]


@dataclass(frozen=True)
class Revive:
    """Omega = weight * V * mean of ||e - z_dead D||^2 / mean of ||e||^2, e = x - g(h) held fixed.

    z_dead holds the ``k`` largest drives, negative ones too, of the units that have not been in
    a code for ``after`` training rows; D is the decoder's matrix; means and the variance V of x
    are the batch's, so that the force does not fade as e gets small. Unit: squared units of the
    scaled features. 0 where no unit is dead. For a top-k code and a decoder of one layer.

    Raises
    ------
    UsageError
        If a number is out of range, or the net is another.

    References
    ----------
    Gao et al. (2024), "Scaling and evaluating sparse autoencoders", appendix A.2.
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
        # not relu: a dead unit is mostly negative, and must have a slope there
        values = torch.where(values == -torch.inf, 0.0, values)
        of_dead = torch.zeros_like(preactivation).scatter(1, places, values)
        x = dense_rows(step.x)
        left = (x - step.output).detach()
        errors = (left - of_dead @ step.decoder.weights[0]).square().sum(dim=1)
        around_mean = (x - mean_of_features(x, step.weights)).square().sum(dim=1)
        error, spread, of_rest = (
            mean_over_rows(each, step.weights)
            for each in (errors, around_mean, left.square().sum(dim=1))
        )
        share = error / of_rest.clamp_min(1e-12)
        return self.weight * spread * share * dead.any()
