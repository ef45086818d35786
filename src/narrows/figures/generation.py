"""Draw generated rows: samples, grids of walks, samples with their nearest training rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from narrows.applications.generation.memorization import Memorization
from narrows.errors import InvalidData
from narrows.figures.drawing import PANELS, Strip, draw_heat
from narrows.figures.mosaic import ASIDE, PAD, Board, draw_mosaic, pictures
from narrows.figures.palette import RED
from narrows.figures.rows import draw_rows, n_drawn, row_numbers, scaled_rows, unit_of
from narrows.model.model import Model
from narrows.writers.pixels import image_shape_of, pixel_limits, pixel_range

__all__ = ["sample_figure", "sheet_figure", "walk_figure"]

_IN_LINE = 10
_IN_HEAT = 40
_CUT = 0.02
"""Share of the pixels that is cut off at each end of their range."""

_WORDS = 16
_GRAY = "0.35"
_SHEET = {"new": 0.5, "nearest in training": 1.5 + PAD, "distance": 2.12 + PAD + 0.1}
_COPIES = "framed: closer to a training row than 99% of reconstructed rows; 1 in 100 by chance"


def sample_figure(
    model: Model,
    rows: np.ndarray,
    *,
    labels: Sequence[str] = (),
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw generated rows (n, n_features): images in lines of ten, the first six texts by their
    words, or up to forty other rows as colors.

    ``labels`` name the lines of images.
    """
    shape = image_shape_of(model, image_shape)
    if shape is not None:
        # a single extreme row would leave the others without contrast
        limits = pixel_range(model) or tuple(np.quantile(rows, [_CUT, 1 - _CUT]))
        images = pictures(rows, shape, limits)
        return draw_mosaic(images, min(len(rows), _IN_LINE), lines=labels, cell=0.7)
    if model.vocabulary is not None:
        names = [f"new text {i}" for i in range(min(len(rows), PANELS))]
        return draw_rows(
            model, [Strip("generated", "model", scaled_rows(model, rows))], lines=names
        )
    shown = scaled_rows(model, rows[:_IN_HEAT])
    title = f"{len(shown)} of {len(rows)} new rows" if len(rows) > _IN_HEAT else "new rows"
    return draw_heat(
        shown[None], titles=[title], lines=row_numbers(range(len(shown))), unit=unit_of(model),
        names=model.schema.names,
    )  # fmt: skip


def walk_figure(
    model: Model,
    grid: np.ndarray,
    *,
    lines: Sequence[str] = (),
    columns: Sequence[str] = (),
    given: Sequence[int] = (),
    title: str = "",
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw a grid of rows (n_lines, n_columns, n_features), in input units.

    ``lines`` and ``columns`` are their names; the columns ``given`` hold data and stand a little
    apart. Images are drawn as images, gray or in color. Of other rows the first six lines are drawn
    as colors, a panel each; texts by the words whose shares differ most.

    Raises
    ------
    InvalidData
        If the grid is empty or has not three axes, or ``image_shape`` does not fit a row.
    """
    if grid.ndim != 3 or not grid.size:
        raise InvalidData(f"grid: must be lines x columns x features, got shape {grid.shape}.")
    shape = image_shape_of(model, image_shape)
    n_lines, n_columns, n_features = grid.shape
    if shape is not None:
        rows = grid.reshape(n_lines * n_columns, -1)
        data = grid[:, list(given)] if given else rows
        images = pictures(rows, shape, pixel_limits(model, data))
        if np.isnan(rows).any():
            title = f"{title}{title and '; '}pink: no value"
        return draw_mosaic(
            images, n_columns, lines=lines, columns=columns, given=given, title=title
        )
    shown = np.stack([scaled_rows(model, line) for line in grid[:PANELS]])
    names = model.schema.names
    if model.vocabulary is not None:
        most = np.argsort(-np.ptp(shown, axis=(0, 1)), kind="stable")[:_WORDS]
        shown, names = shown[..., most], [model.vocabulary.terms[i] for i in most]
    named = [*lines[: len(shown)], *[f"line {i}" for i in range(len(lines), len(shown))]]
    steps = [*columns[:n_columns], *[""] * (n_columns - len(columns))]
    return draw_heat(
        shown, titles=named, lines=steps, unit=unit_of(model), names=names, title=title
    )


def sheet_figure(
    model: Model,
    samples: np.ndarray,
    nearest: np.ndarray,
    measured: Memorization,
    *,
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw samples above their nearest training rows, both (n, n_features) in input units.

    Each pair is labeled with its distance, and framed if ``measured`` counts it as a copy. There
    may be fewer samples than were measured.
    """
    shape = image_shape_of(model, image_shape)
    if shape is None:
        n = n_drawn(model, len(samples), None)
        names = [f"{distance:.3g} away{', a copy' if copy else ''}" for distance, copy
                 in zip(measured.distances[:n], measured.copies[:n], strict=True)]  # fmt: skip
        strips = [Strip("nearest training row", "data", scaled_rows(model, nearest[:n])),
                  Strip("new", "model", scaled_rows(model, samples[:n]))]  # fmt: skip
        return draw_rows(model, strips, lines=names)
    limits = pixel_limits(model, nearest)
    new, near = (pictures(rows, shape, limits) for rows in (samples, nearest))
    width = min(_IN_LINE, len(samples))
    n_lines = -(-len(samples) // width)
    tall = 2 + PAD + 2 * ASIDE
    size = (width + PAD * (width - 1), n_lines * tall - ASIDE)
    title = _COPIES if measured.copies[: len(samples)].any() else ""
    board = Board(size, shape, lines=[*_SHEET], title=title)
    for i in range(len(samples)):
        x, y = i % width * (1 + PAD), i // width * tall
        board.place(new[i], x, y)
        board.place(near[i], x, y + 1 + PAD)
        copy = bool(measured.copies[i])
        board.write(x + 0.5, y + 2.12 + PAD, f"{measured.distances[i]:.2f}", ha="center", va="top",
                    color=RED if copy else _GRAY)  # fmt: skip
        if copy:
            board.frame(x, y, 2 + PAD, RED)
    for line in range(n_lines):
        for name, y in _SHEET.items():
            board.name_line(line * tall + y, name)
    return board.figure
