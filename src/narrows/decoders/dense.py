"""Dense decoder: the encoder's shape mirrored, with its own weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from torch import Generator, Tensor

from narrows._types import Codes, Outputs
from narrows.core.activations import activation_named
from narrows.core.linear_kernels import affine
from narrows.core.linear_path import LinearPath, start_as
from narrows.core.slots import Decoder
from narrows.encoders.dense import dense_parameters

__all__ = ["DenseDecoder"]


class DenseDecoder(Decoder):
    """g(h) = a( ... a(h W_1 + c_1) ... ) W_k + c_k, with any number of layers.

    With a linear path, this output o becomes gate * o + h B + c (``LinearPath``).

    Parameters
    ----------
    widths : sequence of int
        n_components, the hidden widths in mirrored order, n_features.
    activation : str
        Between layers.
    code_scale : float, default=1.0
        Factor on the code before the first layer.
    linear_path : bool, default=False
        Whether there is a linear path from the code to the output.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    Raises
    ------
    UsageError
        If an activation is unknown.

    Examples
    --------
    >>> import torch
    >>> from narrows.decoders import DenseDecoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> decoder = DenseDecoder([2, 3, 4], activation="silu", generator=generator)
    >>> decoder(torch.zeros(5, 2)).shape
    torch.Size([5, 4])
    """

    _code_scale = 1.0  # absent in older pickles

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: str,
        code_scale: float = 1.0,
        linear_path: bool = False,
        generator: Generator,
    ) -> None:
        super().__init__()
        self._code_scale = code_scale
        self.weights, self.biases = dense_parameters(widths, generator=generator)
        self.path = LinearPath(widths[0], widths[-1]) if linear_path else None
        self._activate = activation_named(activation)

    def forward(self, h: Codes) -> Outputs:
        output = affine(self.hidden(h), self.weights[-1], self.biases[-1])
        return output if self.path is None else self.path(output, h)

    def start_linear(self, matrix: Tensor, center: Tensor, mean: Tensor) -> bool:
        bias = mean - center @ matrix
        if self.path is None:
            matrix = matrix / self._code_scale
        return start_as(matrix, bias, path=self.path, weights=self.weights, biases=self.biases)

    def hidden(self, h: Codes) -> Tensor:
        """Return the input of the last layer, (batch, width): the scaled code of a lone layer."""
        h = h if self._code_scale == 1 else h * self._code_scale
        layers = zip(self.weights, self.biases, strict=True)
        for weight, bias in islice(layers, len(self.weights) - 1):
            h = self._activate(affine(h, weight, bias))
        return h
