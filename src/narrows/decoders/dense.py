"""Dense decoder: the encoder's shape mirrored, with weights of its own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from torch import Generator, Tensor

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
        return affine(self.hidden(h), self.weights[-1], self.biases[-1])

    def hidden(self, h: Codes) -> Tensor:
        """Return what the last layer reads, (batch, width): the code itself if there is but one."""
        layers = zip(self.weights, self.biases, strict=True)
        for weight, bias in islice(layers, len(self.weights) - 1):
            h = self._activate(affine(h, weight, bias))
        return h
