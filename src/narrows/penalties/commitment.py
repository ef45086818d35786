"""Commitment: a codebook's entries go to the codes, and codes stay near their entries."""

from __future__ import annotations

from dataclasses import dataclass

from narrows._types import Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.terms import mean_over_rows
from narrows.encoders.quantized import QuantizedEncoder
from narrows.errors import UsageError

__all__ = ["Commitment"]


@dataclass(frozen=True)
class Commitment:
    """Omega = codebook * |sg(z) - e|^2 + weight * |z - sg(e)|^2, e the entries chosen for z(x).

    Summed over the code, averaged over the batch; sg holds its argument fixed, so that the first
    term moves the entries and the second the net. Unit: squared code units, times the weights. For
    a quantized code.

    Raises
    ------
    UsageError
        If a weight is negative, or the code is another.

    References
    ----------
    van den Oord, Vinyals, Kavukcuoglu (2017), "Neural discrete representation learning", NIPS.
    """

    weight: float = 0.25
    codebook: float = 1.0

    def __post_init__(self) -> None:
        check_number("Commitment: weight", self.weight, low=0)
        check_number("Commitment: codebook", self.codebook, low=0)

    def __call__(self, step: Forward) -> Scalar:
        z, encoder = step.code.preactivation, step.encoder
        if z is None or not isinstance(encoder, QuantizedEncoder):
            raise UsageError("Commitment: needs a quantized code; use VectorQuantizedAutoencoder.")
        entries = encoder.project(z)
        to_codes = (z.detach() - entries).square().sum(dim=1)
        to_entries = (z - entries.detach()).square().sum(dim=1)
        of_codebook = self.codebook * mean_over_rows(to_codes, step.weights)
        return of_codebook + self.weight * mean_over_rows(to_entries, step.weights)
