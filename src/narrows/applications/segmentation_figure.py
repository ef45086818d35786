"""Masks drawn over images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from narrows.applications.lettering import fitting, fitting_legend

__all__ = ["segmentation_figure"]

_COLOURS = ((230, 97, 1), (0, 114, 178), (0, 158, 115), (204, 121, 167), (240, 228, 66))


def segmentation_figure(
    images: np.ndarray,
    said: np.ndarray,
    *,
    image_shape: tuple[int, int, int],
    classes: Sequence[int],
    truth: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> Figure:
    """Draw images (n, n_features), the masks said of them and the true ones where they are known.

    Masks (n, n_pixels) are laid over the image in grey: a colour for each class after the first.
    ``names`` are what the images are called.
    """
    height, width, channels = image_shape
    low, high = float(images.min()), float(images.max())
    shown = (images - low) / max(high - low, 1e-12)
    shown = shown.reshape(-1, height, width, channels)
    if channels != 3:
        shown = np.repeat(shown.mean(axis=3, keepdims=True), 3, axis=3)
    strips = [("image", shown), ("predicted", _painted(shown, said, classes))]
    if truth is not None:
        strips.append(("true", _painted(shown, truth, classes)))
    n = len(images)
    size = (max(0.7 + 1.15 * n, 3.5), 0.4 + 1.2 * len(strips))
    figure = Figure(figsize=size, dpi=120, layout="constrained")
    axes = figure.subplots(len(strips), n, squeeze=False, gridspec_kw={"wspace": 0, "hspace": 0})
    for line, (name, strip) in zip(axes, strips, strict=True):
        for axis, image in zip(line, strip, strict=True):
            axis.imshow(image)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(name, fontsize=8)
    for axis, name in zip(axes[0], names, strict=False):
        axis.set_title(fitting(name, 7, 1), fontsize=7)
    keys = [Patch(color="0.4", label=f"class {classes[0]}: not painted")]
    keys += [
        Patch(color=tuple(_colour(i)), label=f"class {value}")
        for i, value in enumerate(classes[1:])
    ]
    fitting_legend(figure, keys, loc="outside lower center", frameon=False)
    return figure


def _colour(i: int) -> np.ndarray:
    return np.array(_COLOURS[i % len(_COLOURS)]) / 255


def _painted(images: np.ndarray, masks: np.ndarray, classes: Sequence[int]) -> np.ndarray:
    """Return images in grey under the colours of their masks, so that each is itself anywhere."""
    painted = np.repeat(images.mean(axis=3, keepdims=True), 3, axis=3)
    masks = masks.reshape(images.shape[:3])
    for i, value in enumerate(classes[1:]):
        painted[masks == value] = 0.35 * painted[masks == value] + 0.65 * _colour(i)
    return painted
