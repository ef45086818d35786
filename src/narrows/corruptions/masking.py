"""Masking noise: set each feature to 0 with a given probability."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from narrows.core.checks import check_number
from narrows.core.slots import Corrupted
from narrows.core.sparse import Rows, SparseRows, stored_values
from narrows.corruptions._emphasis import Emphasis

__all__ = ["Masking", "masked"]


@dataclass(frozen=True)
class Masking(Emphasis):
    """x~_j = 0 with probability ``rate``, else x_j; drawn afresh for every sample and step.

    Shape (batch, features) in and out, in scaled units. In sparse rows only stored values are
    drawn, since the others are 0 already: O(non-zeros). The input is never written to.

    Raises
    ------
    UsageError
        If ``rate`` is outside [0, 1), or ``alpha`` or ``beta`` is negative.

    References
    ----------
    Vincent, Larochelle, Bengio, Manzagol (2008), "Extracting and composing robust features
    with denoising autoencoders", ICML.

    Examples
    --------
    >>> import torch
    >>> from narrows import Masking
    >>> generator = torch.Generator().manual_seed(0)
    >>> x = torch.full((100, 100), 5.0)
    >>> corrupted = Masking(0.3)(x, generator=generator).rows
    >>> corrupted.unique()
    tensor([0., 5.])
    >>> round(float((corrupted == 0).double().mean()), 1)
    0.3

    With ``beta=0`` only masked features count in the loss:

    >>> step = Masking(0.3, beta=0.0)(x, generator=generator)
    >>> bool((step.weights == (step.rows == 0)).all())
    True
    """

    rate: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("Masking: rate", self.rate, low=0, high=1, high_open=True)

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted:
        return self._corrupted(*masked(x, self.rate, generator=generator))


def masked(x: Rows, rate: float, *, generator: Generator) -> tuple[Rows, Tensor]:
    """Set a share ``rate`` of the (stored) values of x to 0; return also the mask of these."""
    values = stored_values(x)
    kept = torch.empty_like(values).bernoulli_(1 - rate, generator=generator)
    rows = x.with_values(values * kept) if isinstance(x, SparseRows) else x * kept
    return rows, kept == 0
