"""Segment images: predict the class of every pixel from maps of all stages of an encoder.

    J(x, y) = sum over pixels of T( y, c( maps of f(x) ) ) + weight * [ L( x, g( f(x~) ) ) + Omega ]

Lin, Dollar, Girshick, He, Hariharan, Belongie (2017), "Feature pyramid networks for object
detection", CVPR (c); Ronneberger, Fischer, Brox (2015), "U-Net", MICCAI.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from narrows._types import PerSample
from narrows.core.activations import activation_named
from narrows.core.convolution import as_maps, as_rows, convolution_weight, sides
from narrows.core.objective import Objective
from narrows.core.sparse import Rows, dense_rows
from narrows.core.targets import target_errors
from narrows.core.terms import Terms, Trainable
from narrows.core.weights import fill_missing, mean_over_rows
from narrows.encoders import ConvolutionalEncoder

__all__ = ["SegmentationHead", "SegmentationTask", "head_sizes", "pyramid"]


class SegmentationHead(nn.Module):
    """c: the image and the maps of every stage to the logits of each pixel.

    From the last maps upwards, maps are upsampled by 2, those of the stage above are added through
    a 1 x 1 convolution (3 x 3 for the image itself), and a residual 3 x 3 convolution smooths the
    sum. All of them have ``width`` channels.

    ``shift`` and ``scale``, one for each channel, standardize the maps of a frozen encoder.
    """

    reads = "maps"
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        *,
        channels: Sequence[int],
        n_outputs: int,
        width: int,
        activation: str,
        generator: Generator,
    ) -> None:
        super().__init__()
        self._image_shape = image_shape
        self._channels = [image_shape[2], *channels]
        self._sides = sides(*image_shape[:2], len(channels))
        self.activation, self._activate = activation, activation_named(activation)
        windows = [3] + [1] * len(channels)
        self.lateral = nn.ParameterList(
            convolution_weight(width, n, window, window, generator=generator)
            for n, window in zip(self._channels, windows, strict=True)
        )
        self.smooth = nn.ParameterList(
            convolution_weight(width, width, 3, 3, generator=generator) for _ in self._channels
        )
        self.biases = nn.ParameterList(
            nn.Parameter(torch.zeros(width)) for _ in range(2 * len(self._channels))
        )
        self.last = nn.Parameter(
            torch.empty(n_outputs, width).normal_(0, width**-0.5, generator=generator)
        )
        self.last_bias = nn.Parameter(torch.zeros(n_outputs))
        self.register_buffer("shift", torch.zeros(sum(self._channels)))
        self.register_buffer("scale", torch.ones(sum(self._channels)))

    @property
    def widths(self) -> list[int]:
        """Channels of the maps, and classes: with them a head like this is recreated."""
        return list(self.last.shape[::-1])

    @staticmethod
    def widths_in(tensors: Mapping[str, Tensor]) -> list[int]:
        """Return those widths, in any order, from a head's tensors."""
        return list(tensors["last"].shape)

    @torch.no_grad()
    def start_at(self, maps: Sequence[Tensor]) -> None:
        """Standardize every channel by the images and maps of some rows; constant ones by 1."""
        stats = [torch.std_mean(m.float(), dim=(0, 2, 3), correction=0) for m in maps]
        std = torch.cat([s for s, _ in stats])
        self.shift.copy_(torch.cat([m for _, m in stats]))
        self.scale.copy_(torch.where(std <= 1e-6, 1.0, std))

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Return logits (batch, n_outputs, height, width) of the image and its maps."""
        shifts, scales = (v.split(self._channels) for v in (self.shift, self.scale))
        depth = len(self._channels)
        h: Tensor | None = None
        for level in reversed(range(depth)):
            maps = (pyramid[level] - shifts[level][:, None, None]) / scales[level][:, None, None]
            weight = self.lateral[level]
            maps = F.conv2d(maps, weight, self.biases[level], padding=weight.shape[-1] // 2)
            if h is not None:
                maps = maps + F.interpolate(h, size=self._sides[level], mode="nearest")
            inner = self._activate(maps)
            h = maps + F.conv2d(inner, self.smooth[level], self.biases[depth + level], padding=1)
        assert h is not None
        return F.conv2d(self._activate(h), self.last[:, :, None, None], self.last_bias).float()


def head_sizes(encoder: ConvolutionalEncoder, width: int, n_outputs: int) -> tuple[int, int]:
    """Return the number of weights of a head, and of numbers that a row keeps in training.

    The latter are four maps of each stage, forward and backward, and the logits.
    """
    areas = [height * across for height, across in encoder.sides]
    weights = width * (sum(encoder.channels) + 9 * width * len(areas) + n_outputs)
    return weights, 8 * width * sum(areas) + 4 * n_outputs * areas[0]


def pyramid(objective: Objective, x: Rows) -> list[Tensor]:
    """Return the image and the encoder's maps of scaled rows."""
    encoder = objective.encoder
    assert isinstance(encoder, ConvolutionalEncoder)
    x, _ = fill_missing(dense_rows(x), objective.corruption)
    return [as_maps(dense_rows(x), encoder.image_shape), *encoder.maps(x)]


