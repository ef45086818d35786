"""Layers of convolutional encoders and decoders: halving, doubling and residual blocks.

A stage halves or doubles both sides of a feature map, (batch, channels, height, width). Sides may
have any length: odd ones are padded on the way down and cropped on the way up, so that the
decoder's maps mirror the encoder's. Maps are in torch's "channels last" memory order, as rows of
pixels are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from narrows._types import Batch
from narrows.errors import UsageError

__all__ = [
    "Halving",
    "Doubling",
    "ResidualBlock",
    "as_maps",
    "as_rows",
    "checked_shape",
    "convolution_weight",
    "residual_blocks",
    "sides",
]

Activate = Callable[[Tensor], Tensor]

_LONGEST = 1 << 20


def checked_shape(image_shape: Sequence[int] | None, n_features: int) -> tuple[int, int, int]:
    """Return (height, width, channels); an image without channels has one.

    Raises
    ------
    UsageError
        If the shape is not two or three positive integers whose product is ``n_features``.

    Examples
    --------
    >>> checked_shape((8, 8), 64)
    (8, 8, 1)
    """
    shape = tuple(image_shape or ())
    whole = all(isinstance(n, int) and not isinstance(n, bool) and n >= 1 for n in shape)
    if len(shape) not in (2, 3) or not whole or math.prod(shape) != n_features:
        raise UsageError(
            f"image_shape: must be (height, width) or (height, width, channels) with a product of "
            f"{n_features}, the number of features, got {image_shape!r}."
        )
    height, width, channels = (*shape, 1)[:3]
    return height, width, channels


def sides(height: int, width: int, n_stages: int) -> list[tuple[int, int]]:
    """Return (height, width) of the image and of the map after every stage.

    Examples
    --------
    >>> sides(28, 28, 3)
    [(28, 28), (14, 14), (7, 7), (4, 4)]
    """
    found = [(height, width)]
    for _ in range(n_stages):
        height, width = -(-height // 2), -(-width // 2)
        found.append((height, width))
    return found


def as_maps(x: Batch, shape: tuple[int, int, int]) -> Tensor:
    """View rows of pixels as maps, (batch, channels, height, width)."""
    return x.unflatten(1, shape).permute(0, 3, 1, 2)


def as_rows(maps: Tensor) -> Batch:
    """Flatten maps to rows, channels last, (batch, height * width * channels)."""
    return maps.permute(0, 2, 3, 1).flatten(1)


class Halving(nn.Module):
    """Halve both sides, rounding up: a 4 x 4 convolution with stride 2.

    A side of one pixel stays as it is, with a kernel one pixel long.
    """

    def __init__(
        self, n_in: int, n_out: int, side: tuple[int, int], *, generator: Generator
    ) -> None:
        super().__init__()
        self._window = _Window(side)
        self.weight = convolution_weight(n_out, n_in, *self._window.size, generator=generator)
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, maps: Tensor) -> Tensor:
        window = self._window
        if any(window.odd):  # one more line of zeros at the end
            maps = F.pad(maps, (0, window.odd[1], 0, window.odd[0]))
        return F.conv2d(maps, self.weight, self.bias, stride=window.stride, padding=window.padding)


class Doubling(nn.Module):
    """Double both sides: ``Halving`` transposed, cropped to the ``side`` that it mirrors."""

    def __init__(
        self, n_in: int, n_out: int, side: tuple[int, int], *, generator: Generator
    ) -> None:
        super().__init__()
        self._window, self._side = _Window(side), side
        # an output pixel sums over size / stride inputs along a side, not over size of them
        overlap = math.prod(self._window.size) // math.prod(self._window.stride)
        self.weight = convolution_weight(
            n_in, n_out, *self._window.size, fan=n_in * overlap, generator=generator
        )
        self.bias = nn.Parameter(torch.zeros(n_out))

    def forward(self, maps: Tensor) -> Tensor:
        window = self._window
        grown = F.conv_transpose2d(
            maps, self.weight, self.bias, stride=window.stride, padding=window.padding
        )
        return grown[..., : self._side[0], : self._side[1]]


class _Window:
    """Kernel size, stride and padding along each side of a map."""

    def __init__(self, side: tuple[int, int]) -> None:
        self.size = tuple(4 if n > 1 else 1 for n in side)
        self.stride = tuple(2 if n > 1 else 1 for n in side)
        self.padding = tuple(1 if n > 1 else 0 for n in side)
        self.odd = tuple(n % 2 if n > 1 else 0 for n in side)


class ResidualBlock(nn.Module):
    """maps + W_2 * a(W_1 * a(maps)), with 3 x 3 kernels.

    W_2 starts at 0, so that a new block is the identity.

    References
    ----------
    He, Zhang, Ren, Sun (2016), "Identity mappings in deep residual networks", ECCV; the start at
    0: Goyal et al. (2017), "Accurate, large minibatch SGD".
    """

    def __init__(self, width: int, *, activate: Activate, generator: Generator) -> None:
        super().__init__()
        self.first = convolution_weight(width, width, 3, 3, generator=generator)
        self.second = nn.Parameter(torch.zeros(width, width, 3, 3))
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(width)) for _ in range(2))
        self._activate = activate

    def forward(self, maps: Tensor) -> Tensor:
        inner = F.conv2d(self._activate(maps), self.first, self.biases[0], padding=1)
        return maps + F.conv2d(self._activate(inner), self.second, self.biases[1], padding=1)


def residual_blocks(
    width: int, n_blocks: int, *, activate: Activate, generator: Generator
) -> nn.Sequential:
    """Return a sequence of residual blocks of ``width`` channels."""
    blocks = (ResidualBlock(width, activate=activate, generator=generator) for _ in range(n_blocks))
    return nn.Sequential(*blocks)


def convolution_weight(*shape: int, generator: Generator, fan: int | None = None) -> nn.Parameter:
    """Draw a normal weight of variance 2 / fan, where an output sums over ``fan`` inputs.

    References
    ----------
    He, Zhang, Ren, Sun (2015), "Delving deep into rectifiers", ICCV.
    """
    fan = fan or math.prod(shape[1:])
    weight = torch.empty(*shape)
    return nn.Parameter(weight.normal_(0, (2 / fan) ** 0.5, generator=generator))
