"""Weight decay: penalize large weights, but not biases."""

from __future__ import annotations

from dataclasses import dataclass

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward

__all__ = ["WeightDecay"]


@dataclass(frozen=True)
class WeightDecay:
    """Omega = weight * sum of W^2 over the weights of encoder and decoder, without biases.

    Unit: as the loss; ``weight`` is in loss units per squared weight. A tied weight counts
    once. Cost: O(weights) a step, whatever the batch.

    Raises
    ------
    UsageError
        If ``weight`` is negative.

    References
    ----------
    Krogh, Hertz (1991), "A simple weight decay can improve generalization", NIPS.

    Examples
    --------
    >>> import torch
    >>> from narrows import WeightDecay
    >>> from narrows.core.slots import Forward
    >>> from narrows.decoders import TiedDecoder
    >>> from narrows.encoders import DenseEncoder
    >>> encoder = DenseEncoder([2, 1], activation="linear", generator=torch.Generator())
    >>> _ = encoder.weights[0].data.copy_(torch.tensor([[3.0], [4.0]]))
    >>> decoder = TiedDecoder(encoder, activation="linear")
    >>> x = torch.ones(1, 2)
    >>> code = encoder(x)
    >>> step = Forward(x, x, code, decoder(code.h), encoder, decoder)
    >>> round(WeightDecay(0.1)(step).item(), 4)  # 0.1 * (3^2 + 4^2)
    2.5
    """

    weight: float = 1e-5

    def __post_init__(self) -> None:
        check_number("WeightDecay: weight", self.weight, low=0)

    def __call__(self, step: Forward) -> Scalar:
        total = step.output.new_zeros((), dtype=step.code.h.dtype)
        for module in (step.encoder, step.decoder):
            for parameter in module.parameters():
                if parameter.ndim > 1:
                    total = total + parameter.square().sum()
        return self.weight * total