class SegmentationTask(Trainable):
    """T, summed over the pixels of known class, alone or together with the autoencoder's J.

    Parameters
    ----------
    objective : Objective
        The autoencoder, whose encoder is convolutional.
    head : SegmentationHead
        c.
    frozen : bool
        Whether the encoder keeps its weights.
    reconstruction_weight : float
        Weight of the autoencoder's J; 0 leaves it out.
    flips : bool
        Whether each image and its mask are mirrored left to right, and top to bottom, with
        probability 1/2 in every step.
    """

    def __init__(
        self,
        objective: Objective,
        head: SegmentationHead,
        *,
        frozen: bool,
        reconstruction_weight: float = 0.0,
        flips: bool = True,
    ) -> None:
        super().__init__()
        self.class_weights: Tensor | None = None  # (n_outputs,), factors on the T of a pixel
        assert isinstance(objective.encoder, ConvolutionalEncoder)
        self.head, self.flips = head, flips
        self.reconstruction_weight = reconstruction_weight
        self.trained = nn.ModuleList([] if frozen else [objective])
        self._frozen = frozen
        self._objective = (objective,)  # a tuple hides a frozen net from the optimizer

    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        assert y is not None
        x = dense_rows(x)
        if self.flips:
            x, y = self._flipped(x, y, generator)
        loss = mean_over_rows(self._per_sample(x, y), weights)
        penalty = loss.new_zeros(())
        if self.reconstruction_weight:
            (objective,) = self._objective
            reconstruction = objective(x, None, generator=generator, weights=weights).total
            penalty = self.reconstruction_weight * reconstruction
        return Terms(total=loss + penalty, loss=loss, penalty=penalty)

    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        assert y is not None
        return self._per_sample(dense_rows(x), y)

    def logits(self, x: Rows) -> Tensor:
        """Return the logits of every pixel, (batch, n_outputs, height, width)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self._frozen):
            maps = pyramid(self._objective[0], x)
        return self.head(maps)

    def _per_sample(self, x: Tensor, y: Tensor) -> PerSample:
        logits = self.logits(x).permute(0, 2, 3, 1)
        errors, _ = target_errors(
            logits.reshape(-1, logits.shape[-1]), y.reshape(-1).long(), classification=True
        )
        if self.class_weights is not None:
            errors = errors * self.class_weights.to(errors)[y.reshape(-1).long().clamp_min(0)]
        return errors.view(len(x), -1).sum(dim=1)

    def _flipped(self, x: Tensor, y: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Mirror random images and their masks, along each axis by itself."""
        (objective,) = self._objective
        encoder = objective.encoder
        assert isinstance(encoder, ConvolutionalEncoder)
        height, width, _ = encoder.image_shape
        maps, masks = as_maps(x, encoder.image_shape), y.view(-1, 1, height, width)
        for axis in (2, 3):
            flipped = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device) < 0.5
            maps = torch.where(flipped, maps.flip(axis), maps)
            masks = torch.where(flipped, masks.flip(axis), masks)
        return as_rows(maps), masks.reshape(len(y), -1)
