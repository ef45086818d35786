"""L2 penalty on the code: codes stay near 0, where a density can be fitted to them."""

from __future__ import annotations

from dataclasses import dataclass

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.weights import mean_over_rows

__all__ = ["L2"]


@dataclass(frozen=True)
class L2:
    """Omega = weight * mean over the batch of sum_j h_j^2.

    Unit: as the loss; ``weight`` is in loss units per squared unit of code. Use it with weight
    decay: otherwise larger decoder weights make up for smaller codes.

    Raises
    ------
    UsageError
        If ``weight`` is negative.

    References
    ----------
    Ghosh, Sajjadi, Vergari, Black, Schoelkopf (2020), "From variational to deterministic
    autoencoders", ICLR.

    Examples
    --------
    >>> import torch
    >>> from narrows import L2
    >>> from narrows.core.slots import Code, Forward
    >>> h = torch.tensor([[1.0, -2.0], [0.0, 3.0]])
    >>> L2(0.5)(Forward(h, h, Code(h), h, encoder=None, decoder=None))
    tensor(3.5000)
    """

    weight: float = 1e-3

    def __post_init__(self) -> None:
        check_number("L2: weight", self.weight, low=0)

    def __call__(self, step: Forward) -> Scalar:
        return self.weight * mean_over_rows(step.code.h.float().square().sum(dim=1), step.weights)
