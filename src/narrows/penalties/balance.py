"""Balance: every bit of a code is on in half of the rows."""

from __future__ import annotations

from dataclasses import dataclass

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.terms import mean_of_features

__all__ = ["Balance"]


@dataclass(frozen=True)
class Balance:
    """Omega = weight * sum_j (mean of h_j(x~) over the batch)^2: codes lie around 0.

    For bits of -1 and 1: a bit that is the same for all rows says nothing, one that halves them
    says most. Unit: that of the loss, squared code units times the weight.

    Raises
    ------
    UsageError
        If the weight is negative.

    References
    ----------
    Weiss, Torralba, Fergus (2008), "Spectral hashing", NIPS.
    """

    weight: float = 0.05

    def __post_init__(self) -> None:
        check_number("Balance: weight", self.weight, low=0)

    def __call__(self, step: Forward) -> Scalar:
        return self.weight * mean_of_features(step.code.h, step.weights).square().sum()
