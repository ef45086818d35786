"""Dense decoder: the encoder's shape mirrored, with weights of its own."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator

from narrows._types import Codes, Outputs
from narrows.activations import activation_named
from narrows.encoders.dense import dense_parameters
from narrows.products import affine
from narrows.slots import Decoder

__all__ = ["DenseDecoder"]


class DenseDecoder(Decoder):
    """g of any depth, linear at the end: the loss owns the link.

    Parameters
    ----------
    widths : sequence of int
        n_components, the hidden widths in mirrored order, n_features.
    activation : str
        Between layers.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.
    """

    def __init__(self, widths: Sequence[int], *, activation: str, generator: Generator) -> None:
        super().__init__()
        self.weights, self.biases = dense_parameters(widths, generator=generator)
        self._activate = activation_named(activation)

    def forward(self, h: Codes) -> Outputs:
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            h = affine(h, weight, bias)
            if i < last:
                h = self._activate(h)
        return h
