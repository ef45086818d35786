"""The retrieval curve: precision against the number of rows retrieved."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from narrows.applications.retrieval import RetrievalResult
from narrows.errors import InvalidData

__all__ = ["retrieval_figure"]

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#A3467D", "#555555", "#8C6D00")
_STYLES = ("-", "--", "-.", ":")
_GAP = 0.045  # between labels, of the axis's height


def retrieval_figure(results: Mapping[str, RetrievalResult]) -> Figure:
    """Draw one line a method, named at its end; the first, ours, is drawn stronger.

    Colours are those that people of every colour vision tell apart, and so are the dashes.
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
            result.cutoffs, result.precision, marker="o", markersize=3, zorder=3 - (i > 0),
            color=_COLOURS[i % len(_COLOURS)], linewidth=2.4 if i == 0 else 1.4,
            linestyle=_STYLES[i % len(_STYLES)],
        )  # fmt: skip
    ticks = max((result.cutoffs for result in results.values()), key=len)
    top = 1.08 * max(max(result.precision) for result in results.values()) or 1.0
    axis.set_xscale("log", base=2)
    axis.set_xticks(ticks, [str(k) for k in ticks], fontsize=8)
    axis.minorticks_off()
    axis.set_ylim(0, top)
    ends = np.array([result.precision[-1] for result in results.values()])
    for i, (name, result, y) in enumerate(
        zip(results, results.values(), _apart(ends / top) * top, strict=True)
    ):
        axis.annotate(
            name, (result.cutoffs[-1], y), xytext=(8, 0), textcoords="offset points", va="center",
            fontsize=8, color=_COLOURS[i % len(_COLOURS)], weight="bold" if i == 0 else "normal",
            annotation_clip=False,
        )  # fmt: skip
    axis.set_xlabel("rows retrieved", fontsize=9)
    axis.set_ylabel("fraction that shares a label with the query", fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(axis="y", color="#E5E5E5", linewidth=0.7)
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def _apart(places: np.ndarray) -> np.ndarray:
    """Return places (0 to 1) moved up just so far that no two labels touch."""
    order = np.argsort(places, kind="stable")
    moved = places[order].copy()
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + _GAP)
    result = np.empty_like(moved)
    result[order] = moved
    return result
