"""Salt-and-pepper noise: set random features to the lowest or highest value."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator

from narrows.core.checks import check_number
from narrows.core.slots import Corrupted
from narrows.core.sparse import Rows, SparseRows
from narrows.corruptions._emphasis import Emphasis
from narrows.errors import UsageError

__all__ = ["SaltAndPepper"]


@dataclass(frozen=True)
class SaltAndPepper(Emphasis):
    """x~_j = ``low`` or ``high``, each with probability ``rate`` / 2, else x_j.

    Shape (batch, features) in and out, in scaled units. Dense rows only. The input is never
    written to.

    Raises
    ------
    UsageError
        If ``rate`` is outside [0, 1], ``low`` is not below ``high``, or ``alpha`` or ``beta`` is
        negative; in use, if the rows are sparse.

    References
    ----------
    Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), "Stacked denoising autoencoders",
    JMLR 11.

    Examples
    --------
    >>> import torch
    >>> from narrows import SaltAndPepper
    >>> generator = torch.Generator().manual_seed(0)
    >>> x = torch.full((1, 6), 0.5)
    >>> SaltAndPepper(0.5)(x, generator=generator).rows
    tensor([[1.0000, 0.5000, 0.0000, 0.0000, 1.0000, 0.5000]])
    """

    rate: float = 0.25
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("SaltAndPepper: rate", self.rate, low=0, high=1)
        check_number("SaltAndPepper: low", self.low)
        check_number("SaltAndPepper: high", self.high, low=self.low, low_open=True)

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted:
        if isinstance(x, SparseRows):
            raise UsageError("SaltAndPepper: needs dense rows, got sparse; use 'masking'.")
        draw = torch.empty_like(x).uniform_(0, 1, generator=generator)
        changed = draw < self.rate
        extreme = torch.where(draw < self.rate / 2, self.low, self.high).to(x.dtype)
        return self._corrupted(torch.where(changed, extreme, x), changed)
