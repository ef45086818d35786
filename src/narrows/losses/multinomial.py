"""Multinomial cross-entropy: a sample is a distribution over its features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from narrows._types import Outputs, PerSample
from narrows.errors import InvalidData
from narrows.slots import Rows, SparseRows

__all__ = ["Multinomial"]


@dataclass(frozen=True)
class Multinomial:
    """L = - sum_j x_j log softmax(o)_j = sum_j x_j (logsumexp(o) - o_j). Unit: nats.

    For x a row of proportions, nats a word; for x a row of counts, nats a document. Rows of
    zeros cost 0. Shapes: output (batch, features), x the same; the result (batch,). Sparse x:
    the logsumexp reads the whole output, everything else the stored values only.

    References
    ----------
    Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    Science 313.
    """

    @property
    def unit(self) -> str:
        return "nats per sample"

    @property
    def bounded(self) -> bool:
        return True

    def check(self, x: Rows) -> None:
        """Raise InvalidData if a value is negative: torch's own loss takes it silently."""
        values = x.values if isinstance(x, SparseRows) else x
        if values.numel() and bool((values < 0).any()):
            raise InvalidData(
                f"Multinomial: x must be >= 0, got {float(values[values < 0].amin()):.6g}; "
                "give counts or proportions, or use loss='squared_error'."
            )

    def per_sample(self, output: Outputs, x: Rows, weights: Tensor | None = None) -> PerSample:
        log_normaliser = torch.logsumexp(output, dim=1)
        if isinstance(x, SparseRows):
            return log_normaliser * x.row_sums() - x.gather_sum(output)
        if weights is not None:
            x = weights * x
        return log_normaliser * x.sum(dim=1) - (x * output).sum(dim=1)

    def log_normaliser(self, x: Rows) -> PerSample:
        """Return - log(N! / (x_1! x_2! ...)) of a row of N counts, given N."""
        values = x.values if isinstance(x, SparseRows) else x
        if bool(((values < 0) | (values != values.round())).any()):
            raise InvalidData(
                "Multinomial: a likelihood is one of counts, got other values; give counts and "
                "fit with scale='none'."
            )
        if isinstance(x, SparseRows):
            each = x.with_values(torch.lgamma(x.values + 1)).row_sums()
            return each - torch.lgamma(x.row_sums() + 1)
        return torch.lgamma(x + 1).sum(dim=1) - torch.lgamma(x.sum(dim=1) + 1)

    def expectation(self, output: Outputs) -> Outputs:
        return torch.softmax(output, dim=1)

    def fitted(self, output: Outputs, x: Rows) -> Outputs:
        """Return the expected x of a row with x's own total, which no code holds."""
        totals = x.row_sums() if isinstance(x, SparseRows) else x.sum(dim=1)
        return self.expectation(output) * totals[:, None]

    def natural(self, mean: Tensor) -> Tensor:
        """Return logits whose softmax is ``mean``, up to its scale; unseen features get least."""
        return torch.log(mean.clamp_min(1e-6))
