"""Hidden rectangles of images, to train inpainting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor

from narrows.core.checks import check_number
from narrows.core.slots import Corrupted
from narrows.core.sparse import Rows, SparseRows
from narrows.corruptions._emphasis import Emphasis
from narrows.errors import UsageError

__all__ = ["Patches", "with_image_shape"]


@dataclass(frozen=True)
class Patches(Emphasis):
    """x~_j = ``fill`` in ``count`` rectangles of every image, else x_j; NaN is filled in too.

    Each side of a rectangle is a share of the image's side, uniform in [``low``, ``high``], and its
    place is uniform within the image; drawn afresh for every image and step. Shape (batch,
    features) in and out; ``fill`` in scaled units. ``image_shape`` is (height, width) or (height,
    width, channels); estimators replace None by the shape of their images.

    Raises
    ------
    UsageError
        If a share is outside (0, 1], ``low`` above ``high``, ``count`` below 1, or ``image_shape``
        no shape of an image; in use, if the rows are sparse or of another shape.

    References
    ----------
    Pathak, Krahenbuhl, Donahue, Darrell, Efros (2016), "Context encoders: feature learning by
    inpainting", CVPR.

    Examples
    --------
    >>> import torch
    >>> from narrows import Patches
    >>> generator = torch.Generator().manual_seed(0)
    >>> images = torch.ones(1, 16)
    >>> Patches(0.5, 0.5, image_shape=(4, 4))(images, generator=generator).rows.view(4, 4)
    tensor([[1., 1., 1., 1.],
            [1., 1., 1., 1.],
            [0., 0., 1., 1.],
            [0., 0., 1., 1.]])
    """

    admits_missing: ClassVar[bool] = True

    low: float = 0.25
    high: float = 0.5
    count: float = 1
    fill: float = 0.0
    image_shape: Sequence[int] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("Patches: high", self.high, low=0, high=1, low_open=True)
        check_number("Patches: low", self.low, low=0, high=self.high, low_open=True)
        check_number("Patches: count", self.count, low=1)  # numbers of the short form are floats
        check_number("Patches: fill", self.fill)
        object.__setattr__(self, "count", int(self.count))
        if self.image_shape is not None:
            shape = tuple(self.image_shape)
            if len(shape) not in (2, 3):
                raise UsageError(
                    "Patches: image_shape: must be (height, width) or (height, width, channels), "
                    f"got {shape!r}."
                )
            for side in shape:
                check_number("Patches: image_shape", side, low=1, integer=True)
            object.__setattr__(self, "image_shape", shape)  # JSON has lists

    def __call__(self, x: Rows, *, generator: Generator) -> Corrupted:
        if isinstance(x, SparseRows):
            raise UsageError("Patches: needs dense images, got sparse rows; use 'masking'.")
        shape = self.image_shape
        if shape is None:
            raise UsageError(
                "Patches: image_shape: needed to know where a rectangle is; give it, such as "
                "Patches(image_shape=(28, 28)), or images from IDX or a folder."
            )
        if math.prod(shape) != x.shape[1]:
            raise UsageError(
                f"Patches: image_shape {tuple(shape)} does not hold {x.shape[1]} features."
            )
        hidden = self._rectangles(len(x), *(*shape, 1)[:3], generator=generator, device=x.device)
        return self._corrupted(torch.where(hidden, self.fill, x), hidden)

    def _rectangles(
        self,
        n: int,
        height: int,
        width: int,
        channels: int,
        *,
        generator: Generator,
        device: torch.device,
    ) -> Tensor:
        """Return the mask of hidden pixels, (n, features)."""
        draw = torch.rand(4, int(self.count), n, 1, generator=generator, device=device)
        down = self._within(height, draw[0], draw[1])
        across = self._within(width, draw[2], draw[3])
        hidden = (down[..., :, None] & across[..., None, :]).any(dim=0)
        return hidden[..., None].expand(n, height, width, channels).reshape(n, -1)

    def _within(self, side: int, size: Tensor, place: Tensor) -> Tensor:
        """Return the mask of the pixels that an interval covers, (count, n, side)."""
        length = (side * (self.low + (self.high - self.low) * size)).round().clamp(1, side)
        start = (place * (side - length + 1)).floor()
        at = torch.arange(side, device=size.device)
        return (at >= start) & (at < start + length)


def with_image_shape(spec: Any, image_shape: Sequence[int] | None) -> Any:
    """Fill in a missing ``image_shape`` of ``Patches`` or its spec; return others as they are."""
    if isinstance(spec, Patches) and spec.image_shape is None and image_shape is not None:
        given = {name: getattr(spec, name) for name in ("alpha", "beta", "low", "high", "count")}
        return Patches(**given, fill=spec.fill, image_shape=image_shape)
    if isinstance(spec, Mapping) and spec.get("name") == "patches":
        shape = spec.get("image_shape") or image_shape
        return {**spec, "image_shape": None if shape is None else list(shape)}
    return spec
