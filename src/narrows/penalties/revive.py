"""Revival of dead units: they learn from what the others could not rebuild."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from narrows._types import Scalar
from narrows.checks import check_number
from narrows.encoders.top_k import TopKEncoder, largest
from narrows.errors import UsageError
from narrows.slots import Forward, Rows, SparseRows

__all__ = ["Revive"]


@dataclass(frozen=True)
class Revive:
    """Omega = weight * mean over the batch of ||e - h_dead D||^2, e = x - g(h) held fixed.

    h_dead holds the ``k`` largest of the units that have not been in a code for ``after``
    training rows; D is the decoder's matrix. Unit: squared units of the scaled features. 0 where
    no unit is dead. For a top-k code and a decoder of one layer with squared error.

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
        drive, encoder = step.code.drive, step.encoder
        if drive is None or not isinstance(encoder, TopKEncoder) or len(step.decoder.weights) != 1:
            raise UsageError("Revive: needs a top-k code and a decoder of one layer.")
        dead = encoder.idle > self.after
        # a unit that is alive is never among the largest: relu takes its -inf to 0
        of_dead = largest(drive.masked_fill(~dead, -torch.inf), min(self.k, drive.shape[1]))
        unexplained = (_dense(step.x) - step.output).detach()
        error = (unexplained - of_dead @ step.decoder.weights[0]).square().sum(dim=1).mean()
        return self.weight * error * dead.any()


def _dense(x: Rows) -> torch.Tensor:
    return x.to_dense() if isinstance(x, SparseRows) else x
