"""Convolutional encoder: ever smaller maps of an image, then a code of the last ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Generator, Tensor, nn

from narrows._types import Codes
from narrows.core.activations import activation_named
from narrows.core.convolution import Halving, as_maps, as_rows, residual_blocks, sides
from narrows.core.linear_path import LinearCode, LinearPath, start_as
from narrows.core.slots import Code, Encoder
from narrows.core.sparse import Rows, dense_rows
from narrows.encoders.dense import Around, DenseEncoder
from narrows.encoders.gaussian import GaussianEncoder

__all__ = ["ConvolutionalEncoder"]


class ConvolutionalEncoder(Encoder):
    """f(x) = top(maps(x)): every stage halves the sides of the maps; ``top`` reads the last maps.

    Cost: O(batch x pixels x channels^2) for each stage. Sparse rows are made dense, a batch at a
    time.

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels of a row, in which the channels of a pixel are adjacent.
    channels : sequence of int
        Number of maps after each stage.
    blocks : int
        Number of residual blocks after each stage.
    top : Encoder
        Reads the last maps as rows, (batch, height * width * channels): dense or gaussian.
    activation : str
        Activation of the maps.
    linear_path : bool, default=False
        Whether there is a linear path from the pixels to the top's last layer.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    Raises
    ------
    UsageError
        If an activation is unknown.

    References
    ----------
    Masci, Meier, Ciresan, Schmidhuber (2011), "Stacked convolutional auto-encoders for
    hierarchical feature extraction", ICANN.

    Examples
    --------
    >>> import torch
    >>> from narrows.encoders import ConvolutionalEncoder, DenseEncoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> top = DenseEncoder([2 * 2 * 6, 3], activation="silu", generator=generator)
    >>> encoder = ConvolutionalEncoder(
    ...     (8, 8, 1), channels=[4, 6], blocks=0, top=top, activation="silu", generator=generator
    ... )
    >>> x = torch.rand(5, 64, generator=generator)
    >>> [tuple(maps.shape) for maps in encoder.maps(x)]
    [(5, 4, 4, 4), (5, 6, 2, 2)]
    >>> encoder(x).h.shape
    torch.Size([5, 3])
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: Sequence[int],
        blocks: int,
        top: DenseEncoder | GaussianEncoder,
        activation: str,
        linear_path: bool = False,
        generator: Generator,
    ) -> None:
        super().__init__()
        self.image_shape = image_shape
        self._activate = activation_named(activation)
        self.sides = sides(*image_shape[:2], len(channels))
        self.channels = [image_shape[2], *channels]
        pairs = zip(self.channels, self.channels[1:], self.sides, strict=False)
        self.stages = nn.ModuleList(
            Halving(n_in, n_out, side, generator=generator) for n_in, n_out, side in pairs
        )
        self.blocks = nn.ModuleList(
            residual_blocks(width, blocks, activate=self._activate, generator=generator)
            for width in channels
        )
        self.top = top
        self.stochastic = top.stochastic
        n_out = len(top.biases[-1])
        self.path = LinearPath(math.prod(image_shape), n_out) if linear_path else None

    @property
    def weights(self) -> list[nn.Parameter]:  # pyright: ignore[reportIncompatibleVariableOverride] -- of parts
        stages = [stage.weight for stage in self.stages if isinstance(stage, Halving)]
        return [*stages, *self.top.weights]

    @property
    def widths(self) -> list[int]:
        maps = zip(self.sides[1:], self.channels[1:], strict=True)
        return [*(h * w * channels for (h, w), channels in maps), *self.top.widths]

    def maps(self, x: Rows, depth: int | None = None) -> list[Tensor]:
        """Return the maps after every stage, each (batch, channels, height, width).

        Stop after ``depth`` stages, if given.
        """
        maps = as_maps(dense_rows(x), self.image_shape)
        found: list[Tensor] = []
        for stage, blocks in list(zip(self.stages, self.blocks, strict=True))[:depth]:
            maps = blocks(self._activate(stage(maps)))
            found.append(maps)
        return found

    def layers(self, x: Rows) -> list[Tensor]:
        """Return the maps of every stage as rows, then the layers of the top, the code last."""
        rows = [as_rows(maps) for maps in self.maps(x)]
        return [*rows, *self.top.layers(rows[-1], around=self._around(x))]

    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code:
        maps = as_rows(self.maps(x)[-1])
        return self.top(maps, generator=generator, around=self._around(x))

    def start_linear(self, code: LinearCode) -> bool:
        if self.path is None:
            return False
        matrix, bias = self.top.linear_layer(code)
        top = self.top
        return start_as(matrix, bias, path=self.path, weights=top.weights, biases=top.biases)

    def _around(self, x: Rows) -> Around | None:
        path = self.path
        return None if path is None else lambda z: path(z, dense_rows(x))

    def project(self, h: Codes) -> Codes:
        return self.top.project(h)
