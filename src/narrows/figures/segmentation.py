"""Draw predicted and true masks over images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from narrows.figures.palette import class_colors
from narrows.figures.text_layout import fitting, fitting_legend

__all__ = ["segmentation_figure"]

_NAMED = 40
"""At most this many classes are named in the legend."""

_LONGEST = 2.2
"""Width of a name in the legend, in inches."""

_UNKNOWN = np.array([1.0, 1.0, 1.0])


def segmentation_figure(
    images: np.ndarray,
    predicted: np.ndarray,
    *,
    image_shape: tuple[int, int, int],
    classes: Sequence[int],
    truth: np.ndarray | None = None,
    unknown: int | None = None,
    names: Sequence[str] = (),
    class_names: Sequence[str] | None = None,
) -> Figure:
    """Draw images (n, n_features), the predicted masks and, if given, the true masks.

    Masks (n, n_pixels) are painted over the image in gray, each class in its own color; of two
    classes only the second is painted. ``names`` are those of the images, ``class_names`` those of
    the classes. The legend names the classes in the masks. Pixels whose true class is ``unknown``
    are white.
    """
    height, width, channels = image_shape
    low, high = float(np.nanmin(images)), float(np.nanmax(images))
    shown = (np.nan_to_num(images, nan=low) - low) / max(high - low, 1e-12)
    shown = shown.reshape(-1, height, width, channels)
    if channels != 3:
        shown = np.repeat(shown.mean(axis=3, keepdims=True), 3, axis=3)
    colors = dict(zip(classes, class_colors(len(classes)), strict=True))
    if len(classes) <= 2:
        colors = {value: class_colors(2)[1] for value in classes[1:]}
    strips = [("image", shown), ("predicted", _painted(shown, predicted, colors, unknown=None))]
    if truth is not None:
        strips.append(("true", _painted(shown, truth, colors, unknown=unknown)))
    n = len(images)
    side = 1.15 * height / width
    size = (max(0.7 + 1.15 * n, 3.5), 0.4 + max(0.4, min(side, 4.0)) * len(strips))
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
    if class_names is None:
        class_names = [f"class {value}" for value in classes]
    present = np.unique(np.concatenate([predicted.ravel(), [] if truth is None else truth.ravel()]))
    drawn = {v: name for v, name in zip(classes, class_names, strict=True) if v in present}
    keys = _keys(drawn, colors)
    if unknown is not None and unknown in present and unknown not in drawn:
        keys.append(Patch(facecolor=tuple(_UNKNOWN), edgecolor="0.6", label="not labeled"))
    n_lines = fitting_legend(figure, keys, loc="outside lower center", frameon=False)
    figure.set_figheight(size[1] + 0.2 * n_lines)
    return figure


def _keys(drawn: dict[int, str], colors: dict[int, np.ndarray]) -> list[Patch]:
    """Return the patches of the legend for the classes that are drawn."""
    keys = []
    for value, name in drawn.items():
        short = fitting(name, 8, _LONGEST)
        if value in colors:
            keys.append(Patch(color=tuple(colors[value]), label=short))
        else:
            keys.append(Patch(color="0.4", label=f"{short}: not painted"))
    if len(keys) > _NAMED:
        more = f"and {len(keys) - _NAMED} more classes"
        keys = [*keys[:_NAMED], Patch(color="none", label=more)]
    return keys


def _painted(
    images: np.ndarray, masks: np.ndarray, colors: dict[int, np.ndarray], *, unknown: int | None
) -> np.ndarray:
    """Return gray images painted in the colors of their masks, so that colors mean classes only."""
    painted = np.repeat(images.mean(axis=3, keepdims=True), 3, axis=3)
    masks = masks.reshape(images.shape[:3])
    for value, color in colors.items():
        painted[masks == value] = 0.3 * painted[masks == value] + 0.7 * color
    if unknown is not None and unknown not in colors:
        painted[masks == unknown] = _UNKNOWN
    return painted
