"""Determine the image shape of rows, from the argument, the data, or the number of features."""

from __future__ import annotations

import math
from collections.abc import Sequence

from narrows.core.convolution import checked_shape
from narrows.data.source import Source
from narrows.errors import ImageShapeWarning, UsageError, warn

__all__ = ["check_order", "shape_of_rows"]

_MAX_CHANNELS = 4
"""Most channels of an image: three colors and opacity."""


def shape_of_rows(source: Source, given: Sequence[int] | None) -> tuple[int, int, int]:
    """Return height, width and channels of a row.

    Raises
    ------
    UsageError
        If ``given`` does not fit the number of features, or the data are color images with
        channels first.
    """
    n, of_data = source.n_features, source.image_shape
    if given is not None:
        return checked_shape(given, n)
    if of_data is not None and len(of_data) < 4:
        shape = checked_shape(of_data, n)
        _check_channels_last(shape, source)
        return shape
    for channels in (1, 3):
        side = math.isqrt(n // channels)
        if side > 1 and side * side * channels == n:
            return side, side, channels
    warn(
        f"{source.origin}: {n} features do not make a square image and are read as a signal, in "
        f"which neighboring columns belong together; give image_shape=(1, {n}) (--image-shape "
        f"1,{n}) if they do, or use Autoencoder (--variant plain) for a table.",
        ImageShapeWarning,
    )
    return 1, n, 1


def _check_channels_last(shape: tuple[int, int, int], source: Source) -> None:
    """Refuse color images with channels first, and warn of gray images that may have them first."""
    first, second, last = shape
    if first not in (1, 3, 4) or last <= _MAX_CHANNELS:
        return
    message = f"{source.origin}: images of height {first} with {last} channels; if "
    if first > 1:
        raise UsageError(
            f"{message}the colors come first, move them: X.transpose(0, 2, 3, 1); if not, give "
            f"{_as_argument(shape)}."
        )
    warn(
        f"{message}the first axis is the one channel, give {_as_argument((second, last))}; if not, "
        f"give {_as_argument(shape)}.",
        ImageShapeWarning,
    )


def _as_argument(shape: tuple[int, ...]) -> str:
    """Return a shape as an argument in Python and on the command line."""
    return f"image_shape={shape} (--image-shape {','.join(map(str, shape))})"


def check_order(source: Source, given: Sequence[int] | None) -> None:
    """Raise UsageError for images whose axes are in another order than the argument's."""
    if given is None or source.image_shape is None:
        return
    of_data, wanted = ([n for n in shape if n != 1] for shape in (source.image_shape, given))
    if of_data != wanted and sorted(of_data) == sorted(wanted):
        raise UsageError(
            f"image_shape: is {tuple(given)}, but {source.origin} holds images of shape "
            f"{tuple(source.image_shape)}; bring their axes into the order of image_shape: "
            f"X.transpose{_axes(source.image_shape, wanted)}; or, if they are already in the order "
            "height, width, channels, leave image_shape out (--image-shape)."
        )


def _axes(shape: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """Return the transposition that brings images to the ``wanted`` sides; sides of 1 come last."""
    left = list(range(len(shape)))
    axes = []
    for side in (*wanted, *[1] * (len(shape) - len(wanted))):
        axes.append(next(axis for axis in left if shape[axis] == side))
        left.remove(axes[-1])
    return (0, *(axis + 1 for axis in axes))
