"""Tied decoder: the encoder's weights, transposed, in reverse order."""

from __future__ import annotations

import torch
from torch import nn

from narrows._types import Codes, Outputs
from narrows.core.activations import activation_named
from narrows.core.linear_kernels import affine
from narrows.core.slots import Decoder
from narrows.encoders.dense import DenseEncoder

__all__ = ["TiedDecoder"]


class TiedDecoder(Decoder):
    """g(h) = ... a(h W_k^T + c_k) ... W_1^T + c_1: only the biases c are its own.

    The weights belong to the encoder and are stored once; the gradient of a weight is the sum
    over its two uses.

    References
    ----------
    Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    Science 313.
    """

    def __init__(self, encoder: DenseEncoder, *, activation: str) -> None:
        super().__init__()
        # a tuple, not an attribute that is a module: the encoder must not be registered twice
        self._encoder = (encoder,)
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(weight.shape[0])) for weight in reversed(encoder.weights)
        )
        self._activate = activation_named(activation)

    def forward(self, h: Codes) -> Outputs:
        weights = list(reversed(self._encoder[0].weights))
        last = len(weights) - 1
        for i, (weight, bias) in enumerate(zip(weights, self.biases, strict=True)):
            h = affine(h, weight, bias, transposed=True)
            if i < last:
                h = self._activate(h)
        return h
