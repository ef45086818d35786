"""Draw the retrieval curve: precision against the number of retrieved rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from narrows.applications.retrieval.metrics import RetrievalResult
from narrows.errors import InvalidData
from narrows.figures.palette import BLUE, GREEN, RED

__all__ = ["retrieval_figure"]

_COLORS = (BLUE, RED, GREEN, "#A3467D", "#555555", "#8C6D00")
_STYLES = ("-", "--", "-.", ":")
_GAP = 0.045
"""Smallest distance between two labels, as a share of the height of the axis."""


def retrieval_figure(results: Mapping[str, RetrievalResult]) -> Figure:
    """Draw a line per method, named at its end. The first, the model's, is thicker and drawn below
    the others, so that it does not hide equal lines.

    Colors and dashes can be told apart with every color vision. The x axis is logarithmic to base
    2, so that 1, 3, 7, 15, ... are about evenly spaced.

    Raises
    ------
    InvalidData
        If there are no results, or one has no cut-offs.
    """
    if not results or not all(result.cutoffs for result in results.values()):
        raise InvalidData("results: at least one, each with a cut-off, is needed.")
    figure = Figure(figsize=(7, 4.4), dpi=150, layout="constrained")
    axis = figure.subplots()
    for i, result in enumerate(results.values()):
        axis.plot(
            result.cutoffs, result.precision, marker="o", markersize=3, zorder=2 + i,
            color=_COLORS[i % len(_COLORS)], linewidth=2.4 if i == 0 else 1.4,
            linestyle=_STYLES[i % len(_STYLES)],
        )  # fmt: skip
    ticks = max((result.cutoffs for result in results.values()), key=len)
    top = 1.08 * max(max(result.precision) for result in results.values()) or 1.0
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(k) for k in ticks], fontsize=8)
    axis.minorticks_off()
    axis.set_ylim(0, top)
    for i, (name, result, y) in enumerate(
        zip(results, results.values(), _places(list(results.values()), top), strict=True)
    ):
        axis.annotate(
            name, (result.cutoffs[-1], y), xytext=(8, 0), textcoords="offset points", va="center",
            fontsize=8, color=_COLORS[i % len(_COLORS)], weight="bold" if i == 0 else "normal",
            annotation_clip=False,
        )  # fmt: skip
    axis.set_xlabel("rows retrieved", fontsize=9)
    axis.set_ylabel("fraction that shares a label with the query", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(axis="y", color="#E5E5E5", linewidth=0.7)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _places(results: Sequence[RetrievalResult], top: float) -> np.ndarray:
    """Return the heights of the names: at the ends of their lines, moved so that no two touch.

    They are in the order of the lines. Lines that end together are ordered by the last place where
    they differ, equal lines as in ``results``.
    """
    order = sorted(range(len(results)), key=lambda i: (results[i].precision[::-1], -i))
    ends = np.array([results[i].precision[-1] / top for i in order])
    # the smallest moves that leave gaps: heights minus their gaps must not decrease
    moved = isotonic_regression(ends - _GAP * np.arange(len(ends))).x + _GAP * np.arange(len(ends))
    result = np.empty_like(moved)
    result[order] = top * (moved + max(0.0, -moved[0]))
    return result
