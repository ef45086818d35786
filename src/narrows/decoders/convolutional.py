"""Convolutional decoder: maps that get larger and fewer, up to an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Generator, nn

from narrows._types import Codes, Outputs
from narrows.core.activations import activation_named
from narrows.core.convolution import Doubling, ResidualBlock, as_maps, as_rows, sides
from narrows.core.slots import Decoder
from narrows.decoders.dense import DenseDecoder

__all__ = ["ConvolutionalDecoder"]


class ConvolutionalDecoder(Decoder):
    """g: the encoder's stages mirrored, with weights of its own and a bias for every pixel.

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels of a row.
    channels : sequence of int
        Of the encoder's maps, in its order; here they are taken from the last to the first.
    blocks : int
        Residual blocks before each stage.
    widths : sequence of int
        n_components, then the encoder's dense widths in mirrored order.
    activation : str
        Between layers and of the maps; the output is linear.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    References
    ----------
    Radford, Metz, Chintala (2016), "Unsupervised representation learning with deep convolutional
    generative adversarial networks", ICLR (its generator).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: Sequence[int],
        blocks: int,
        widths: Sequence[int],
        activation: str,
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
            nn.Sequential(
                *(
                    ResidualBlock(n, activate=self._activate, generator=generator)
                    for _ in range(blocks)
                )
            )
            for n in upwards[:-1]
        )
        self.stages = nn.ModuleList(
            Doubling(n_in, n_out, side, generator=generator) for n_in, n_out, side in pairs
        )
        # the image's mean is not the same in every place
        self.biases = nn.ParameterList([nn.Parameter(torch.zeros(math.prod(image_shape)))])

    @property
    def weights(self) -> list[nn.Parameter]:  # pyright: ignore[reportIncompatibleVariableOverride] -- of parts
        stages = [stage.weight for stage in self.stages if isinstance(stage, Doubling)]
        return [*self.bottom.weights, *stages]

    def forward(self, h: Codes) -> Outputs:
        maps = as_maps(self.bottom(h), self._smallest)
        for blocks, stage in zip(self.blocks, self.stages, strict=True):
            maps = stage(blocks(self._activate(maps)))
        return as_rows(maps) + self.biases[0]
