"""Squared error, with the identity or the logistic function as the link."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from narrows._types import Outputs, PerSample
from narrows.core.slots import Loss
from narrows.core.sparse import Rows, SparseRows, stored_values
from narrows.core.weights import summed
from narrows.errors import UsageError

__all__ = ["SquaredError"]


@dataclass(frozen=True)
class SquaredError(Loss):
    """L = sum_j (x_j - r_j)^2, r = output or 1 / (1 + exp(-output)). Unit: squared input units.

    ``link="identity"`` takes the output as it is, for any real x; ``link="logistic"`` keeps the
    reconstruction within (0, 1), for x on that scale. Shapes: output (batch, features), x the same,
    dense or sparse; the result (batch,). Cost: O(batch x features), for sparse x too.

    Raises
    ------
    UsageError
        If ``link`` is neither.

    Examples
    --------
    >>> import torch
    >>> from narrows import SquaredError
    >>> x = torch.tensor([[1.0, 0.5]])
    >>> SquaredError().per_sample(torch.zeros(1, 2), x)
    tensor([1.2500])
    >>> SquaredError(link="logistic").per_sample(torch.zeros(1, 2), x)
    tensor([0.2500])
    """

    link: str = "identity"

    def __post_init__(self) -> None:
        if self.link not in ("identity", "logistic"):
            raise UsageError(
                f"SquaredError: link must be 'identity' or 'logistic', got {self.link!r}."
            )

    unit = "squared error per sample"

    def per_sample(self, output: Outputs, x: Rows, weights: Tensor | None = None) -> PerSample:
        r = self.expectation(output)
        if isinstance(x, SparseRows):
            # sum_j r^2 - 2 x r + x^2 would lose digits, so the stored places are left out of r^2
            at = x.places
            flat = r.reshape(-1)
            elsewhere = flat.index_fill(0, at, 0.0).view_as(r).square().sum(dim=1)
            return elsewhere.index_add(0, x.row_of, (flat.index_select(0, at) - x.values).square())
        return summed((r - x).square(), weights)

    def log_normalizer(self, x: Rows) -> PerSample:
        """Return log of the integral of exp(-L) over x, a normal density of variance 1/2."""
        values = stored_values(x)
        return values.new_full((len(x),), 0.5 * x.shape[1] * math.log(math.pi))

    def expectation(self, output: Outputs) -> Outputs:
        return torch.sigmoid(output) if self.link == "logistic" else output

    def inverse_link(self, mean: Tensor) -> Tensor:
        """Return the output whose expectation is ``mean``."""
        return torch.logit(mean, eps=1e-3) if self.link == "logistic" else mean
