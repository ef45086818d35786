"""Draw rows with hidden values, and the fills of a model and of baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor

from narrows.applications.filling.baseline_fills import Baselines, baseline_fills
from narrows.applications.filling.inpainting import inpainted
from narrows.core.sparse import dense_rows
from narrows.data.array_sources import DenseSource
from narrows.figures.drawing import Strip
from narrows.figures.rows import draw_rows, n_drawn, row_numbers
from narrows.model.model import Model
from narrows.writers.pixels import image_shape_of

__all__ = ["inpainting_figure"]

_DRAWN_BASELINES = {"conditional mean": "baseline", "nearest row": "nearest"}
_DRAWS = 16


def inpainting_figure(
    model: Model,
    rows: Tensor,
    hidden: np.ndarray,
    *,
    method: str = "auto",
    baselines: Baselines | None = None,
    image_shape: tuple[int, ...] | None = None,
    lines: Sequence[str] | None = None,
    seed: int = 0,
) -> Figure:
    """Draw rows (n, n_features): the originals, with hidden values, and filled in by the model and
    by two baselines, the nearest row and the conditional mean of PCA.

    For images hidden pixels are pink, and the standard deviation of 16 fills is drawn, white where
    it is largest. For other rows, six at most, only filled-in values are drawn with the data.
    ``lines`` are the names of the rows. Errors are means over hidden values, in squared scaled
    units.
    """
    shape = image_shape_of(model, image_shape)
    n = n_drawn(model, len(rows), image_shape)
    rows, hidden = rows[:n], hidden if len(hidden) == 1 else hidden[:n]
    where = torch.from_numpy(np.array(hidden)).expand(n, -1)
    generator = Generator().manual_seed(seed)
    blocks = list(
        inpainted(
            model, DenseSource(rows), hidden, method=method, n_draws=_DRAWS, generator=generator
        )
    )
    scaling = model.scaling.to("cpu")
    truth = dense_rows(scaling.forward(rows))
    fills = torch.from_numpy(np.concatenate([fill for fill, _ in blocks]))
    strips = [_strip("autoencoder", "model", dense_rows(scaling.forward(fills)), truth, where)]
    if baselines is not None:
        for name, fill in baseline_fills(baselines, scaling, rows, where):
            for kind, role in _DRAWN_BASELINES.items():
                if name.endswith(kind):
                    strips.append(_strip(name, role, fill, truth, where))
    lines = row_numbers(range(n)) if lines is None else lines[:n]
    original = Strip("original", "data", truth.numpy())
    if shape is None:
        marked = (where | rows.isnan()).numpy()
        return draw_rows(model, [original, *strips], lines=lines, hidden=marked)
    low, high = float(truth.nan_to_num().amin()), float(truth.nan_to_num().amax())
    pink = Strip("hidden in pink", "data", torch.where(where, torch.nan, truth).numpy())
    std = torch.from_numpy(np.concatenate([std for _, std in blocks if std is not None]))
    if len(shape) > 2:  # a deviation has no color
        pixels = std.view(n, -1, shape[2])
        std = pixels.mean(dim=2, keepdim=True).expand_as(pixels).reshape(n, -1)
    largest = float(std.amax())
    deviation = Strip(
        f"deviation of the fill\n0 to {largest:.3g} input units", "model",
        (low + (high - low) * std / max(largest, 1e-12)).numpy(),
    )  # fmt: skip
    drawn = [original, pink, *strips, deviation]
    title = f"squared error of a hidden value, in {scaling.unit}"
    return draw_rows(model, drawn, lines=lines, title=title, image_shape=image_shape)


def _strip(name: str, role: str, fill: Tensor, truth: Tensor, hidden: Tensor) -> Strip:
    counted = hidden & ~truth.isnan()
    if bool(counted.any()):
        name += f"\nsquared error {float((fill - truth)[counted].square().mean()):.3g}"
    return Strip(name, role, fill.numpy())
