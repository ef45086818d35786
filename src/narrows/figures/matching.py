"""Draw the pairs with the highest, the most uncertain and the lowest probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from narrows.errors import UsageError
from narrows.figures.mosaic import pictures
from narrows.figures.text_layout import fitting
from narrows.model.model import Model
from narrows.writers.pixels import image_shape_of

__all__ = ["matching_figure", "pairs_of_kinds"]

# ranks, not verdicts: all pairs may be the same thing, or none of them
_SAME, _DOUBT, _DIFFER = "highest", "nearest to 0.5", "lowest"


def matching_figure(
    model: Model,
    first: Any,
    second: Any,
    probability: np.ndarray,
    *,
    n: int = 8,
    image_shape: tuple[int, ...] | None = None,
    names: tuple[Sequence[str], Sequence[str]] | None = None,
) -> Figure:
    """Draw up to ``n`` pairs of each kind, one row above the other, with their probabilities: the
    highest, those nearest to 0.5, and the lowest.

    ``first`` and ``second`` (n_pairs, n_features), in input units, are the rows of the pairs, and
    ``names`` are the names of both, which are written above and below each pair. Each pair is drawn
    once; kinds without pairs are left out.

    Raises
    ------
    UsageError
        If the rows are not images.
    """
    shape = image_shape_of(model, image_shape)
    if shape is None:
        raise UsageError("figure: pairs are drawn of images; give --image-shape HEIGHT,WIDTH.")
    kinds = {name: pairs for name, pairs in pairs_of_kinds(probability, n).items() if len(pairs)}
    drawn = np.concatenate([*kinds.values()])
    rows = [np.asarray(part.toarray() if hasattr(part, "toarray") else part)
            for part in (first[drawn], second[drawn])]  # fmt: skip
    known = np.concatenate([part[np.isfinite(part)] for part in rows])
    limits = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    images = [pictures(part.astype(np.float64), shape, limits) for part in rows]
    n, n_kinds = max(map(len, kinds.values())), len(kinds)
    figure = Figure(
        figsize=(max(1.5 + 0.72 * n, 4.5), 0.25 + (1.8 if names is None else 2.02) * n_kinds),
        dpi=150, layout="constrained",
    )  # fmt: skip
    heights = ([1, 1, 0.28] * n_kinds)[:-1]
    grid = figure.add_gridspec(len(heights), n, height_ratios=heights, wspace=0, hspace=0)
    at = iter(range(len(drawn)))
    for k, (name, pairs) in enumerate(kinds.items()):
        for column, pair in enumerate(pairs):
            place = next(at)
            for part in (0, 1):
                axis = figure.add_subplot(grid[3 * k + part, column])
                axis.imshow(images[part][place])
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
                title = "" if names is None else fitting(names[part][int(pair)], 7, 0.66)
                if part:
                    caption = f"{title}\n{_three_decimals(float(probability[pair]))}".lstrip("\n")
                    axis.set_xlabel(caption, fontsize=8 if names is None else 7, labelpad=2)
                    continue
                axis.set_title(title, fontsize=7, pad=2)
                if not column:
                    heading = _heading(name, probability[pairs])
                    axis.set_ylabel(heading, rotation="horizontal", ha="right", va="top",
                                    fontsize=8, labelpad=8)  # fmt: skip
    caption = "under each pair: the probability that both are the same thing"
    if any(np.isnan(part).any() for part in rows):
        caption += "; pink: no value"
    figure.supxlabel(caption, fontsize=8)
    return figure


def _heading(kind: str, probability: np.ndarray) -> str:
    """Return the heading of a kind of pairs: their rank and the range of their probabilities."""
    low = _three_decimals(float(probability.min()))
    high = _three_decimals(float(probability.max()))
    return f"{kind}:\n{low if low == high else f'{low} to {high}'}"


def _three_decimals(probability: float) -> str:
    """Return a probability with three decimals; only certainty is written as 0 or 1."""
    if 0 < probability < 0.0005:
        return "<0.001"
    return ">0.999" if 0.9995 <= probability < 1 else f"{probability:.3f}"


def pairs_of_kinds(probability: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Return the numbers of up to ``n`` pairs of each kind, no pair twice.

    The highest and the lowest probabilities come first at either end; of the other pairs those
    nearest to 0.5 are taken. Fewer than 3 n pairs are divided evenly; one left over goes to the
    more certain end, two to both ends.
    """
    order = np.argsort(-probability, kind="stable")
    each, over = divmod(min(len(order), 3 * n), 3)
    n_same = n_differ = each + over // 2
    if over == 1:
        high_is_surer = probability[order[each]] + probability[order[-1 - each]] >= 1
        n_same, n_differ = n_same + int(high_is_surer), n_differ + int(not high_is_surer)
    between = order[n_same : len(order) - n_differ]
    doubt = np.sort(np.argsort(abs(probability[between] - 0.5), kind="stable")[:each])
    return {_SAME: order[:n_same], _DOUBT: between[doubt], _DIFFER: order[::-1][:n_differ]}
