"""Higher-order contractive penalty (CAE+H): the code's slope barely changes nearby."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.sparse import SparseRows
from narrows.core.weights import mean_over_rows
from narrows.errors import UsageError
from narrows.penalties._jacobian import check_method, full_precision, generator_of, jacobian_of

__all__ = ["HigherOrderContractive"]


@dataclass(frozen=True)
class HigherOrderContractive:
    """Omega = mean over the batch of weight * ||J(x)||_F^2 + gamma * E ||J(x) - J(x + e)||_F^2.

    J(x) = d f(x) / d x at the clean x; e is normal with standard deviation ``sigma`` in every
    feature, in scaled units, and E the mean over ``samples`` draws. For small sigma the second term
    is gamma sigma^2 times the squared norm of the Hessian. For one layer the squared difference is
    sum_j (a'(z_j) - a'(z'_j))^2 sum_i W_ij^2. Unit: as for ``Contractive``, which also explains
    ``method``; "stochastic" uses the same v for both Jacobians. Cost: 1 + ``samples``
    times that of ``Contractive``, and as many passes of the encoder. Dense rows only: x + e has no
    zeros.

    Raises
    ------
    UsageError
        If a number is out of range, or ``method`` unknown; in use, if the method does not apply to
        the encoder, or the rows are sparse.

    References
    ----------
    Rifai, Mesnil, Vincent, Muller, Bengio, Dauphin, Glorot (2011), "Higher order contractive
    auto-encoder", ECML PKDD.

    Examples
    --------
    The Jacobian of a linear encoder is constant, so that only the first term is left:

    >>> import torch
    >>> from narrows import HigherOrderContractive
    >>> from narrows.core.slots import Forward
    >>> from narrows.encoders import DenseEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = DenseEncoder([2, 1], activation="linear", generator=generator)
    >>> _ = encoder.weights[0].data.copy_(torch.tensor([[3.0], [4.0]]))
    >>> x = torch.zeros(5, 2)
    >>> step = Forward(x, x, encoder(x), x, encoder, decoder=None, generator=generator)
    >>> HigherOrderContractive(weight=0.1)(step).item()
    2.5
    """

    weight: float = 0.1
    gamma: float = 0.1
    sigma: float = 0.1
    samples: int = 2
    method: str = "auto"

    def __post_init__(self) -> None:
        check_number("HigherOrderContractive: weight", self.weight, low=0)
        check_number("HigherOrderContractive: gamma", self.gamma, low=0)
        check_number("HigherOrderContractive: sigma", self.sigma, low=0, low_open=True)
        check_number("HigherOrderContractive: samples", self.samples, low=1, integer=True)
        check_method("HigherOrderContractive", self.method)

    def __call__(self, step: Forward) -> Scalar:
        x = step.x
        if isinstance(x, SparseRows):
            raise UsageError(
                "HigherOrderContractive: needs dense rows, got sparse ones; use Contractive "
                "(gamma=0)."
            )
        generator = generator_of(step, "HigherOrderContractive")
        with full_precision(step):
            jacobian = jacobian_of(step, owner="HigherOrderContractive", method=self.method)
            here = jacobian.at(x)
            bend = here.new_zeros(())
            for _ in range(self.samples):
                noise = torch.empty_like(x).normal_(0, self.sigma, generator=generator)
                norms = jacobian.squared_norms(here - jacobian.at(x + noise))
                bend = bend + mean_over_rows(norms, step.weights)
            slope = mean_over_rows(jacobian.squared_norms(here), step.weights)
            return self.weight * slope + self.gamma / self.samples * bend
