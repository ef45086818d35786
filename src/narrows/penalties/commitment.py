"""Commitment: move codebook entries to the codes, and codes to their entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.weights import mean_over_rows
from narrows.encoders.quantized import QuantizedEncoder
from narrows.errors import UsageError

__all__ = ["Commitment"]


@dataclass(frozen=True)
class Commitment:
    """Omega = mean over the batch of codebook * |sg(z) - e|^2 + weight * |z - sg(e)|^2.

    e are the entries chosen for z = z(x), both (batch, components). sg stops the gradient, so that
    the first term moves the entries and the second the net. Unit: as the loss; the weights
    are in loss units per squared unit of code. For a quantized code only. Cost: O(batch x entries x
    components), for choosing the entries.

    Raises
    ------
    UsageError
        If a weight is negative; in use, if the code is not quantized.

    References
    ----------
    van den Oord, Vinyals, Kavukcuoglu (2017), "Neural discrete representation learning", NIPS.

    Examples
    --------
    >>> import torch
    >>> from narrows import Commitment
    >>> from narrows.core.slots import Code, Forward
    >>> from narrows.encoders import QuantizedEncoder
    >>> encoder = QuantizedEncoder(
    ...     [2, 2], n_groups=1, n_entries=2, activation="linear", generator=torch.Generator()
    ... )
    >>> _ = encoder.entries.data.copy_(torch.tensor([[[0.0, 0.0], [1.0, 1.0]]]))
    >>> z = torch.tensor([[0.5, 1.0]])  # nearest to (1, 1), at a squared distance of 0.25
    >>> step = Forward(z, z, Code(z, preactivation=z), z, encoder, decoder=None)
    >>> Commitment()(step).item()
    0.3125
    """

    weight: float = 0.25
    codebook: float = 1.0
    judged: ClassVar[bool] = False
    """It only moves entries and codes together, so that epochs are compared by the error."""

    def __post_init__(self) -> None:
        check_number("Commitment: weight", self.weight, low=0)
        check_number("Commitment: codebook", self.codebook, low=0)

    def __call__(self, step: Forward) -> Scalar:
        z, encoder = step.code.preactivation, step.encoder
        if z is None or not isinstance(encoder, QuantizedEncoder):
            raise UsageError("Commitment: needs a quantized code; use VectorQuantizedAutoencoder.")
        entries = encoder.project(z)
        codebook = (z.detach() - entries).square().sum(dim=1)
        commitment = (z - entries.detach()).square().sum(dim=1)
        moved = self.codebook * mean_over_rows(codebook, step.weights)
        return moved + self.weight * mean_over_rows(commitment, step.weights)
