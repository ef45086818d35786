"""Dense encoder: h = a_k( ... a_1(x W_1 + b_1) ... W_k + b_k)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import torch
from torch import Generator, Tensor, nn

from narrows._types import Codes
from narrows.core.activations import NEARLY_LINEAR, RANGES, SLOPES, activation_named
from narrows.core.linear_kernels import affine
from narrows.core.linear_path import LinearCode, LinearPath, start_as
from narrows.core.slots import Code, Encoder
from narrows.core.sparse import Rows, SparseRows

__all__ = [
    "Around",
    "DenseEncoder",
    "affine_rows",
    "dense_parameters",
    "glorot_uniform",
    "linear_top",
    "rows_of_length",
]

Around = Callable[[Tensor], Tensor]
"""Changes the last layer's z, before the code's activation: the linear path of a larger net."""


def glorot_uniform(n_in: int, n_out: int, *, generator: Generator) -> nn.Parameter:
    """Draw a weight of shape (n_in, n_out), uniform in +- sqrt(6 / (n_in + n_out)).

    References
    ----------
    Glorot, Bengio (2010), "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS.
    """
    limit = (6 / (n_in + n_out)) ** 0.5
    weight = torch.empty(n_in, n_out)
    return nn.Parameter(weight.uniform_(-limit, limit, generator=generator))


def dense_parameters(
    widths: Sequence[int], *, generator: Generator
) -> tuple[nn.ParameterList, nn.ParameterList]:
    """Return Glorot weights and zero biases of dense layers between ``widths``."""
    pairs = list(zip(widths, widths[1:], strict=False))
    weights = nn.ParameterList(glorot_uniform(*pair, generator=generator) for pair in pairs)
    return weights, nn.ParameterList(nn.Parameter(torch.zeros(n_out)) for _, n_out in pairs)


class DenseEncoder(Encoder):
    """f(x) = a_k( ... a_1(x W_1 + b_1) ... W_k + b_k), with any number of layers.

    With a linear path, the argument z of a_k becomes gate * z + x A + b (``LinearPath``).

    Weights have shape (n_in, n_out), so that the formula reads x W + b, a tied decoder uses W^T,
    and a sparse row sums rows of the first weight. Cost: O(batch x weights), for sparse rows
    O(non-zeros x width) in the first layer.

    Parameters
    ----------
    widths : sequence of int
        n_features, the hidden widths, n_components.
    activation : str
        Between layers.
    code_activation : str, default="linear"
        Of the code.
    row_length : float or None, default=None
        Euclidean length to which rows are scaled before the first layer, which then sees only
        their directions: for bags of words, whose rows are small numbers in few places. The linear
        path reads rows of length 1. None leaves rows as they are.
    linear_path : bool, default=False
        Whether there is a linear path from the rows to the code.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    Raises
    ------
    UsageError
        If an activation is unknown.

    Examples
    --------
    >>> import torch
    >>> from narrows.encoders import DenseEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = DenseEncoder([4, 3, 2], activation="relu", generator=generator)
    >>> x = torch.rand(5, 4, generator=generator)
    >>> [tuple(h.shape) for h in encoder.layers(x)]
    [(5, 3), (5, 2)]
    >>> torch.equal(encoder(x).h, encoder.layers(x)[-1])
    True
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        activation: str,
        code_activation: str = "linear",
        row_length: float | None = None,
        linear_path: bool = False,
        generator: Generator,
    ) -> None:
        super().__init__()
        self.row_length = row_length
        self.weights, self.biases = dense_parameters(widths, generator=generator)
        self.path = LinearPath(widths[0], widths[-1]) if linear_path else None
        self._activations = [activation_named(activation)] * (len(widths) - 2)
        self._activations.append(activation_named(code_activation))
        self._slopes = [SLOPES[activation]] * (len(widths) - 2)
        self.code_slope = SLOPES[code_activation]
        self._range = RANGES[code_activation]
        self._rectifies = code_activation == "relu"
        self._nearly_linear = NEARLY_LINEAR[code_activation]

    def layers(
        self,
        x: Rows,
        depth: int | None = None,
        *,
        noise: Callable[[Tensor], Tensor] | None = None,
        around: Around | None = None,
    ) -> list[Tensor]:
        """Return the activations of every layer, the code last, each (batch, width).

        Stop after ``depth`` layers, if given; ``noise`` is applied to each layer's activations.
        """
        return [h for _, h in self._passes(x, depth, noise, around)]

    def slopes(self, x: Rows) -> list[Tensor]:
        """Return the derivative a'(z) of every layer, the code last, each (batch, width)."""
        passes = zip([*self._slopes, self.code_slope], self._passes(x), strict=True)
        return [slope(preactivation) for slope, (preactivation, _) in passes]

    def forward(
        self, x: Rows, *, generator: Generator | None = None, around: Around | None = None
    ) -> Code:
        # only the last is kept
        ((preactivation, h),) = deque(self._passes(x, around=around), maxlen=1)
        return Code(h=h, preactivation=preactivation)

    def start_linear(self, code: LinearCode) -> bool:
        return self.start_layer(*self.linear_layer(code))

    def start_layer(self, matrix: Tensor, bias: Tensor) -> bool:
        """Start z at x M + c, of rows x of length 1 if rows are scaled; return whether z can."""
        if self.path is None and self.row_length is not None:
            matrix = matrix / self.row_length
        return start_as(matrix, bias, path=self.path, weights=self.weights, biases=self.biases)

    def linear_layer(self, code: LinearCode) -> tuple[Tensor, Tensor]:
        """Return M, c of the z = x M + c for which a_k(z) is a linear code: shifted and scaled to
        where a_k is nearly linear, or by two units for a number, where a_k is relu and there are
        enough of them."""
        if self._is_signed(code):
            return code.signed_layer(self.biases[-1])
        center, scale = self._nearly_linear
        matrix, bias = code.layer(self.biases[-1], deviation=scale)
        return matrix, bias + center

    def linear_decoder(self, code: LinearCode) -> Tensor | None:
        return code.signed_decoder(self.biases[-1]) if self._is_signed(code) else None

    def _is_signed(self, code: LinearCode) -> bool:
        return self._rectifies and len(self.biases[-1]) >= 2 * len(code.components)

    def project(self, h: Codes) -> Codes:
        """Clamp h to the range of the code's activation."""
        low, high = self._range
        return h if low is high is None else h.clamp(low, high)

    def _passes(
        self,
        x: Rows,
        depth: int | None = None,
        noise: Callable[[Tensor], Tensor] | None = None,
        around: Around | None = None,
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the preactivation z = h W + b and the activation a(z) of every layer.

        ``around`` changes the last z.
        """
        if self.row_length is None:
            h = x
        else:
            h = rows_of_length(x, self.row_length)
            x = x if self.path is None else rows_of_length(x, 1.0)
        layers = zip(self.weights, self.biases, self._activations, strict=True)
        for k, (weight, bias, activate) in enumerate(islice(layers, depth), start=1):
            preactivation = affine_rows(h, weight, bias)
            if k == len(self.weights):
                preactivation = last_layer(preactivation, x, self.path, around)
            h = activate(preactivation)
            if noise is not None:
                h = noise(h)
            yield preactivation, h


def rows_of_length(x: Rows, length: float) -> Rows:
    """Scale rows to a Euclidean length; rows of zeros stay zero.

    Examples
    --------
    >>> rows_of_length(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), 10.0)
    tensor([[6., 8.],
            [0., 0.]])
    """
    if isinstance(x, SparseRows):
        squares = x.with_values(x.values.square()).row_sums()
        return x.times_rows(length * _inverse_root(squares))
    return x * (length * _inverse_root(x.square().sum(dim=1)))[:, None]


def _inverse_root(squares: Tensor) -> Tensor:
    return torch.where(squares > 0, squares, 1.0).rsqrt()


def affine_rows(x: Rows, weight: Tensor, bias: Tensor) -> Tensor:
    """Return x W + b of a batch, dense or sparse."""
    if isinstance(x, SparseRows):
        return x.matmul(weight).add_(bias)
    return affine(x, weight, bias)


def last_layer(z: Tensor, x: Rows, path: LinearPath | None, around: Around | None) -> Tensor:
    """Return the last layer's z after its linear path, and after what is ``around`` it."""
    z = z if path is None else path(z, x)
    return z if around is None else around(z)


def linear_top(
    x: Rows,
    weights: Iterable[Tensor],
    biases: Iterable[Tensor],
    activate: Callable[[Tensor], Tensor],
    *,
    path: LinearPath | None = None,
    around: Around | None = None,
) -> list[Tensor]:
    """Return the output of every layer, the last one linear, each (batch, width)."""
    pairs = list(zip(weights, biases, strict=True))
    outputs: list[Tensor] = []
    h: Rows = x
    for i, (weight, bias) in enumerate(pairs):
        h = affine_rows(h, weight, bias)
        if i < len(pairs) - 1:
            h = activate(h)
        outputs.append(h)
    outputs[-1] = last_layer(outputs[-1], x, path, around)
    return outputs
