"""Draw rows as strips of images, profiles over features, colors, or the words of texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from narrows.figures.mosaic import draw_mosaic, pictures
from narrows.figures.palette import BLUE, GREEN, RED
from narrows.figures.text_layout import fitting, fitting_legend, shortened, text_width

__all__ = ["PANELS", "Strip", "draw_heat", "draw_images", "draw_profiles", "draw_words"]

PANELS = 6
"""Largest number of panels; rows other than images have a panel each."""

_NAMED = 16
"""Features are named on the axis up to this number."""

_LAYERS = {
    role: 3 + i for i, role in enumerate(("nearest", "corrupted", "baseline", "model", "data"))
}

_DOTTED = 40
"""Values are marked on the line for up to this many features."""

_WORDS = 10
_STYLES = {
    "data": ("#000000", "-", "."),
    "corrupted": ("#7A7A7A", "", "x"),
    "model": (BLUE, "-", "o"),
    "baseline": (RED, "--", "s"),
    "nearest": (GREEN, ":", "^"),
}
"""Color, line and marker of each role."""


@dataclass(frozen=True)
class Strip:
    """Rows (n, n_features) of one kind, their name, and the role that determines their color:
    data, corrupted, model, baseline or nearest."""

    name: str
    role: str
    rows: np.ndarray


def draw_images(
    strips: Sequence[Strip],
    shape: tuple[int, ...],
    limits: tuple[float, float],
    *,
    columns: Sequence[str] = (),
    title: str = "",
) -> Figure:
    """Draw strips of images one above the other; ``limits`` are the values of black and white."""
    images = np.concatenate([pictures(strip.rows, shape, limits) for strip in strips])
    if any(np.isnan(strip.rows).any() for strip in strips):
        title = f"{title}{title and '; '}pink: no value"
    return draw_mosaic(
        images, len(strips[0].rows), lines=[strip.name for strip in strips], columns=columns,
        cell=0.7, title=title,
    )  # fmt: skip


def draw_profiles(
    strips: Sequence[Strip],
    *,
    lines: Sequence[str],
    unit: str,
    names: Sequence[str] | None = None,
    hidden: np.ndarray | None = None,
) -> Figure:
    """Draw the first six rows as lines over their features, a panel each, named by ``lines``.

    With ``hidden`` (n, n_features), all strips but the data are drawn at hidden values only, as
    marks. Missing values, NaN, are left out, and the legend says so.
    """
    n = min(len(strips[0].rows), PANELS)
    height = max(1.3 * n + 0.9, _beside(unit))
    figure = Figure(figsize=(9, height), dpi=150, layout="constrained")
    axes = figure.subplots(n, 1, squeeze=False, sharex=True)[:, 0]
    for i, axis in enumerate(axes):
        for strip in strips:
            row = strip.rows[i]
            color, line, marker = _STYLES[strip.role]
            if hidden is not None and strip.role != "data":
                row, line = np.where(hidden[i], row, np.nan), ""
            if line and len(row) > _DOTTED:
                marker = ""
            axis.plot(
                row, color=color, linestyle=line, marker=marker, linewidth=1,
                label=_named(strip, n), markersize=3 if line else 5,
                markerfacecolor=color if line else "none", zorder=_LAYERS[strip.role],
            )  # fmt: skip
        axis.set_ylabel(fitting(lines[i], 8, 1.25), fontsize=8)
        axis.tick_params(labelsize=7)
    _name_features(axes[-1], names)
    figure.supylabel(unit, fontsize=8)
    fitting_legend(figure, axes[0].get_lines(), loc="outside upper center")
    return figure


def _named(strip: Strip, n: int) -> str:
    """Return the name of a strip in the legend of profiles, of which ``n`` rows are drawn."""
    name = strip.name.replace("\n", ", ")
    gaps = strip.role == "data" and np.isnan(strip.rows[:n]).any()
    return f"{name} (gaps: missing values)" if gaps else name


def _beside(unit: str) -> float:
    """Return the height in inches that a vertical label at 8 points needs beside a figure."""
    return 1.1 * text_width(unit, 8) + 0.5


def draw_heat(
    panels: np.ndarray,
    *,
    titles: Sequence[str],
    lines: Sequence[str],
    unit: str,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """Draw panels of rows (n_panels, n_lines, n_features) as colors over the features, a line per
    row; a color is the same value in all panels.

    If there are values of both signs, white is 0. Missing values, NaN, are hatched, and the title
    says so.
    """
    n_panels, n_lines, _ = panels.shape
    # the color bar is as tall as the panels, and its label has to fit beside it
    height = max(n_panels * (0.3 + 0.15 * n_lines), _beside(unit)) + 1.2
    figure = Figure(figsize=(9, height), dpi=150, layout="constrained")
    axes = figure.subplots(n_panels, 1, squeeze=False, sharex=True)[:, 0]
    known = panels[np.isfinite(panels)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if np.isnan(panels).any():
        title = f"{title}{title and '; '}hatched: missing"
    if low < 0:
        high = max(-low, high)
        low = -high
    for axis, panel, name in zip(axes, panels, titles, strict=True):
        axis.imshow(
            panel, aspect="auto", interpolation="nearest", vmin=low, vmax=high,
            cmap="RdBu_r" if low < 0 else "cividis",
        )  # fmt: skip
        axis.patch.set(hatch="//////", facecolor="0.9", edgecolor="0.55")  # behind missing values
        axis.set_yticks(range(n_lines), lines, fontsize=6)
        axis.set_title(name, fontsize=8, loc="left")
        axis.tick_params(length=2, labelsize=6)
    _name_features(axes[-1], names)
    bar = figure.colorbar(axes[0].images[0], ax=list(axes), fraction=0.03, pad=0.01, aspect=30)
    bar.set_label(unit, fontsize=8)
    bar.ax.tick_params(labelsize=7)
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def draw_words(
    strips: Sequence[Strip], words: Sequence[str], *, lines: Sequence[str], unit: str
) -> Figure:
    """Draw at most six texts, by the ten words with the largest shares in any of the strips."""
    n = min(len(strips[0].rows), PANELS)
    n_columns = min(n, 3)
    figure = Figure(
        figsize=(3.1 * n_columns + 0.6, 2.3 * -(-n // n_columns) + 0.7), dpi=150,
        layout="constrained",
    )  # fmt: skip
    axes = figure.subplots(-(-n // n_columns), n_columns, squeeze=False, sharex=True).ravel()
    for axis in axes[n:]:
        axis.set_axis_off()
    for i, axis in enumerate(axes[:n]):
        most = np.max([strip.rows[i] for strip in strips], axis=0)
        first = np.argsort(-most, kind="stable")[:_WORDS]
        for strip in strips:
            color, _, marker = _STYLES[strip.role]
            axis.plot(
                100 * strip.rows[i][first], range(len(first)), linestyle="", marker=marker,
                color=color, label=strip.name.replace("\n", ", "), markersize=5,
                markerfacecolor=color if strip.role == "data" else "none",
                zorder=_LAYERS[strip.role],
            )  # fmt: skip
        named = [shortened(words[int(j)], 20) for j in first]
        axis.set_yticks(range(len(first)), named, fontsize=7)
        axis.invert_yaxis()
        axis.grid(axis="y", color="#E5E5E5", linewidth=0.7)
        axis.set_title(fitting(lines[i], 8, 2.6), fontsize=8)
        axis.tick_params(labelsize=7, labelbottom=True)
        axis.spines[["top", "right"]].set_visible(False)
    low, high = axes[0].get_xlim()
    axes[0].set_xlim(left=min(low, -0.03 * high))
    figure.supxlabel(unit, fontsize=8)
    fitting_legend(figure, axes[0].get_lines(), loc="outside upper center")
    return figure


def _name_features(axis: Axes, names: Sequence[str] | None) -> None:
    """Label the feature axis of the lowest panel."""
    if names is not None and len(names) <= _NAMED:
        short = [shortened(name, 24) for name in names]
        axis.set_xticks(range(len(names)), short, rotation=30, ha="right", fontsize=7)
    else:
        axis.set_xlabel("number of the feature", fontsize=8)
