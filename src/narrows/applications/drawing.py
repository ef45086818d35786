"""Drawing rows: images in strips, or profiles over their features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["draw_images", "draw_profiles", "name_features"]

_NAMED = 16
"""So many features have their names under them."""


def draw_images(
    labels: Sequence[str], strips: Sequence[np.ndarray], shape: tuple[int, ...]
) -> Figure:
    n = len(strips[0])
    figure = Figure(figsize=(2.2 + 0.7 * n, 0.78 * len(strips)), dpi=150, layout="constrained")
    axes = figure.subplots(len(strips), n, squeeze=False, gridspec_kw={"wspace": 0, "hspace": 0})
    low, high = float(strips[0].min()), float(strips[0].max())
    for line, label, strip in zip(axes, labels, strips, strict=True):
        for axis, row in zip(line, strip, strict=True):
            image = np.clip((row.reshape(shape) - low) / max(high - low, 1e-12), 0, 1)
            # an axis of a single channel goes, one of a single line of pixels stays
            axis.imshow(image.squeeze() if image.ndim > 2 else image, cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(
            label, rotation="horizontal", ha="right", va="center", fontsize=8, labelpad=8
        )
    return figure


def draw_profiles(
    labels: Sequence[str],
    strips: Sequence[np.ndarray],
    *,
    names: Sequence[str] | None = None,
    marked: np.ndarray | None = None,
) -> Figure:
    """Draw rows as lines over their features, with a dot on the second strip where ``marked``."""
    n = min(len(strips[0]), 6)
    figure = Figure(figsize=(9, 1.3 * n + 0.6), dpi=150, layout="constrained")
    axes = figure.subplots(n, 1, squeeze=False, sharex=True)[:, 0]
    for i, axis in enumerate(axes):
        for label, strip, style in zip(labels, strips, ("k-", "C0-", "C1--", "C2:"), strict=False):
            axis.plot(strip[i], style, label=label.replace("\n", ", "), linewidth=1)
        if marked is not None:
            at = marked[i].nonzero()[0]
            axis.plot(at, strips[1][i][at], "C3o", markersize=4, label="filled in")
        axis.set_ylabel(f"row {i}", fontsize=8)
        axis.tick_params(labelsize=7)
    name_features(axes[-1], names)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8
    )
    return figure


def name_features(axis: Axes, names: Sequence[str] | None) -> None:
    """Say what the numbers along the lowest of some profiles are."""
    if names is not None and len(names) <= _NAMED:
        axis.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=7)
    axis.set_xlabel("feature (scaled units)", fontsize=8)
