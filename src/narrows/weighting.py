"""How much each feature counts in a loss: what is missing not at all."""

from __future__ import annotations

import torch
from torch import Tensor

from narrows._types import PerSample
from narrows.slots import Corruption, Rows, SparseRows

__all__ = ["known_part", "product_of", "summed"]


def known_part(x: Rows, corruption: Corruption) -> tuple[Rows, Tensor | None]:
    """Return x with the corruption's fill for what is missing, and 1 where it is known, else 0.

    The second is None where the corruption admits nothing missing.
    """
    if not corruption.admits_missing or isinstance(x, SparseRows):
        return x, None
    known = ~torch.isnan(x)
    return torch.where(known, x, getattr(corruption, "fill", 0.0)), known.to(x.dtype)


def summed(values: Tensor, weights: Tensor | None) -> PerSample:
    """Return the sum over the features of each row, weighted where there are weights."""
    return (values if weights is None else values * weights).sum(dim=1)


def product_of(a: Tensor | None, b: Tensor | None) -> Tensor | None:
    """Return a b, where None stands for ones."""
    return (b if a is None else a) if a is None or b is None else a * b
