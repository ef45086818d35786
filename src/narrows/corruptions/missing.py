"""Missing inputs: NaN is read as 0 and counts in no loss, and more are hidden in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator

from narrows.checks import check_number
from narrows.corruptions._emphasis import Emphasis
from narrows.corruptions.masking import masked
from narrows.slots import Corrupted, Rows

__all__ = ["Missing"]


@dataclass(frozen=True)
class Missing(Emphasis):
    """x may hold NaN: x~_j = 0 there, and with probability ``rate`` among the known x_j too.

    The loss counts the known entries only, the hidden ones with them, so that the net learns to
    fill in. 0 is the mean of a standardised feature. Shape (batch, features) in and out. Where
    scaling or a linear baseline is fitted, the mean of the known entries stands in.

    Raises
    ------
    UsageError
        If ``rate`` is outside [0, 1), or a weight is negative.

    References
    ----------
    Gondara, Wang (2018), "MIDA: multiple imputation using denoising autoencoders", PAKDD.
    """

    admits_missing: ClassVar[bool] = True

    rate: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("Missing: rate", self.rate, low=0, high=1, high_open=True)

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted:
        return self._corrupted(*masked(x, self.rate, generator=generator))
