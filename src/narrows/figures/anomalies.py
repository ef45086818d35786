"""Draw the most anomalous rows with their contributions, and a histogram of all p-values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from narrows.applications.anomalies.flagging import FlaggedRows
from narrows.applications.printing import counted
from narrows.errors import InvalidData
from narrows.figures.mosaic import pictures
from narrows.figures.palette import BLUE, RED
from narrows.figures.text_layout import fitting, shortened, wrapped

__all__ = ["anomaly_figure"]

_PALE_BLUE = "#8FBFDC"
_BARS = 5
_COLUMNS, _BINS = 10, 20
_IN_BIN = 10
"""Smallest number of rows, and of possible p-values, in a bin."""


def anomaly_figure(
    rows: np.ndarray,
    rebuilt: np.ndarray,
    contributions: np.ndarray,
    *,
    titles: Sequence[str],
    found: FlaggedRows,
    names: Sequence[str],
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw the top rows (n, n_features) beside a histogram of the p-values of all rows.

    ``found`` holds the scores of all rows. Without p-values, or with fewer than 20 rows or 20
    possible p-values, a line gives the reason in place of the histogram.

    At most ten images are drawn, above their reconstructions and the maps of their contributions.
    Of other rows, at most six, the features with the largest contributions are drawn as bars.

    Raises
    ------
    InvalidData
        If the rows are not images of ``image_shape``.
    """
    n_rows, smallest = len(found.errors), found.smallest_p_value
    edges, expected = _bins(n_rows, smallest or 1)
    drawn = len(expected) > 1
    if image_shape is not None:
        if math.prod(image_shape) != rows.shape[1]:
            raise InvalidData(f"image shape {image_shape}: does not hold {rows.shape[1]} features.")
        height = max(2.5, 0.55 + 2 * image_shape[0] / image_shape[1])
        widths = (7.75, 3.25)
        figure, left, right = _parts(height, widths, drawn)
        _images(left, rows, rebuilt, contributions, titles, image_shape)
    else:
        n = min(len(rows), 6)
        widths = (6.45, 3.55)
        figure, left, right = _parts(3.9, widths, drawn)
        columns = 3 if n > 4 else max(1, min(n, 2))
        axes = left.subplots(-(-n // columns), columns, squeeze=False).ravel()
        for axis in axes[n:]:
            axis.set_axis_off()
        longest = min(100.0, 108 * float(contributions[:n].max()))
        for axis, row, title in zip(axes[:n], contributions, titles, strict=False):
            _bars(axis, row, names, fitting(title, 8, 5.7 / columns), longest)
        left.supxlabel("share of the row's error, %", fontsize=8)
    if drawn and found.p_values is not None:
        title = wrapped(str(found), 8, widths[1] - 0.9)
        _histogram(right.subplots(), found.p_values, title, edges, expected)
    else:
        lines = (str(found), _too_few(n_rows, smallest))
        figure.suptitle("\n".join(wrapped(line, 8, widths[0] - 0.4) for line in lines), fontsize=8)
    return figure


def _parts(height: float, widths: tuple[float, float], both: bool) -> tuple[Figure, Any, Any]:
    """Return a figure with its left and right part; without ``both`` the right part is None."""
    figure = Figure(
        figsize=(sum(widths) if both else widths[0], height), dpi=150, layout="constrained"
    )
    if not both:
        return figure, figure.subfigures(1, 1), None
    parts: Any = figure.subfigures(1, 2, width_ratios=widths)
    return figure, *parts


def _too_few(n_rows: int, smallest: float | None) -> str:
    if smallest is None:
        return "no histogram of p-values: no rows were held out to compute them from"
    few = f"{round(1 / smallest) - 1} rows held out"
    if n_rows < 2 * _IN_BIN:
        few = counted(n_rows, "row")
    return f"no histogram of p-values: too few, {few}"


def _images(
    figure: Any,
    rows: np.ndarray,
    rebuilt: np.ndarray,
    contributions: np.ndarray,
    titles: Sequence[str],
    shape: tuple[int, ...],
) -> None:
    n = min(len(rows), _COLUMNS)
    axes = figure.subplots(3, n, squeeze=False, gridspec_kw={"wspace": 0.04, "hspace": 0.04})
    known = rows[:n][np.isfinite(rows[:n])]
    limits = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if known.size < rows[:n].size:
        figure.supxlabel("pink: no value", fontsize=8)
    maps = [_brightness(row.reshape(shape)) for row in contributions[:n]]
    for column in range(n):
        for line, row in enumerate((rows, rebuilt)):
            axes[line, column].imshow(pictures(row[column][None], shape, limits)[0])
        axes[2, column].imshow(maps[column], cmap="magma", vmin=0)
        axes[0, column].set_title(fitting(titles[column], 6.5, 6 / n), fontsize=6.5)
    for axis, label in zip(
        axes[:, 0], ("row", "reconstructed", "share of\nthe error,\nbright: most"), strict=True
    ):
        axis.set_ylabel(label, rotation="horizontal", ha="right", va="center", fontsize=8)
    for axis in axes.ravel():
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)


def _brightness(image: np.ndarray) -> np.ndarray:
    """Return the contributions of pixels, the sums over their channels."""
    return image.sum(axis=2) if image.ndim > 2 else image


def _bars(
    axis: Axes, contributions: np.ndarray, names: Sequence[str], title: str, longest: float
) -> None:
    first = np.argsort(-contributions, kind="stable")[:_BARS]
    labels = [shortened(names[int(i)], 20) for i in first]
    axis.barh(range(len(first)), 100 * contributions[first], color=BLUE, height=0.7)
    axis.set_yticks(range(len(first)), labels, fontsize=7)
    axis.invert_yaxis()
    axis.set_xlim(0, longest)
    axis.set_title(title, fontsize=8)
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def _histogram(
    axis: Axes, p_values: np.ndarray, title: str, edges: np.ndarray, expected: np.ndarray
) -> None:
    counts = axis.hist(
        p_values, bins=edges.tolist(), color=_PALE_BLUE, edgecolor="w", linewidth=0.4
    )[0]
    levels = len(p_values) * expected
    axis.stairs(
        levels, edges, baseline=None, color=RED, linestyle="--", linewidth=1.4,
        label="if all were normal",
    )  # fmt: skip
    axis.legend(fontsize=8, frameon=False, loc="upper right")
    axis.set_title(title, fontsize=8)
    axis.set_ylim(0, 1.2 * max(float(np.max(counts)), float(levels.max())))
    axis.set_xlim(0, edges[-1])
    axis.set_xlabel("p-value", fontsize=8)
    axis.set_ylabel("rows", fontsize=8)
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.tick_params(labelsize=7)
    axis.spines[["top", "right"]].set_visible(False)


def _bins(n_rows: int, smallest: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the edges of the bins, and the share of normal rows in each.

    There are at most 20 bins, with at least ten normal rows and ten possible p-values in each:
    fewer would show mostly chance, of these rows or of the held-out rows. The number of normal rows
    between two held-out errors is random, so that a bin of k p-values is off by a share of
    1 / sqrt(k). Bins hold equally many p-values, the first ones at most one more.
    """
    n_bins = max(1, min(_BINS, n_rows // _IN_BIN))
    n_values = round(1 / smallest)
    n_bins = max(1, min(n_bins, n_values // _IN_BIN))
    each, more = divmod(n_values, n_bins)
    bins = np.arange(n_bins + 1)
    last = each * bins + np.minimum(bins, more)  # the last possible p-value of each bin
    edges = np.append((last[:-1] + 0.5 * (last[:-1] > 0)) / n_values, 1.0)
    return edges, np.diff(last) / n_values
