"""Squared error, with the identity, the logistic function or a clamp as the link."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from narrows._types import Outputs, PerSample
from narrows.core.slots import Loss
from narrows.core.sparse import Rows, SparseRows, stored_values
from narrows.core.weights import summed
from narrows.errors import unknown_name

__all__ = ["LINKS", "SquaredError"]


def _identity(output: Outputs) -> Outputs:
    return output


def _clamped(output: Outputs) -> Outputs:
    clamped = output.clamp(0, 1)
    return output + (clamped - output).detach() if output.requires_grad else clamped


LINKS: dict[str, Callable[[Outputs], Outputs]] = {
    "clamp": _clamped,
    "identity": _identity,
    "logistic": torch.sigmoid,
}
"""The function from a decoder's output to the reconstruction, by its name."""


@dataclass(frozen=True)
class SquaredError(Loss):
    """L = sum_j (x_j - r_j)^2, with r of the output by a link. Unit: squared input units.

    ``link="identity"``, r = output, is for any real x. Two links are for x in [0, 1]: "logistic",
    r = 1 / (1 + exp(-output)), and "clamp", r = the output, or the nearer bound if it is outside of
    [0, 1]. Through the clamp the gradient passes unchanged, as 2 (r - x): it is that of a convex
    function of the output, which is 0 where an output beyond a bound is right. Shapes: output
    (batch, features), x the same, dense or sparse; the result (batch,). Cost: O(batch x features),
    for sparse x too.

    Raises
    ------
    UsageError
        If ``link`` is none of these.

    Examples
    --------
    >>> import torch
    >>> from narrows import SquaredError
    >>> x = torch.tensor([[1.0, 0.5]])
    >>> SquaredError().per_sample(torch.zeros(1, 2), x)
    tensor([1.2500])
    >>> SquaredError(link="logistic").per_sample(torch.zeros(1, 2), x)
    tensor([0.2500])
    >>> SquaredError(link="clamp").per_sample(torch.tensor([[1.5, 0.0]]), x)
    tensor([0.2500])
    """

    link: str = "identity"

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise unknown_name("SquaredError: link", self.link, LINKS)

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
        return LINKS[self.link](output)

    def inverse_link(self, mean: Tensor) -> Tensor:
        """Return the output whose expectation is ``mean``."""
        return torch.logit(mean, eps=1e-3) if self.link == "logistic" else mean
