"""Colors and markers that people of every color vision can tell apart."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["BLUE", "GREEN", "MARKERS", "RED", "class_colors", "class_markers"]

BLUE, RED, GREEN = "#0072B2", "#D55E00", "#009E73"
"""The colors of lines and marks, of Okabe and Ito's palette."""

_FIRST = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233))
"""The colors of Okabe and Ito's palette that are dark enough on white."""

MARKERS = ("o", "^", "s", "D", "v", "P", "X")
_LEVELS = 15
_LIGHTNESS = (28.0, 78.0)
_CHROMA = (22.0, 85.0)
"""Below is gray, the color of points without a class; above is garish."""

_BLIND = 0.6
"""Weight of a color difference as seen without green cones; as seen by others it is 1."""

_MOST = 256


def class_colors(n: int) -> np.ndarray:
    """Return ``n`` colors (n, 3) from 0 to 1; after 256 they repeat.

    The first five are Okabe and Ito's. Each further one is taken from a grid of colors that are
    neither gray nor too pale on white, as the farthest in CIELAB from all previous ones, as seen
    with and without green cones. The first colors do not depend on ``n``.
    """
    chosen = _chosen(min(n, _MOST))
    return chosen[np.arange(n) % len(chosen)] if n else chosen[:0]


def class_markers(n: int) -> list[str]:
    """Return ``n`` markers for scatter plots, to distinguish classes of similar colors."""
    return [MARKERS[i % len(MARKERS)] for i in range(n)]


@cache
def _chosen(n: int) -> np.ndarray:
    levels = np.linspace(0, 1, _LEVELS)
    grid = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    lab = _lab(grid)
    kept = np.ones(len(grid), bool)
    for values, (low, high) in (
        (lab[:, 0], _LIGHTNESS),
        (np.hypot(lab[:, 1], lab[:, 2]), _CHROMA),
    ):
        kept &= (values >= low) & (values <= high)
    colors = np.concatenate([np.array(_FIRST) / 255, grid[kept]])
    seen = np.concatenate([_lab(colors), _BLIND * _lab(_without_green_cones(colors))], axis=1)
    chosen = list(range(min(n, len(_FIRST))))
    nearest = np.full(len(colors), np.inf)
    for i in chosen:
        nearest = np.minimum(nearest, np.square(seen - seen[i]).sum(axis=1))
    while len(chosen) < n:
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.square(seen - seen[chosen[-1]]).sum(axis=1))
    return colors[chosen]


def _linear(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _lab(srgb: np.ndarray) -> np.ndarray:
    """Return sRGB colors in CIELAB (n, 3), white D65 (CIE 1976)."""
    xyz = _linear(srgb) @ np.array(
        [[0.4124, 0.2126, 0.0193], [0.3576, 0.7152, 0.1192], [0.1805, 0.0722, 0.9505]]
    )
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1
    )


def _without_green_cones(srgb: np.ndarray) -> np.ndarray:
    """Return sRGB colors as deuteranopes see them (Vienot, Brettel, Mollon 1999, "Digital video
    colormaps for checking the legibility of displays by dichromats")."""
    # in linear RGB: the product of their matrices and the loss of the cone
    seen = _linear(srgb) @ np.array(
        [[0.29275, 0.29275, -0.02234], [0.70725, 0.70725, 0.02234], [0.0, 0.0, 1.0]]
    )
    seen = np.clip(seen, 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)
