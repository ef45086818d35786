"""L1 penalty on the code: few units active at a time."""

from __future__ import annotations

from dataclasses import dataclass

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.terms import mean_over_rows

__all__ = ["L1"]


@dataclass(frozen=True)
class L1:
    """Omega = weight * mean over the batch of sum_j |h_j|.

    Unit: that of the loss, ``weight`` being loss units per unit of code. The code is linear
    unless the encoder says otherwise, so the penalty shrinks it towards 0.

    Raises
    ------
    UsageError
        If ``weight`` is negative.

    References
    ----------
    Ranzato, Poultney, Chopra, LeCun (2007), "Efficient learning of sparse representations with
    an energy-based model", NIPS.
    """

    weight: float = 1e-3

    def __post_init__(self) -> None:
        check_number("L1: weight", self.weight, low=0)

    def __call__(self, step: Forward) -> Scalar:
        return self.weight * mean_over_rows(step.code.h.abs().sum(dim=1), step.weights)
