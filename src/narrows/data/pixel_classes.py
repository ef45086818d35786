"""Validate masks, which give the class of every pixel as an integer."""

from __future__ import annotations

from typing import Any

import numpy as np

from narrows.errors import InvalidData

__all__ = ["FEW", "pixel_classes", "pixel_values"]

FEW = 32
"""The default limit on the number of classes; more are probably noise."""

_NAMED = 4


def pixel_classes(
    y: Any,
    n_rows: int,
    sides: tuple[int, int],
    *,
    unknown: int | None = None,
    most: int = FEW,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of each pixel's class, (n_rows, n_pixels) int16, and the sorted classes.

    The index is -1 where y is ``unknown``. Classes are int64.

    Raises
    ------
    InvalidData
        See ``pixel_values``; also if no class is known or there are more than ``most``.
    """
    masks = pixel_values(y, n_rows, sides)
    known = np.ones(masks.shape, bool) if unknown is None else masks != unknown
    classes = np.unique(masks[known])
    if not len(classes):
        raise InvalidData(f"y: every pixel has the label for unknown, {unknown}.")
    if len(classes) > most:
        first = ", ".join(map(str, classes[:_NAMED]))
        raise InvalidData(
            f"y: {len(classes)} classes of pixels ({first}, ... {classes[-1]}), more than "
            f"max_classes={most}. Values between classes come from JPEG compression, smoothing or "
            "resizing: store masks as PNG or .npy of class numbers, or threshold them, such as "
            "masks > 127; if there are so many classes, raise max_classes."
        )
    return np.where(known, np.searchsorted(classes, masks), -1).astype(np.int16), classes


def pixel_values(y: Any, n_rows: int, sides: tuple[int, int]) -> np.ndarray:
    """Return masks as (n_rows, n_pixels), int64.

    y is (n_rows, n_pixels), or (n_rows, height, width) with these ``sides``, with or without a
    channel axis of length 1 before or after them, or (n_rows,) if all pixels of a row have one
    class.

    Raises
    ------
    InvalidData
        If y has another shape or values other than integers.
    """
    height, width = sides
    n_pixels = height * width
    if y is None:
        raise InvalidData("y: a segmenter requires y to be passed, but the target y is None.")
    masks = np.asarray(y)
    if masks.dtype.kind not in "biuf":
        raise InvalidData(f"y: masks must be integers, got {masks.dtype}. Unknown label type.")
    images = ((n_rows, *sides), (n_rows, *sides, 1), (n_rows, 1, *sides))
    if masks.shape in ((n_rows, n_pixels), *images):
        masks = masks.reshape(n_rows, n_pixels)
    elif masks.shape in ((n_rows,), (n_rows, 1)):
        masks = masks.reshape(n_rows, 1).repeat(n_pixels, axis=1)
    else:
        raise InvalidData(
            f"y: expected masks of shape ({n_rows}, {n_pixels}), or ({n_rows}, {height}, {width}), "
            f"got {masks.shape}."
        )
    if masks.dtype.kind == "f" and not np.equal(masks, np.round(masks)).all():
        raise InvalidData("y: masks must be integers; probabilities need a threshold first.")
    if masks.dtype.kind in "uf" and not (np.abs(masks) < 2.0**53).all():
        wrong = masks[~(np.abs(masks) < 2.0**53)][0]
        raise InvalidData(f"y: masks must be integers below 2^53, got {wrong!r}.")
    return masks.astype(np.int64)
