"""Missing inputs: NaN is read as 0 and counts in no loss, and more are hidden in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator

from narrows.core.checks import check_number
from narrows.core.slots import Corrupted, Rows, SparseRows
from narrows.corruptions._emphasis import Emphasis
from narrows.corruptions.masking import masked
from narrows.errors import UsageError

__all__ = ["Missing"]


@dataclass(frozen=True)
class Missing(Emphasis):
    """x may hold NaN: x~_j = ``fill`` there, and with probability ``rate`` for known x_j too.

    The loss counts the known entries only, the hidden ones with them, so that the net learns to
    fill in. 0 is the mean of a standardized feature, and the black of an image: on digits it does
    better than a value that no pixel has. Shape (batch, features) in and out; ``fill`` in scaled
    units. Where scaling or a linear baseline is fitted, the mean of the known entries stands in.

    Raises
    ------
    UsageError
        If ``rate`` is outside [0, 1), or a weight is negative; in use, if rows are
        sparse and ``fill`` is not 0.

    References
    ----------
    Gondara, Wang (2018), "MIDA: multiple imputation using denoising autoencoders", PAKDD.
    """

    admits_missing: ClassVar[bool] = True

    rate: float = 0.25
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("Missing: rate", self.rate, low=0, high=1, high_open=True)
        check_number("Missing: fill", self.fill)

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted:
        rows, hidden = masked(x, self.rate, generator=generator)
        if self.fill:
            if isinstance(rows, SparseRows):
                raise UsageError(f"Missing: fill: sparse rows need 0, got {self.fill!r}.")
            rows = torch.where(hidden, self.fill, rows)
        return self._corrupted(rows, hidden)
