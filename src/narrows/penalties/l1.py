"""L1 penalty on the code: few units are active at a time."""

from __future__ import annotations

from dataclasses import dataclass

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.weights import mean_over_rows

__all__ = ["L1"]


@dataclass(frozen=True)
class L1:
    """Omega = weight * mean over the batch of sum_j |h_j|.

    Unit: as the loss; ``weight`` is in loss units per unit of code. It shrinks the code
    towards 0; exact zeros need a relu code.

    Raises
    ------
    UsageError
        If ``weight`` is negative.

    References
    ----------
    Ranzato, Poultney, Chopra, LeCun (2007), "Efficient learning of sparse representations with
    an energy-based model", NIPS.

    Examples
    --------
    >>> import torch
    >>> from narrows import L1
    >>> from narrows.core.slots import Code, Forward
    >>> h = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    >>> L1(0.5)(Forward(h, h, Code(h), h, encoder=None, decoder=None))
    tensor(1.5000)
    """

    weight: float = 1e-3

    def __post_init__(self) -> None:
        check_number("L1: weight", self.weight, low=0)

    def __call__(self, step: Forward) -> Scalar:
        return self.weight * mean_over_rows(step.code.h.abs().sum(dim=1), step.weights)
