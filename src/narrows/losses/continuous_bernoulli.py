"""The continuous Bernoulli: the density over [0, 1] that Bernoulli logits define."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from narrows._types import Outputs, PerSample
from narrows.core.sparse import Rows, stored_values
from narrows.losses.bernoulli import Bernoulli

__all__ = ["ContinuousBernoulli", "log_integral"]


@dataclass(frozen=True)
class ContinuousBernoulli:
    """- log p(x) = L + sum_j log (tanh(o_j / 2) / o_j), with L of ``Bernoulli``. Unit: nats.

    A density over [0, 1]^n, so it is negative where p(x) > 1. It evaluates nets trained with
    ``Bernoulli``, and trains none itself: its mean of x is not 1 / (1 + exp(-o)).
    Shapes: output (batch, features), x the same, dense or sparse; the result (batch,), float64.

    References
    ----------
    Loaiza-Ganem, Cunningham (2019), "The continuous Bernoulli: fixing a pervasive error in
    variational autoencoders", NeurIPS.

    Examples
    --------
    With logits of 0 the density is uniform, p(x) = 1:

    >>> import torch
    >>> from narrows.losses import ContinuousBernoulli
    >>> ContinuousBernoulli().per_sample(torch.zeros(1, 2), torch.tensor([[0.2, 0.9]])).abs() < 1e-6
    tensor([True])
    """

    def check(self, x: Rows) -> None:
        """Raise InvalidData if a value is outside [0, 1]."""
        Bernoulli().check(x)

    def per_sample(self, output: Outputs, x: Rows) -> PerSample:
        return Bernoulli().per_sample(output, x).double() + log_integral(output).sum(dim=1)

    def log_normalizer(self, x: Rows) -> PerSample:
        """Return 0: the normalizer depends on the output, so it is part of ``per_sample``."""
        return stored_values(x).new_zeros(len(x), dtype=torch.float64)


def log_integral(logits: Tensor) -> Tensor:
    """Return log of the integral of exp(x o - softplus(o)) over x in [0, 1], for every logit o.

    It is log (tanh(o / 2) / o), and - log 2 at 0; float64, in the shape of ``logits``.
    """
    # tanh(y) / y is accurate for every y but 0, so it needs no series
    y = logits.double().abs().div(2).clamp_min(1e-100)
    return (torch.tanh(y) / y).log() - torch.log(y.new_tensor(2.0))
