"""No corruption: x~ = x."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Generator

from narrows.core.slots import Corrupted
from narrows.core.sparse import Rows

__all__ = ["Identity"]


@dataclass(frozen=True)
class Identity:
    """x~ = x. Shape (batch, features) in and out; no cost.

    Examples
    --------
    >>> import torch
    >>> from narrows import Identity
    >>> Identity()(torch.ones(1, 2), generator=torch.Generator()).rows
    tensor([[1., 1.]])
    """

    admits_missing: ClassVar[bool] = False

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted:
        return Corrupted(x)
