"""Weigh corrupted features in the loss by alpha, and the others by beta."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from narrows.core.checks import check_number
from narrows.core.slots import Corrupted
from narrows.core.sparse import Rows, SparseRows
from narrows.errors import UsageError

__all__ = ["Emphasis"]


@dataclass(frozen=True, kw_only=True)
class Emphasis(ABC):
    """Base of corruptions that weigh corrupted features by ``alpha``, others by ``beta``.

    Weights other than 1 need dense rows.

    Raises
    ------
    UsageError
        If a weight is negative or both are 0; in use, if one is not 1 and the rows are sparse.

    References
    ----------
    Vincent, Larochelle, Lajoie, Bengio, Manzagol (2010), "Stacked denoising autoencoders",
    JMLR 11, section 4.3.
    """

    admits_missing: ClassVar[bool] = False

    alpha: float = 1.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        check_number(f"{name}: alpha", self.alpha, low=0)
        check_number(f"{name}: beta", self.beta, low=0)
        if self.alpha == self.beta == 0:
            raise UsageError(f"{name}: alpha and beta are both 0: nothing would count.")

    @abstractmethod
    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted: ...

    def _corrupted(self, rows: Rows, changed: Tensor) -> Corrupted:
        """Return rows with the weights that the mask ``changed`` gives their features."""
        if self.alpha == self.beta == 1:
            return Corrupted(rows)
        if isinstance(rows, SparseRows):
            raise UsageError(f"{type(self).__name__}: alpha and beta need dense rows, got sparse.")
        return Corrupted(rows, torch.where(changed, self.alpha, self.beta).to(rows.dtype))
