"""Tied decoder: the encoder's weights, transposed, in reverse order."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from narrows._types import Codes, Outputs
from narrows.core.activations import activation_named
from narrows.core.linear_kernels import affine
from narrows.core.slots import Decoder
from narrows.encoders.dense import DenseEncoder

__all__ = ["TiedDecoder"]


class TiedDecoder(Decoder):
    """g(h) = a( ... a(h W_k^T + c_k) ... ) W_1^T + c_1, with only the biases c of its own.

    The weights belong to the encoder and are stored once; the gradient of a weight is the sum over
    its two uses. If the encoder has a linear path, the output o becomes gate * o + (h * s) A^T + c,
    with its matrix A. Only the gate and c train; s, (n_components,), is fixed at the start, so that
    a penalty on the encoder cannot be evaded by a large s.

    Parameters
    ----------
    encoder : DenseEncoder
        The encoder whose weights are used.
    activation : str
        Between layers; the output is linear.

    Raises
    ------
    UsageError
        If an activation is unknown.

    References
    ----------
    Hinton, Salakhutdinov (2006), "Reducing the dimensionality of data with neural networks",
    Science 313.

    Examples
    --------
    >>> import torch
    >>> from narrows.decoders import TiedDecoder
    >>> from narrows.encoders import DenseEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = DenseEncoder([4, 2], activation="silu", generator=generator)
    >>> decoder = TiedDecoder(encoder, activation="silu")
    >>> h = torch.rand(3, 2, generator=generator)
    >>> torch.allclose(decoder(h), h @ encoder.weights[0].T)
    True
    """

    def __init__(self, encoder: DenseEncoder, *, activation: str) -> None:
        super().__init__()
        # in a tuple, so that the encoder is not registered as a submodule a second time
        self._encoder = (encoder,)
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(weight.shape[0])) for weight in reversed(encoder.weights)
        )
        self._activate = activation_named(activation)
        self.path = None if encoder.path is None else TiedPath(*encoder.path.matrix.shape)

    def forward(self, h: Codes) -> Outputs:
        code, path = h, self._encoder[0].path
        weights = list(reversed(self._encoder[0].weights))
        last = len(weights) - 1
        for i, (weight, bias) in enumerate(zip(weights, self.biases, strict=True)):
            h = affine(h, weight, bias, transposed=True)
            if i < last:
                h = self._activate(h)
        return h if self.path is None or path is None else self.path(h, code, path.matrix)

    @torch.no_grad()
    def start_linear(self, matrix: Tensor, center: Tensor, mean: Tensor) -> bool:
        """Take the s for which s A^T is nearest to B; the encoder has started before."""
        path = self._encoder[0].path
        if self.path is None or path is None:
            return False
        squares = path.matrix.square().sum(dim=0)
        shared = (path.matrix * matrix.t()).sum(dim=0)
        self.path.scale.copy_(torch.where(squares > 0, shared / squares.clamp_min(1e-30), 1.0))
        self.path.bias.copy_(mean - (center * self.path.scale) @ path.matrix.t())
        self.path.gate.zero_()
        self.biases[-1].zero_()
        return True


class TiedPath(nn.Module):
    """(o, h, A) -> gate * o + (h * scale) A^T + bias, the encoder's linear path transposed."""

    scale: Tensor

    def __init__(self, n_features: int, n_components: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n_features))
        self.gate = nn.Parameter(torch.ones(n_features))
        self.register_buffer("scale", torch.ones(n_components))

    def forward(self, output: Tensor, h: Tensor, matrix: Tensor) -> Tensor:
        added = affine(h * self.scale, matrix, self.bias, transposed=True)
        return torch.addcmul(added, output, self.gate)
