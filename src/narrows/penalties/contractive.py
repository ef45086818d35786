"""Contractive penalty: the code barely moves when the input moves."""

from __future__ import annotations

from dataclasses import dataclass

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.terms import mean_over_rows
from narrows.penalties._jacobian import check_method, full_precision, jacobian_of

__all__ = ["Contractive"]


@dataclass(frozen=True)
class Contractive:
    """Omega = weight * mean over the batch of ||d f(x) / d x||_F^2.

    The Jacobian is that at the clean x, whatever the corruption. Unit: that of the loss,
    ``weight`` being loss units per squared code unit per squared scaled unit.

    ``method`` "closed": sum_j a'(z_j)^2 sum_i W_ij^2, for a single dense layer, where a' is
    h (1 - h) of a sigmoid; O(batch x components + weights), for sparse rows too. "exact": dense
    layers of any number, sparse rows too; O(batch x components x weights). "stochastic": any
    encoder, dense rows; an unbiased estimate from ``samples`` products v^T J with random signs v,
    at the cost of one more pass of the encoder for each, whatever the width of the code. "auto"
    takes "closed" where it applies, "exact" for dense nets with codes up to 32 wide, "stochastic"
    otherwise. Everywhere in float32, also where the net runs in bfloat16.

    Raises
    ------
    UsageError
        If ``weight`` is negative, ``samples`` < 1, ``method`` is unknown, or not for this encoder
        or these rows.

    References
    ----------
    Rifai, Vincent, Muller, Glorot, Bengio (2011), "Contractive auto-encoders: explicit invariance
    during feature extraction", ICML; Hutchinson (1990), "A stochastic estimator of the trace of
    the influence matrix for Laplacian smoothing splines".
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
