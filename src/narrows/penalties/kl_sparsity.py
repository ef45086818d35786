"""KL sparsity: every unit of a sigmoid code has a small mean activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.weights import mean_of_features

__all__ = ["KLSparsity"]


@dataclass(frozen=True)
class KLSparsity:
    """Omega = weight * sum_j KL(rho || mean of h_j over the batch), h in (0, 1).

    KL(rho || q) = rho log(rho / q) + (1 - rho) log((1 - rho) / (1 - q)), rho the ``target``. Unit:
    as the loss; ``weight`` is in loss units per nat. The code must have sigmoid units. The
    mean is over the batch, so small batches make it noisy.

    Raises
    ------
    UsageError
        If ``weight`` is negative or ``target`` outside (0, 1).

    References
    ----------
    Lee, Ekanadham, Ng (2008), "Sparse deep belief net model for visual area V2", NIPS;
    Ng (2011), "Sparse autoencoder", CS294A lecture notes.

    Examples
    --------
    >>> import torch
    >>> from narrows import KLSparsity
    >>> from narrows.core.slots import Code, Forward
    >>> h = torch.tensor([[0.05, 0.5], [0.05, 0.5]])
    >>> step = Forward(h, h, Code(h), h, encoder=None, decoder=None)
    >>> round(KLSparsity(target=0.05)(step).item(), 4)  # all of it from the second unit
    0.4946
    """

    code_activation: ClassVar[str] = "sigmoid"

    weight: float = 1.0
    target: float = 0.05

    def __post_init__(self) -> None:
        check_number("KLSparsity: weight", self.weight, low=0)
        check_number(
            "KLSparsity: target", self.target, low=0, high=1, low_open=True, high_open=True
        )

    def __call__(self, step: Forward) -> Scalar:
        rho = self.target
        # keep a gradient for units that are exactly 0 (or 1) for every row
        q = mean_of_features(step.code.h.float(), step.weights).clamp(1e-6, 1 - 1e-6)
        kl = rho * (rho / q).log() + (1 - rho) * ((1 - rho) / (1 - q)).log()
        return self.weight * kl.sum()
