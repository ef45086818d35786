"""Missing values: fill in NaN, leave it out of the loss, and hide more values in training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator

from narrows.core.checks import check_number
from narrows.core.slots import Corrupted
from narrows.core.sparse import Rows, SparseRows
from narrows.corruptions._emphasis import Emphasis
from narrows.corruptions.masking import masked
from narrows.errors import UsageError

__all__ = ["Missing"]


@dataclass(frozen=True)
class Missing(Emphasis):
    """x~_j = ``fill`` where x_j is NaN, and with probability ``rate`` where it is known.

    The loss counts known values only, including those hidden here, so that the net learns to fill
    them in. 0 is the mean of a standardized feature and the black of an image: on digits it does
    better than a value that no pixel has. Shape (batch, features) in and out; ``fill`` in scaled
    units. Scaling and the linear baseline are fitted with the mean of the known values in the
    place of missing ones.

    Raises
    ------
    UsageError
        If ``rate`` is outside [0, 1), or ``alpha`` or ``beta`` is negative; in use, if rows are
        sparse and ``fill`` is not 0.

    References
    ----------
    Gondara, Wang (2018), "MIDA: multiple imputation using denoising autoencoders", PAKDD.

    Examples
    --------
    The objective fills in NaN by ``fill_missing`` before it corrupts:

    >>> import torch
    >>> from narrows import Missing
    >>> from narrows.core.weights import fill_missing
    >>> missing = Missing(rate=0.0, fill=-1.0)
    >>> x, known = fill_missing(torch.tensor([[1.0, torch.nan, 3.0]]), missing)
    >>> x, known
    (tensor([[ 1., -1.,  3.]]), tensor([[1., 0., 1.]]))
    >>> missing(x, generator=torch.Generator()).rows
    tensor([[ 1., -1.,  3.]])
    """

    admits_missing: ClassVar[bool] = True

    rate: float = 0.25
    fill: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("Missing: rate", self.rate, low=0, high=1, high_open=True)
        check_number("Missing: fill", self.fill)

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted:
        rows, hidden = masked(x, self.rate, generator=generator)
        if self.fill:
            if isinstance(rows, SparseRows):
                raise UsageError(f"Missing: fill: sparse rows need 0, got {self.fill!r}.")
            rows = torch.where(hidden, self.fill, rows)
        return self._corrupted(rows, hidden)
