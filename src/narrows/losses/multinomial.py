"""Multinomial cross-entropy: each row is a distribution over the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from narrows._types import Outputs, PerSample
from narrows.core.slots import Loss
from narrows.core.sparse import Rows, SparseRows, stored_values
from narrows.errors import InvalidData

__all__ = ["Multinomial"]


@dataclass(frozen=True)
class Multinomial(Loss):
    """L = - sum_j x_j log softmax(o)_j = sum_j x_j (logsumexp(o) - o_j). Unit: nats.

    Nats per word if a row holds proportions, per document if it holds counts. Rows of zeros have
    loss 0. Shapes: output (batch, features), x the same, dense or sparse; the result (batch,). For
    sparse x only the logsumexp reads the whole output.

    Raises
    ------
    InvalidData
        By ``check``, if a value is negative; by ``log_normalizer``, if one is not a count.

    References
    ----------
    Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    Science 313.

    Examples
    --------
    >>> import torch
    >>> from narrows import Multinomial
    >>> x = torch.tensor([[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    >>> Multinomial().per_sample(torch.zeros(2, 4), x)  # log 4, and 0
    tensor([1.3863, 0.0000])
    >>> Multinomial().expectation(torch.zeros(1, 4))
    tensor([[0.2500, 0.2500, 0.2500, 0.2500]])
    """

    unit = "nats per sample"

    bounded = True

    def check(self, x: Rows) -> None:
        """Raise InvalidData if a value is negative; torch's own loss accepts it silently."""
        values = stored_values(x)
        if values.numel() and bool((values < 0).any()):
            raise InvalidData(
                f"Multinomial: x must be >= 0, got {float(values[values < 0].amin()):.6g}; "
                "give counts or proportions, or use loss='squared_error'."
            )

    def per_sample(self, output: Outputs, x: Rows, weights: Tensor | None = None) -> PerSample:
        if weights is not None and not isinstance(x, SparseRows):
            x = weights * x
        return _CrossEntropy.apply(output, x)  # pyright: ignore[reportReturnType]

    def log_normalizer(self, x: Rows) -> PerSample:
        """Return - log(N! / (x_1! x_2! ...)) of a row of N counts, given N."""
        values = stored_values(x)
        if bool(((values < 0) | (values != values.round())).any()):
            raise InvalidData(
                "Multinomial: a likelihood needs counts, got other values; give counts and "
                "fit with scale='none'."
            )
        if isinstance(x, SparseRows):
            each = x.with_values(torch.lgamma(x.values + 1)).row_sums()
            return each - torch.lgamma(x.row_sums() + 1)
        return torch.lgamma(x + 1).sum(dim=1) - torch.lgamma(x.sum(dim=1) + 1)

    def expectation(self, output: Outputs) -> Outputs:
        return torch.softmax(output, dim=1)

    def reconstruction(self, output: Outputs, x: Rows) -> Outputs:
        """Return the expected x, scaled to the total of each row of x, which the code lacks."""
        totals = x.row_sums() if isinstance(x, SparseRows) else x.sum(dim=1)
        return self.expectation(output) * totals[:, None]

    def inverse_link(self, mean: Tensor) -> Tensor:
        """Return logits whose softmax is proportional to ``mean``, at least 1e-6."""
        return torch.log(mean.clamp_min(1e-6))


class _CrossEntropy(torch.autograd.Function):
    """sum_j x_j (logsumexp(o) - o_j) of every row, differentiable once, by o.

    The gradient is softmax(o) sum_j x_j - x: one pass over the output each way, where torch's
    derivative of logsumexp takes three and an exponential.
    """

    @staticmethod
    def forward(ctx: Any, output: Tensor, x: Rows) -> Tensor:
        softmax = torch.softmax(output, dim=1)
        log_normalizer = output.amax(dim=1) - softmax.amax(dim=1).log()
        ctx.x = x
        if isinstance(x, SparseRows):
            totals, inner = x.row_sums(), x.gather_sum(output)
        else:
            totals, inner = x.sum(dim=1), (x * output).sum(dim=1)
        ctx.save_for_backward(softmax, totals)
        return log_normalizer * totals - inner

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] -- the decorator's type
        ctx: Any, *grads: Tensor
    ) -> tuple[Tensor, None]:
        softmax, totals = ctx.saved_tensors
        gradient = (softmax * (grads[0] * totals)[:, None]).contiguous()
        if isinstance(ctx.x, SparseRows):
            scaled = ctx.x.times_rows(grads[0]).values
            gradient.view(-1).index_add_(0, ctx.x.places, scaled, alpha=-1)
        else:
            gradient.addcmul_(ctx.x, grads[0][:, None], value=-1)
        return gradient, None
