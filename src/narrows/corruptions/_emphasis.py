"""Vincent's emphasis: corrupted features weigh alpha in the loss, the others beta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from narrows.core.checks import check_number
from narrows.core.slots import Corrupted, Rows, SparseRows
from narrows.errors import UsageError

__all__ = ["Emphasis"]


@dataclass(frozen=True, kw_only=True)
class Emphasis:
    """What corruptions share: the weights ``alpha`` of touched features, ``beta`` of the others.

    Emphasis needs dense rows. References: Vincent et al. (2010), section 4.3.

    Raises
    ------
    UsageError
        If one is negative or both are 0; in use, if rows are sparse and the two differ.
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

    def _corrupted(self, rows: Rows, touched: Tensor) -> Corrupted:
        if self.alpha == self.beta == 1:
            return Corrupted(rows)
        if isinstance(rows, SparseRows):
            raise UsageError(f"{type(self).__name__}: alpha and beta need dense rows, got sparse.")
        return Corrupted(rows, torch.where(touched, self.alpha, self.beta).to(rows.dtype))
