"""The retrieval curve: precision against the number of rows retrieved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from narrows.applications.retrieval.metrics import RetrievalResult
from narrows.errors import InvalidData

__all__ = ["retrieval_figure"]

_COLORS = ("#0072B2", "#D55E00", "#009E73", "#A3467D", "#555555", "#8C6D00")
_STYLES = ("-", "--", "-.", ":")
_GAP = 0.045  # between labels, of the axis's height


def retrieval_figure(results: Mapping[str, RetrievalResult]) -> Figure:
    """Draw one line a method, named at its end; the first, ours, is drawn stronger and below the
    others, which would be hidden where they coincide.

    Colors are those that people of every color vision tell apart, and so are the dashes.
    The x axis is logarithmic to base 2, so that 1, 3, 7, 15, ... stand about evenly.

    Raises
    ------
    InvalidData
        If there is no result, or one without a cut-off.
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
    """Return where the names stand: at the ends of their lines, moved so that no two touch.

    They stand in the order of the lines: where these end together, in that of the last place where
    they do not, and of lines that are one in their own order.
    """
    order = sorted(range(len(results)), key=lambda i: (results[i].precision[::-1], -i))
    ends = np.array([results[i].precision[-1] / top for i in order])
    # the least move in the mean that leaves a gap: places less their gaps may not fall
    moved = isotonic_regression(ends - _GAP * np.arange(len(ends))).x + _GAP * np.arange(len(ends))
    result = np.empty_like(moved)
    result[order] = top * (moved + max(0.0, -moved[0]))
    return result
