"""Draw images side by side in one axis, with names on the left and above."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from narrows.figures.text_layout import fitting, text_width

__all__ = ["ASIDE", "MISSING", "PAD", "Board", "draw_mosaic", "pictures"]

MISSING = (0.98, 0.6, 0.75)
"""The color of pixels without a value: pink."""

PAD = 0.06
"""Gap between images, as a share of their width."""

ASIDE = 0.35
"""Gap between data and generated images."""

_LETTERS = 7


def pictures(rows: np.ndarray, shape: tuple[int, ...], limits: tuple[float, float]) -> np.ndarray:
    """Return rows (n, n_features) as images (n, height, width, 3), from 0 to 1.

    ``limits`` are the values of black and white. Images without three channels become gray, and
    pixels with a missing value, NaN, get the color ``MISSING``.
    """
    low, high = limits
    images = np.clip((rows.reshape(len(rows), *shape) - low) / max(high - low, 1e-12), 0, 1)
    if images.ndim == 3:
        images = images[..., None]
    missing = np.isnan(images).any(axis=-1)
    if images.shape[-1] != 3:
        images = images.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    images[missing] = MISSING
    return images


class Board:
    """An axis for images of one shape; the unit is the size of an image, the origin the upper left.

    ``size`` is the width and height in images, ``lines`` are the names to write on the left,
    ``head`` is the space above in inches, ``cell`` the width of an image in inches.
    """

    def __init__(
        self,
        size: tuple[float, float],
        shape: tuple[int, ...],
        *,
        lines: Sequence[str] = (),
        head: float = 0.08,
        cell: float = 0.55,
        title: str = "",
    ) -> None:
        self.aspect = shape[0] / shape[1]
        widest = max((text_width(line, _LETTERS) for line in lines), default=0.0)
        left = 0.28 + 1.03 * widest if widest else 0.1
        wide, tall = cell * size[0], cell * size[1] * self.aspect
        whole_width = max(left + wide + 0.1, text_width(title, _LETTERS + 1) + 0.2)
        head += 0.22 * bool(title)
        whole = (whole_width, tall + head + 0.08)
        self.figure = Figure(figsize=whole, dpi=150)
        place = (left / whole[0], 0.08 / whole[1], wide / whole[0], tall / whole[1])
        self.axis: Axes = self.figure.add_axes(place)
        self.axis.set_axis_off()
        self.axis.set(xlim=(0, size[0]), ylim=(size[1] * self.aspect, 0), aspect="equal")
        if title:
            self.figure.text(0.1 / whole[0], 1 - 0.06 / whole[1], title, fontsize=_LETTERS + 1,
                             va="top")  # fmt: skip

    def place(self, image: np.ndarray, x: float, y: float) -> None:
        extent = (x, x + 1, (y + 1) * self.aspect, y * self.aspect)
        self.axis.imshow(image, extent=extent, interpolation="nearest", aspect="equal")
        # imshow turns autoscaling on again
        self.axis.set_autoscale_on(False)

    def write(self, x: float, y: float, text: str, ha: str, va: str, color: str = "k") -> None:
        self.axis.text(x, y * self.aspect, text, fontsize=_LETTERS, ha=ha, va=va, color=color)

    def name_line(self, y: float, name: str) -> None:
        """Write a name on the left, at the height ``y``."""
        self.write(-0.15, y, name, ha="right", va="center")

    def frame(self, x: float, y: float, height: float, color: str) -> None:
        self.axis.add_patch(
            Rectangle((x, y * self.aspect), 1, height * self.aspect, fill=False, zorder=3,
                      edgecolor=color, linewidth=1.5, clip_on=False)
        )  # fmt: skip


def draw_mosaic(
    images: np.ndarray,
    n_columns: int,
    *,
    lines: Sequence[str] = (),
    columns: Sequence[str] = (),
    given: Sequence[int] = (),
    cell: float = 0.55,
    title: str = "",
) -> Figure:
    """Draw images (n, height, width, 3), from 0 to 1, line by line.

    ``lines`` and ``columns`` are their names; the columns ``given`` stand a little apart.
    """
    shape = images.shape[1:3]
    beside = [ASIDE if c in given or c + 1 in given else PAD for c in range(n_columns)]
    left = np.cumsum([0.0, *(1 + gap for gap in beside[:-1])]).tolist()
    top = (np.arange(-(-len(images) // n_columns)) * (1 + PAD)).tolist()
    board = Board(
        (left[-1] + 1, top[-1] + 1), shape, lines=lines, head=0.25 if any(columns) else 0.08,
        cell=cell, title=title,
    )  # fmt: skip
    for i, image in enumerate(images):
        board.place(image, left[i % n_columns], top[i // n_columns])
    for name, y in zip(lines, top, strict=False):
        board.name_line(y + 0.5, name)
    for name, x in zip(columns, left, strict=False):
        short = fitting(name, _LETTERS, 0.92 * cell)
        board.axis.annotate(
            short, (x + 0.5, 0), xytext=(0, 4), textcoords="offset points", fontsize=_LETTERS,
            ha="center", va="bottom", annotation_clip=False,
        )  # fmt: skip
    return board.figure
