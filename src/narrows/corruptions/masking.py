"""Masking noise: each feature is set to 0 with a given probability."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from narrows.checks import check_number
from narrows.slots import Rows, SparseRows

__all__ = ["Masking"]


@dataclass(frozen=True)
class Masking:
    """x~_j = 0 with probability ``rate``, else x_j; drawn anew for every sample and step.

    Shape (batch, features) in and out, in input units. In sparse rows only the stored values
    are drawn, since the others are 0 already. The input is never written to.

    Raises
    ------
    UsageError
        If ``rate`` is outside [0, 1).

    References
    ----------
    Vincent, Larochelle, Bengio, Manzagol (2008), "Extracting and composing robust features
    with denoising autoencoders", ICML.
    """

    rate: float = 0.25

    def __post_init__(self) -> None:
        check_number("Masking: rate", self.rate, low=0, high=1, high_open=True)

    def __call__(self, x: Rows, *, generator: Generator) -> Rows:
        if isinstance(x, SparseRows):
            return x.with_values(self._masked(x.values, generator))
        return self._masked(x, generator)

    def _masked(self, values: Tensor, generator: Generator) -> Tensor:
        kept = torch.empty_like(values).bernoulli_(1 - self.rate, generator=generator)
        return values * kept
