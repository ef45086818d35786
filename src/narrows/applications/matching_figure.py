"""A picture of pairs: surely the same, in doubt, surely not."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from narrows.applications.figures import image_shape_of
from narrows.errors import UsageError
from narrows.model import Model

__all__ = ["matching_figure"]

_KINDS = ("surest to be\nthe same", "in doubt", "surest to\ndiffer")


def matching_figure(
    model: Model,
    first: Any,
    second: Any,
    probability: np.ndarray,
    *,
    n: int = 8,
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw up to ``n`` pairs of each kind, one row above the other, with their probabilities.

    ``first`` and ``second`` (n_pairs, n_features), in input units, are the rows of the pairs;
    "in doubt" are those whose probability is nearest to one half.

    Raises
    ------
    UsageError
        If the rows are no images.
    """
    shape = image_shape_of(model, image_shape)
    if shape is None:
        raise UsageError("figure: pairs are drawn of images; give --image-shape HEIGHT,WIDTH.")
    n = min(n, len(probability))
    order = np.argsort(-probability, kind="stable")
    doubt = np.argsort(abs(probability - 0.5), kind="stable")[:n]
    kinds = (order[:n], doubt[np.argsort(-probability[doubt], kind="stable")], order[::-1][:n])
    rows = [np.asarray(part.toarray() if hasattr(part, "toarray") else part)
            for part in (first[np.concatenate(kinds)], second[np.concatenate(kinds)])]  # fmt: skip
    low, high = min(part.min() for part in rows), max(part.max() for part in rows)
    figure = Figure(figsize=(1.5 + 0.72 * n, 5.4), dpi=150, layout="constrained")
    heights = [1, 1, 0.28, 1, 1, 0.28, 1, 1]
    grid = figure.add_gridspec(8, n, height_ratios=heights, wspace=0, hspace=0)
    for k, pairs in enumerate(kinds):
        for column, pair in enumerate(pairs):
            for part in (0, 1):
                axis = figure.add_subplot(grid[3 * k + part, column])
                image = (rows[part][k * n + column].reshape(shape) - low) / max(high - low, 1e-12)
                axis.imshow(image.squeeze() if image.ndim > 2 else image, cmap="gray", vmin=0,
                            vmax=1)  # fmt: skip
                axis.set(xticks=[], yticks=[])
                axis.spines[:].set_visible(False)
                if part:
                    axis.set_xlabel(f"{probability[pair]:.2f}", fontsize=8, labelpad=2)
                elif not column:
                    axis.set_ylabel(_KINDS[k], rotation="horizontal", ha="right", va="top",
                                    fontsize=8, labelpad=8)  # fmt: skip
    return figure
