"""Pictures of rows that no one gave: grids of walks, and samples beside their nearest rows."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from narrows.applications.drawing import name_features
from narrows.applications.figures import image_shape_of, scaled_rows
from narrows.applications.nearness import Memorisation
from narrows.errors import InvalidData
from narrows.model import Model

__all__ = ["sheet_figure", "walk_figure"]

_CELL = 0.55  # inches
_PAD = 0.06  # between images, of their height
_ASIDE = 0.35  # around what was given, not made
_IN_LINE = 10
_PROFILES = 6
_RED = "#D55E00"
_SHEET = {"new": 0.5, "nearest in training": 1.5 + _PAD, "distance": 2.12 + _PAD + 0.1}


def walk_figure(
    model: Model,
    grid: np.ndarray,
    *,
    lines: Sequence[str] = (),
    columns: Sequence[str] = (),
    given: Sequence[int] = (),
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw a grid of rows (n_lines, n_columns, n_features), in input units.

    ``lines`` and ``columns`` name them; the columns ``given`` hold data, and stand a little apart.
    Images, grey or in colour, are drawn as images; other rows as profiles over their features, a
    panel a line for the first six.

    Raises
    ------
    InvalidData
        If the grid is empty or not of three axes, or the shape does not hold a row.
    """
    if grid.ndim != 3 or not grid.size:
        raise InvalidData(f"grid: must be lines x columns x features, got shape {grid.shape}.")
    shape = image_shape_of(model, image_shape)
    if shape is None:
        return _profiles(model, grid, lines, columns, given)
    n_lines, n_columns, _ = grid.shape
    images = _pictures(model, grid.reshape(n_lines * n_columns, -1), shape)
    beside = [_ASIDE if c in given or c + 1 in given else _PAD for c in range(n_columns)]
    left = np.cumsum([0.0, *(1 + gap for gap in beside[:-1])]).tolist()
    top = (np.arange(n_lines) * (1 + _PAD)).tolist()
    head = 0.25 if columns else 0.08
    figure, axis = _board(left[-1] + 1, top[-1] + 1, shape, lines, head)
    for i, image in enumerate(images):
        _place(axis, image, left[i % n_columns], top[i // n_columns], shape)
    for name, y in zip(lines, top, strict=False):
        _say(axis, -0.15, y + 0.5, name, shape, ha="right", va="center")
    for name, x in zip(columns, left, strict=False):
        _say(axis, x + 0.5, -0.12, name, shape, ha="center", va="bottom")
    return figure


def sheet_figure(
    model: Model,
    samples: np.ndarray,
    nearest: np.ndarray,
    measured: Memorisation,
    *,
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw samples above their nearest training rows, both (n, n_features) in input units.

    Under each pair stands its distance, in a frame where ``measured`` counts it as a copy; there
    may be fewer samples than were measured.
    """
    shape = image_shape_of(model, image_shape)
    if shape is None:
        n = min(_PROFILES, len(samples))
        names = [f"{d:.3g} away" for d in measured.distances[:n]]
        grid = np.stack([nearest[:n], samples[:n]], axis=1)
        return _profiles(model, grid, names, ["nearest training row", "new"], [0])
    images = _pictures(model, np.concatenate([samples, nearest]), shape)
    width = min(_IN_LINE, len(samples))
    n_lines = -(-len(samples) // width)
    tall = 2 + _PAD + 2 * _ASIDE
    size = (width + _PAD * (width - 1), n_lines * tall - _ASIDE)
    figure, axis = _board(*size, shape, [*_SHEET], 0.08)
    aspect = shape[0] / shape[1]
    for i in range(len(samples)):
        x, y = i % width * (1 + _PAD), i // width * tall
        _place(axis, images[i], x, y, shape)
        _place(axis, images[len(samples) + i], x, y + 1 + _PAD, shape)
        copy = bool(measured.copies[i])
        said = f"{measured.distances[i]:.2f}"
        colour = _RED if copy else "0.35"
        _say(axis, x + 0.5, y + 2.12 + _PAD, said, shape, ha="center", va="top", color=colour)
        if copy:
            frame = Rectangle((x, y * aspect), 1, (2 + _PAD) * aspect, fill=False, zorder=3,
                              edgecolor=_RED, linewidth=1.5, clip_on=False)  # fmt: skip
            axis.add_patch(frame)
    for line in range(n_lines):
        for name, y in _SHEET.items():
            _say(axis, -0.15, line * tall + y, name, shape, ha="right", va="center")
    return figure


def _pictures(model: Model, rows: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return rows as images of (n, height, width, 3), from 0 to 1."""
    low, high = _range(model, rows)
    images = np.clip((rows.reshape(len(rows), *shape) - low) / max(high - low, 1e-12), 0, 1)
    if images.ndim == 3:
        images = images[..., None]
    if images.shape[-1] != 3:  # a channel that is no colour has no place in a picture but grey
        images = images.mean(axis=-1, keepdims=True).repeat(3, axis=-1)
    return images


def _range(model: Model, rows: np.ndarray) -> tuple[float, float]:
    """Return what is black and what is white: of the model's own scaling where it is one for all
    pixels, so that pictures of one model compare."""
    scaling = model.scaling
    if scaling.kind == "unit" and scaling.scale is not None and scaling.scale.ndim == 0:
        low = 0.0 if scaling.shift is None else float(scaling.shift)
        return low, low + float(scaling.scale)
    return float(rows.min()), float(rows.max())


def _board(
    width: float, height: float, shape: tuple[int, ...], lines: Sequence[str], head: float
) -> tuple[Figure, Axes]:
    """Return an axis for images of width 1, ``width`` and ``height`` in images, with room for the
    names of lines at its left and ``head`` inches above it."""
    aspect = shape[0] / shape[1]
    # about what a letter takes at this size
    left = 0.2 + 0.06 * max(map(len, lines), default=0)
    wide, tall = _CELL * width, _CELL * height * aspect
    whole = (left + wide + 0.1, tall + head + 0.08)
    figure = Figure(figsize=whole, dpi=150)
    place = (left / whole[0], 0.08 / whole[1], wide / whole[0], tall / whole[1])
    axis = figure.add_axes(place)
    axis.set_axis_off()
    axis.set(xlim=(0, width), ylim=(height * aspect, 0), aspect="equal")
    return figure, axis


def _place(axis: Axes, image: np.ndarray, x: float, y: float, shape: tuple[int, ...]) -> None:
    aspect = shape[0] / shape[1]
    axis.imshow(
        image, extent=(x, x + 1, (y + 1) * aspect, y * aspect), interpolation="nearest",
        aspect="equal",
    )  # fmt: skip
    # each image sets the limits anew
    axis.set_autoscale_on(False)


def _say(axis: Axes, x: float, y: float, text: str, shape: tuple[int, ...], **more: str) -> None:
    axis.text(x, y * shape[0] / shape[1], text, fontsize=7, **more)  # pyright: ignore[reportArgumentType] -- keywords of Text


def _profiles(
    model: Model,
    grid: np.ndarray,
    lines: Sequence[str],
    columns: Sequence[str],
    given: Sequence[int],
) -> Figure:
    """Draw a panel a line: data in black, and what was made in colours from first to last."""
    shown = np.stack([scaled_rows(model, line) for line in grid[:_PROFILES]])
    figure = Figure(figsize=(9, 1.3 * len(shown) + 0.8), dpi=150, layout="constrained")
    axes = figure.subplots(len(shown), 1, squeeze=False, sharex=True)[:, 0]
    made = [c for c in range(grid.shape[1]) if c not in given]
    colours = matplotlib.colormaps["viridis"](np.linspace(0.2, 0.95, max(len(made), 1)))
    for i, axis in enumerate(axes):
        for c in range(grid.shape[1]):
            style = {"color": "k", "zorder": 3} if c in given else {"color": colours[made.index(c)]}
            name = columns[c] if c < len(columns) else ""
            # a name stands once, and a column without one shares its neighbour's colours
            axis.plot(shown[i, c], linewidth=1, label=name or "_", **style)
        axis.set_ylabel(lines[i] if i < len(lines) else f"row {i}", fontsize=8)
        axis.tick_params(labelsize=7)
    name_features(axes[-1], model.schema.names)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=6, fontsize=8)
    return figure
