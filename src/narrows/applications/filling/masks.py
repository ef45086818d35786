"""Which values are hidden: a mask as users have it, or a rule that draws one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from narrows.core.checks import check_number
from narrows.errors import UsageError, did_you_mean

__all__ = ["drawn_mask", "read_mask", "row_masks"]

_KINDS = "'quadrant', 'square:SIDE', 'missing:SHARE', or the name of a .npy file"


def row_masks(
    mask: Any, n_rows: int, n_features: int, image_shape: tuple[int, ...] | None
) -> np.ndarray:
    """Return a mask as booleans, (1, n_features) for all rows or (n_rows, n_features).

    ``mask`` is (n_features,), (n_rows, n_features), or shaped as one image or as n_rows of them,
    of which the channels can be left out.

    Raises
    ------
    UsageError
        If it has another shape, or other values than True and False, 1 and 0; if the images
        have another number of features.
    """
    _check_shape(image_shape, n_features)
    array = np.asarray(mask)
    if array.dtype != bool:
        if array.dtype.kind not in "biuf" or not np.isin(array, (0, 1)).all():
            raise UsageError("mask: must hold True (hidden) and False (known), or 1 and 0.")
        array = array.astype(bool)
    if array.shape == (n_features,):
        return array[None]
    if array.shape == (n_rows, n_features):
        return array
    whole = tuple(image_shape or ())
    for shape in {whole, whole[:2]}:
        if whole and array.shape in (shape, (n_rows, *shape)):
            rows = array.reshape(-1, math.prod(shape))
            return np.repeat(rows, math.prod(whole) // math.prod(shape), axis=1)
    images = f", or images {whole} or {n_rows} of them" if whole else ""
    raise UsageError(
        f"mask: must be ({n_features},) or ({n_rows}, {n_features}){images}, got {array.shape}."
    )


def read_mask(
    name: str,
    n_rows: int,
    n_features: int,
    image_shape: tuple[int, ...] | None,
    *,
    seed: int,
) -> np.ndarray:
    """Return the mask of a file, or the one that a rule draws; shapes as ``row_masks`` has them.

    Raises
    ------
    UsageError
        If it is neither, or does not fit the rows.
    """
    if Path(name).suffix.lower() != ".npy":
        return drawn_mask(name, n_rows, n_features, image_shape, seed=seed)
    try:
        array = np.load(name, allow_pickle=False, mmap_mode="r")
    except FileNotFoundError:
        raise UsageError(f"mask: {name}: no such file; give {_KINDS}.") from None
    except (ValueError, OSError, EOFError) as error:
        raise UsageError(f"mask: {name}: cannot be read: {error}") from None
    return row_masks(array, n_rows, n_features, image_shape)


def drawn_mask(
    rule: str,
    n_rows: int,
    n_features: int,
    image_shape: tuple[int, ...] | None,
    *,
    seed: int,
) -> np.ndarray:
    """Return a mask of every row, (n_rows, n_features), by the rule's name.

    "quadrant" hides one of the four, each in a quarter of the rows; "square:14" a square of
    14 x 14 pixels, its place drawn; "missing:0.5" each value with probability 0.5, the channels
    of a pixel together.

    Raises
    ------
    UsageError
        If the rule is unknown, does not fit the image, or the rows are no images, or none of
        that shape.
    """
    _check_shape(image_shape, n_features)
    kind, _, text = rule.partition(":")
    rng = np.random.default_rng(seed)
    if kind not in ("quadrant", "square", "missing") or (kind == "quadrant") == bool(text):
        hint = did_you_mean(kind, ("quadrant", "square", "missing"))
        raise UsageError(f"mask: {rule!r} is unknown; give {_KINDS}.{hint}")
    value = _number(text, rule) if text else 0.0
    if kind == "missing":
        check_number("mask: missing", value, low=0, high=1)
        pixels = math.prod(image_shape[:2]) if image_shape else n_features
        hidden = rng.random((n_rows, pixels)) < value
        return np.repeat(hidden, n_features // pixels, axis=1)
    if image_shape is None or len(image_shape) > 3:
        raise UsageError(f"mask: {rule!r} needs images; say their shape, or use 'missing:0.5'.")
    height, width, channels = (*image_shape, 1)[:3]
    if kind == "quadrant":
        sides = (height + 1) // 2, (width + 1) // 2
        turn = rng.permutation(n_rows)
        top, left = turn // 2 % 2 * (height - sides[0]), turn % 2 * (width - sides[1])
    else:
        side = int(value) if value.is_integer() else value
        check_number("mask: square", side, low=1, high=min(height, width), integer=True)
        sides = int(side), int(side)
        top = rng.integers(0, height - sides[0] + 1, n_rows)
        left = rng.integers(0, width - sides[1] + 1, n_rows)
    down = _stretch(top, sides[0], height)
    across = _stretch(left, sides[1], width)
    hidden = down[:, :, None] & across[:, None, :]
    return np.repeat(hidden.reshape(n_rows, -1), channels, axis=1)


def _check_shape(image_shape: tuple[int, ...] | None, n_features: int) -> None:
    if image_shape is not None and math.prod(image_shape) != n_features:
        raise UsageError(f"image shape {image_shape}: does not hold {n_features} features.")


def _stretch(start: np.ndarray, length: int, side: int) -> np.ndarray:
    at = np.arange(side)
    return (at >= start[:, None]) & (at < start[:, None] + length)


def _number(text: str, rule: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"mask: {rule!r}: {text!r} is no number; give {_KINDS}.") from None
