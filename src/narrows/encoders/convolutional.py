"""Convolutional encoder: maps that get smaller and more, then a code of them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Generator, Tensor, nn

from narrows._types import Codes
from narrows.core.activations import activation_named
from narrows.core.convolution import Halving, ResidualBlock, as_maps, as_rows, sides
from narrows.core.slots import Code, Encoder, Rows, dense_rows

__all__ = ["ConvolutionalEncoder"]


class ConvolutionalEncoder(Encoder):
    """f(x) = top(maps(x)): every stage halves the sides of the maps, the top reads the last.

    Cost: O(batch x pixels x channels) a stage. Sparse rows are densified, a batch at a time.

    Parameters
    ----------
    image_shape : tuple of int
        Height, width and channels of a row, whose channels stand together, pixel by pixel.
    channels : sequence of int
        Of the maps after each stage.
    blocks : int
        Residual blocks after each stage.
    top : Encoder
        Reads the last maps as rows, (batch, height * width * channels): dense, gaussian, ...
    activation : str
        Of the maps.
    generator : torch.Generator
        Draws the initial weights; biases start at 0.

    References
    ----------
    Masci, Meier, Ciresan, Schmidhuber (2011), "Stacked convolutional auto-encoders for
    hierarchical feature extraction", ICANN.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: Sequence[int],
        blocks: int,
        top: Encoder,
        activation: str,
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
            nn.Sequential(
                *(
                    ResidualBlock(width, activate=self._activate, generator=generator)
                    for _ in range(blocks)
                )
            )
            for width in channels
        )
        self.top = top
        self.stochastic = top.stochastic

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

        ``depth`` stops after that many.
        """
        maps = as_maps(dense_rows(x), self.image_shape)
        found: list[Tensor] = []
        for stage, blocks in list(zip(self.stages, self.blocks, strict=True))[:depth]:
            maps = blocks(self._activate(stage(maps)))
            found.append(maps)
        return found

    def layers(self, x: Rows) -> list[Tensor]:
        """Return the maps of every stage as rows, then the top's layers, the code last."""
        rows = [as_rows(maps) for maps in self.maps(x)]
        return [*rows, *self.top.layers(rows[-1])]

    def forward(self, x: Rows, *, generator: Generator | None = None) -> Code:
        return self.top(as_rows(self.maps(x)[-1]), generator=generator)

    def project(self, h: Codes) -> Codes:
        return self.top.project(h)
