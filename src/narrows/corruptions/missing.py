"""Missing inputs: NaN is read as 0 and counts in no loss, and more are hidden in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from narrows.corruptions.masking import Masking

__all__ = ["Missing"]


@dataclass(frozen=True)
class Missing(Masking):
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
