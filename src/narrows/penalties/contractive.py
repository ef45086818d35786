"""Contractive penalty: the code barely moves when the input moves."""

from __future__ import annotations

from dataclasses import dataclass

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.weights import mean_over_rows
from narrows.penalties._jacobian import check_method, full_precision, jacobian_of

__all__ = ["Contractive"]


@dataclass(frozen=True)
class Contractive:
    """Omega = weight * mean over the batch of ||d f(x) / d x||_F^2.

    The Jacobian is taken at the clean x, whatever the corruption, and in float32, even if the net
    runs in bfloat16. Unit: as the loss; ``weight`` is in loss units per squared unit of code
    per squared scaled unit of x. ``method`` is one of:

    "closed"        sum_j a'(z_j)^2 sum_i W_ij^2, for one dense layer; a' = h (1 - h) if it is a
                    sigmoid. Dense or sparse rows. Cost: O(batch x components + weights).
    "exact"         for any number of dense layers. Dense or sparse rows. Cost: O(batch x
                    components x weights).
    "stochastic"    for any encoder: an unbiased estimate from ``samples`` products v^T J with
                    random signs v. Dense rows. Cost: one more pass of the encoder for each
                    sample, whatever the width of the code.
    "auto"          "closed" where it applies, "exact" for dense nets with codes up to 32 wide,
                    and "stochastic" otherwise.

    Raises
    ------
    UsageError
        If ``weight`` is negative, ``samples`` < 1, or ``method`` unknown; in use, if the method
        does not apply to the encoder or the rows.

    References
    ----------
    Rifai, Vincent, Muller, Glorot, Bengio (2011), "Contractive auto-encoders: explicit invariance
    during feature extraction", ICML; Hutchinson (1990), "A stochastic estimator of the trace of
    the influence matrix for Laplacian smoothing splines".

    Examples
    --------
    >>> import torch
    >>> from narrows import Contractive
    >>> from narrows.core.slots import Forward
    >>> from narrows.encoders import DenseEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = DenseEncoder([2, 1], activation="linear", generator=generator)
    >>> _ = encoder.weights[0].data.copy_(torch.tensor([[3.0], [4.0]]))
    >>> x = torch.zeros(5, 2)
    >>> step = Forward(x, x, encoder(x), x, encoder, decoder=None)
    >>> Contractive(weight=0.1)(step).item()  # 0.1 * (3^2 + 4^2)
    2.5
    """

    weight: float = 0.1
    method: str = "auto"
    samples: int = 1

    def __post_init__(self) -> None:
        check_number("Contractive: weight", self.weight, low=0)
        check_number("Contractive: samples", self.samples, low=1, integer=True)
        check_method("Contractive", self.method)

    def __call__(self, step: Forward) -> Scalar:
        with full_precision(step):
            jacobian = jacobian_of(
                step, owner="Contractive", method=self.method, samples=self.samples
            )
            norms = jacobian.squared_norms(jacobian.at(step.x))
            return self.weight * mean_over_rows(norms, step.weights)
