"""Convolutional decoder: ever larger maps, up to an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from narrows._types import Codes, Outputs
from narrows.core.activations import activation_named
from narrows.core.convolution import Doubling, as_maps, as_rows, residual_blocks, sides
from narrows.core.linear_path import LinearPath, start_as
from narrows.core.slots import Decoder
from narrows.decoders.dense import DenseDecoder

__all__ = ["ConvolutionalDecoder"]


class ConvolutionalDecoder(Decoder):
    """g: the encoder's stages mirrored, with its own weights and a bias for every pixel.

    Cost: O(batch x pixels x channels^2) for each stage.

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels of a row.
    channels : sequence of int
        Number of the encoder's maps, in the encoder's order; used here in reverse.
    blocks : int
        Number of residual blocks before each stage.
    widths : sequence of int
        n_components, then the encoder's dense widths in reverse order.
    activation : str
        Between layers and of the maps; the output is linear.
    linear_path : bool, default=False
        Whether there is a linear path from the code to the pixels.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    Raises
    ------
    UsageError
        If an activation is unknown.

    References
    ----------
    Radford, Metz, Chintala (2016), "Unsupervised representation learning with deep convolutional
    generative adversarial networks", ICLR (its generator).

    Examples
    --------
    >>> import torch
    >>> from narrows.decoders import ConvolutionalDecoder
    >>> generator = torch.Generator().manual_seed(0)
    >>> decoder = ConvolutionalDecoder(
    ...     (8, 8, 1), channels=[4, 6], blocks=0, widths=[3], activation="silu", generator=generator
    ... )
    >>> decoder(torch.zeros(5, 3)).shape
    torch.Size([5, 64])
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: Sequence[int],
        blocks: int,
        widths: Sequence[int],
        activation: str,
        linear_path: bool = False,
        generator: Generator,
    ) -> None:
        super().__init__()
        self._activate = activation_named(activation)
        *below, (height, width) = sides(*image_shape[:2], len(channels))
        self._smallest = (height, width, channels[-1])
        self.bottom = DenseDecoder(
            [*widths, math.prod(self._smallest)], activation=activation, generator=generator
        )
        upwards = [*channels[::-1], image_shape[2]]
        pairs = zip(upwards, upwards[1:], below[::-1], strict=False)
        self.blocks = nn.ModuleList(
            residual_blocks(width, blocks, activate=self._activate, generator=generator)
            for width in upwards[:-1]
        )
        self.stages = nn.ModuleList(
            Doubling(n_in, n_out, side, generator=generator) for n_in, n_out, side in pairs
        )
        # the mean of the images differs from pixel to pixel
        n_pixels = math.prod(image_shape)
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(n_pixels))])
        self.path = LinearPath(widths[0], n_pixels) if linear_path else None

    @property
    def weights(self) -> list[nn.Parameter]:  # pyright: ignore[reportIncompatibleVariableOverride] -- of parts
        stages = [stage.weight for stage in self.stages if isinstance(stage, Doubling)]
        return [*self.bottom.weights, *stages]

    def forward(self, h: Codes) -> Outputs:
        maps = as_maps(self.bottom(h), self._smallest)
        for blocks, stage in zip(self.blocks, self.stages, strict=True):
            maps = stage(blocks(self._activate(maps)))
        output = as_rows(maps) + self.biases[0]
        return output if self.path is None else self.path(output, h)

    def start_linear(self, matrix: Tensor, center: Tensor, mean: Tensor) -> bool:
        if self.path is None:
            return False
        bias, none = mean - center @ matrix, nn.ParameterList()
        return start_as(matrix, bias, path=self.path, weights=none, biases=self.biases)
