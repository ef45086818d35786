"""Bernoulli cross-entropy: each feature is a probability or a bit."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from narrows._types import Outputs, PerSample
from narrows.core.slots import Loss
from narrows.core.sparse import Rows, SparseRows, stored_values
from narrows.core.weights import summed
from narrows.errors import InvalidData

__all__ = ["Bernoulli"]


@dataclass(frozen=True)
class Bernoulli(Loss):
    """L = sum_j softplus(o_j) - x_j o_j = - sum_j x_j log r_j + (1 - x_j) log(1 - r_j). Unit: nats.

    The output o holds logits, r = 1 / (1 + exp(-o)). For x strictly between 0 and 1 the minimum is
    the entropy of x, not 0. Shapes: output (batch, features), x the same, dense or sparse; the
    result (batch,). Cost: O(batch x features), for sparse x too.

    Raises
    ------
    InvalidData
        By ``check``, if a value is outside [0, 1]; by ``log_normalizer``, if one is not 0 or 1.

    Examples
    --------
    >>> import torch
    >>> from narrows import Bernoulli
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    >>> Bernoulli().per_sample(torch.zeros(2, 2), x)  # 2 log 2
    tensor([1.3863, 1.3863])
    >>> Bernoulli().expectation(torch.zeros(1, 2))
    tensor([[0.5000, 0.5000]])
    """

    unit = "nats per sample"

    bounded = True

    def check(self, x: Rows) -> None:
        """Raise InvalidData if a value is outside [0, 1]; torch's own loss accepts it silently."""
        values = stored_values(x)
        # a missing value compares as neither
        if values.numel() and bool(((values < 0) | (values > 1)).any()):
            low, high = float(values.nan_to_num(0.5).amin()), float(values.nan_to_num(0.5).amax())
            raise InvalidData(
                f"Bernoulli: x must be in [0, 1], got [{low:.6g}, {high:.6g}]; "
                "rescale it (scale='unit') or use loss='squared_error'."
            )

    def per_sample(self, output: Outputs, x: Rows, weights: Tensor | None = None) -> PerSample:
        if isinstance(x, SparseRows):
            return F.softplus(output).sum(dim=1) - x.gather_sum(output)
        return summed(F.softplus(output) - x * output, weights)

    def log_normalizer(self, x: Rows) -> PerSample:
        """Return 0, for bits; ``ContinuousBernoulli`` is the density of other values."""
        values = stored_values(x)
        if not self.is_binary(x):
            other = values[(values != 0) & (values != 1)]
            raise InvalidData(
                f"Bernoulli: a likelihood needs bits, 0 or 1, got {float(other[0]):.6g}; "
                "round or binarize x."
            )
        return values.new_zeros(len(x))

    def is_binary(self, x: Rows) -> bool:
        """Return whether all values are 0 or 1."""
        values = stored_values(x)
        return bool(((values == 0) | (values == 1)).all())

    def expectation(self, output: Outputs) -> Outputs:
        return torch.sigmoid(output)

    def inverse_link(self, mean: Tensor) -> Tensor:
        """Return the logits whose expectation is ``mean``, kept within (0.001, 0.999)."""
        return torch.logit(mean, eps=1e-3)
