"""Draw codes of two numbers as maps, with the accuracy of nearest neighbors under each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle

from narrows.applications.retrieval.metrics import (
    Labels,
    checked_points,
    n_labeled,
    plane_accuracy,
)
from narrows.core.checks import check_number
from narrows.errors import InvalidData
from narrows.figures.palette import class_colors, class_markers
from narrows.figures.text_layout import fitting, fitting_legend

__all__ = ["N_NAMED", "map_figure"]

N_NAMED = 20
"""Number of classes with a color, a marker and a name; more colors are hard to tell apart."""

_REST = "#C8C8C8"
_LONGEST = 2.4
"""Width of a name in the legend, in inches."""

_SHOWN = 10_000
_CUT = 0.005
"""Share of the points that is cut off at each end of each axis."""


def map_figure(
    maps: Mapping[str, Any],
    labels: Labels,
    *,
    classes: Sequence[Any] | None = None,
    label_names: Sequence[str] | None = None,
    n_named: int = N_NAMED,
) -> Figure:
    """Draw maps of the same rows side by side, each with its ``plane_accuracy`` under it.

    At each end of each axis 0.5% of the points are cut off (none of fewer than 200), since a few
    outliers would leave no room for the others. Of more than 10,000 points, 10,000 evenly spaced
    ones are drawn, in random order, so that no class covers another. The accuracy is that of all
    points.

    Parameters
    ----------
    maps : mapping of str to ndarray (n, 2)
        Points by the name of their method.
    labels : labels
        As in ``plane_accuracy``.
    classes : sequence of length n, optional
        The classes to color; by default the labels, or the most frequent label of each row if rows
        have several.
    label_names : sequence of str, optional
        Names of the columns of sparse labels.
    n_named : int, default=20
        This many of the most frequent classes have a color, a marker and a name each. All others
        are gray and called "other" in the legend, with their numbers of classes and rows.

    Raises
    ------
    InvalidData
        As in ``plane_accuracy``, or if there is no map, or ``classes`` has another length.
    """
    if not maps:
        raise InvalidData("maps: none given.")
    check_number("n_named", n_named, low=1, integer=True)
    points = {name: checked_points(xy, labels) for name, xy in maps.items()}
    of_rows = _classes(labels, classes, label_names)
    named, which = _named(of_rows, n_named)
    colors: list[Any] = [*class_colors(len(named)).tolist(), _REST]
    markers = [*class_markers(len(named)), "."]
    names = [fitting(name, 8, _LONGEST) for name in named]
    n_other = int((which < 0).sum())
    if n_other:
        n_classes = len(np.unique(of_rows[which < 0]))
        classes_text = "1 class" if n_classes == 1 else f"{n_classes} classes"
        names.append(f"other: {classes_text}, {n_other} {'row' if n_other == 1 else 'rows'}")
    width = max(3.4 * len(points), 4.2)
    side = width / len(points)
    figure = Figure(figsize=(width, side + 0.6), dpi=150, layout="constrained")
    for axis, (name, xy) in zip(figure.subplots(1, len(points), squeeze=False)[0], points.items(),
                                strict=True):  # fmt: skip
        _draw(axis, xy, which, colors, markers)
        axis.set_title(fitting(name, 10, side - 0.3), fontsize=10)
        axis.set_xlabel(
            f"nearest neighbor shares a label: {plane_accuracy(xy, labels):.1%}", fontsize=8
        )
    marks = [
        figure.axes[0].scatter([], [], s=30, color=color, marker=marker, linewidths=0, label=label)
        for label, color, marker in zip(names, colors, markers, strict=False)
    ]
    n_lines = fitting_legend(
        figure,
        marks,
        loc="outside lower center",
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.2,
    )
    figure.set_figheight(side + 0.65 + 0.18 * n_lines)
    return figure


def _draw(
    axis: Axes,
    xy: np.ndarray,
    which: np.ndarray,
    colors: Sequence[Any],
    markers: Sequence[str],
) -> None:
    """Draw points in the colors and markers of their classes ``which``; -1 takes the last ones."""
    shown = np.arange(min(_SHOWN, len(xy))) * len(xy) // min(_SHOWN, len(xy))
    shown = np.random.default_rng(0).permutation(shown)
    shown = shown[np.argsort(which[shown] >= 0, kind="stable")]  # gray points below the others
    size = np.clip(30_000 / len(shown), 3.0, 20.0)
    ordered, n_cut = np.sort(xy, axis=0), int(_CUT * len(xy))  # 0 for few points
    low, high = ordered[n_cut], ordered[len(xy) - 1 - n_cut]
    # the margin leaves room for whole dots
    shown = shown[((xy[shown] >= low) & (xy[shown] <= high)).all(axis=1)]
    drawn = axis.scatter(
        *xy[shown].T, s=size, c=[colors[i] for i in which[shown]], linewidths=0, alpha=0.7,
        rasterized=True,
    )  # fmt: skip
    # one collection for all classes, so that none covers another
    shapes = [MarkerStyle(marker) for marker in markers]
    paths = [shape.get_path().transformed(shape.get_transform()) for shape in shapes]
    drawn.set_paths([paths[i] for i in which[shown]])
    margin = np.where(high > low, 0.04 * (high - low), 1.0)
    axis.set(xlim=(low[0] - margin[0], high[0] + margin[0]),
             ylim=(low[1] - margin[1], high[1] + margin[1]), xticks=[], yticks=[])  # fmt: skip
    axis.set_box_aspect(1)
    axis.spines[:].set_color("#AAAAAA")


def _classes(labels: Labels, classes: Any, label_names: Sequence[str] | None) -> np.ndarray:
    """Return one class per row, "none" for rows without a label."""
    if classes is not None:
        if len(classes) != n_labeled(labels):
            raise InvalidData(
                f"classes: expected one for each of the {n_labeled(labels)} rows, got "
                f"{len(classes)}."
            )
        return np.asarray(classes).astype(str)
    if not sp.issparse(labels):
        return np.asarray(labels).astype(str)
    has: Any = sp.csr_array(labels).astype(bool).astype(np.int64)
    # columns by falling frequency: the first label of a row is its most frequent one
    common = np.argsort(-has.sum(axis=0), kind="stable")
    place = np.full(has.shape[0], has.shape[1])
    row, column = has[:, common].nonzero()
    np.minimum.at(place, row, column)
    names = np.arange(has.shape[1]) if label_names is None else np.asarray(label_names)
    return np.append(names[common].astype(str), "none")[place]


def _named(classes: np.ndarray, n_named: int) -> tuple[list[str], np.ndarray]:
    """Return the most frequent classes, and which of them each row has, (n,), -1 for others."""
    names, codes, counts = np.unique(classes, return_inverse=True, return_counts=True)
    common = np.argsort(-counts, kind="stable")[:n_named]
    place = np.full(len(names), -1)
    place[common] = np.arange(len(common))
    return names[common].tolist(), place[codes]
