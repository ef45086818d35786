"""Gaussian noise, added to every feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator

from narrows.core.checks import check_number
from narrows.core.slots import Corrupted
from narrows.core.sparse import Rows, SparseRows
from narrows.errors import UsageError

__all__ = ["Gaussian"]


@dataclass(frozen=True)
class Gaussian:
    """x~ = x + ``sigma`` * n, with n standard normal, drawn afresh for every value and step.

    Shape (batch, features) in and out; ``sigma`` in scaled units. Dense rows only: noise leaves no
    zeros.

    Raises
    ------
    UsageError
        If ``sigma`` is negative, or the rows are sparse.

    References
    ----------
    Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), "Stacked denoising autoencoders",
    JMLR 11.

    Examples
    --------
    >>> import torch
    >>> from narrows import Gaussian
    >>> generator = torch.Generator().manual_seed(0)
    >>> x = torch.zeros(1, 3)
    >>> Gaussian(0.5)(x, generator=generator).rows
    tensor([[ 0.7705, -0.1467, -1.0894]])
    """

    admits_missing: ClassVar[bool] = False

    sigma: float = 0.3

    def __post_init__(self) -> None:
        check_number("Gaussian: sigma", self.sigma, low=0)

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted:
        if isinstance(x, SparseRows):
            raise UsageError("Gaussian: needs dense rows, got sparse; use 'masking'.")
        noise = torch.empty_like(x).normal_(0, 1, generator=generator)
        return Corrupted(x + self.sigma * noise)
