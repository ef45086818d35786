"""Random affine and elastic maps of images: new clean images in every epoch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from narrows.core.checks import check_number
from narrows.errors import UsageError

__all__ = ["Affine"]

_POINTS = 4
"""Points along each side of the grid that the warp moves."""


@dataclass(frozen=True)
class Affine:
    """x -> T(x), with T a random rotation, shear, scaling, shift and warp; 0 outside the image.

    Each amount is uniform within plus or minus its bound: ``rotation`` and ``shear`` in radians,
    ``scale`` as a share of the size (each axis by itself), ``shift`` and ``elastic`` in pixels. The
    warp moves a 4 x 4 grid of points by ``elastic``; pixels between them follow smoothly. ``flip``
    is the share of images that are mirrored left to right. "bilinear" ``interpolation`` is twice
    as fast; "bicubic" keeps strokes sharper, and is clipped to the range of the batch.

    T(x) is both what is corrupted and what is reconstructed: this is more data, not a corruption.
    ``until`` is the share of the epochs that use it: interpolation blurs, so training ends on the
    images as they are. Shape (batch, features) in and out. Cost: O(batch x pixels), about 1 ms for
    256 images of 28 x 28.

    Raises
    ------
    UsageError
        If a bound is negative, ``until`` or ``flip`` outside [0, 1], or ``interpolation`` unknown;
        in use, if the rows are not dense images.

    References
    ----------
    Simard, Steinkraus, Platt (2003), "Best practices for convolutional neural networks applied
    to visual document analysis", ICDAR.

    Examples
    --------
    >>> import torch
    >>> from narrows import Affine
    >>> image = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]])
    >>> mirror = Affine(rotation=0, shear=0, scale=0, shift=0, flip=1)
    >>> mirror(image, (3, 3), generator=torch.Generator()).view(3, 3).round().abs()
    tensor([[1., 0., 0.],
            [1., 0., 0.],
            [1., 0., 0.]])
    """

    rotation: float = 0.14
    shear: float = 0.12
    scale: float = 0.06
    shift: float = 0.9
    until: float = 0.8
    elastic: float = 0.0
    interpolation: str = "bilinear"
    flip: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rotation", "shear", "scale", "shift", "elastic"):
            check_number(f"Affine: {name}", getattr(self, name), low=0)
        check_number("Affine: until", self.until, low=0, high=1)
        check_number("Affine: flip", self.flip, low=0, high=1)
        if self.interpolation not in ("bilinear", "bicubic"):
            raise UsageError(
                f"Affine: interpolation must be 'bilinear' or 'bicubic', "
                f"got {self.interpolation!r}."
            )

    def __call__(
        self, x: Tensor, image_shape: tuple[int, ...] | None, *, generator: Generator
    ) -> Tensor:
        if image_shape is None or not isinstance(x, Tensor):
            raise UsageError("Affine: needs images; read them from IDX or a folder of images.")
        height, width, channels = (*image_shape, 1)[:3]
        images = x.view(-1, height, width, channels).permute(0, 3, 1, 2)
        grid = self._grid(len(x), height, width, generator, x.device)
        moved = F.grid_sample(images, grid, mode=self.interpolation, align_corners=False)
        if self.interpolation == "bicubic":
            moved = moved.clamp_(images.amin(), images.amax())
        return moved.permute(0, 2, 3, 1).reshape(len(x), -1)

    def _grid(
        self, n: int, height: int, width: int, generator: Generator, device: torch.device
    ) -> Tensor:
        """Return where each output pixel is read, (n, height, width, 2), in half images."""
        draws = torch.rand(6, n, 1, 1, generator=generator, device=device) * 2 - 1
        angle, shear = draws[0] * self.rotation, draws[1] * self.shear
        across, along = 1 + draws[2] * self.scale, 1 + draws[3] * self.scale
        cos, sin = angle.cos(), angle.sin()
        # pixel centers from -1 to 1; computed here, since F.affine_grid takes five times as long
        across_at = (torch.arange(width, device=device) * 2 + 1) / width - 1
        if self.flip:  # draws nothing otherwise, so that seeds of older fits give the same images
            mirrored = torch.rand(n, 1, 1, generator=generator, device=device) < self.flip
            across_at = torch.where(mirrored, -across_at, across_at)
        down_at = ((torch.arange(height, device=device) * 2 + 1) / height - 1)[:, None]
        to_x = cos * across * across_at + (shear - sin) * along * down_at
        to_y = sin * across * across_at + cos * along * down_at
        to_x = to_x + draws[4] * self.shift * 2 / width
        to_y = to_y + draws[5] * self.shift * 2 / height
        grid = torch.stack([to_x, to_y], dim=-1)
        return grid + self._warp(n, height, width, generator, device) if self.elastic else grid

    def _warp(
        self, n: int, height: int, width: int, generator: Generator, device: torch.device
    ) -> Tensor:
        """Return smooth displacements, (n, height, width, 2), in half images."""
        points = torch.rand(n, 2, _POINTS, _POINTS, generator=generator, device=device) * 2 - 1
        smooth = F.interpolate(points, size=(height, width), mode="bicubic", align_corners=True)
        unit = torch.tensor([2 / width, 2 / height], device=device) * self.elastic
        return smooth.permute(0, 2, 3, 1) * unit
