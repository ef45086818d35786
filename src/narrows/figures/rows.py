"""Draw rows with their reconstructions by a model and by its linear baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from narrows.applications.coding.denoising import missing_again, with_known
from narrows.core.sparse import Rows, dense_rows
from narrows.core.weights import fill_missing
from narrows.figures.drawing import PANELS, Strip, draw_images, draw_profiles, draw_words
from narrows.model.coding import reconstruct_corrupted
from narrows.model.model import Model
from narrows.writers.pixels import image_shape_of, pixel_limits, unscaled

__all__ = [
    "denoising_figure",
    "draw_rows",
    "n_drawn",
    "reconstruction_figure",
    "row_numbers",
    "scaled_rows",
    "unit_of",
]


@torch.no_grad()
def reconstruction_figure(
    model: Model,
    rows: Rows,
    *,
    image_shape: tuple[int, ...] | None = None,
    lines: Sequence[str] | None = None,
) -> Figure:
    """Draw rows (n, n_features) above their reconstructions by the model and by its baseline.

    Images are drawn as images, in input units; texts by their words; other rows as profiles over
    their features, six at most. ``lines`` are the names of the rows. Errors are means over the
    drawn rows, in squared scaled units.
    """
    x = model.scaling.forward(rows.to(model.device))
    dense = dense_rows(x.to("cpu"))
    rebuilt = _rebuilt(model, model.objective.reconstruct(x), x)
    strips = [Strip("data", "data", dense.numpy()), *rebuilt]
    return _drawn(model, strips, dense, image_shape, lines)


@torch.no_grad()
def denoising_figure(
    model: Model,
    rows: Rows,
    *,
    corrupted: Tensor | None = None,
    image_shape: tuple[int, ...] | None = None,
    lines: Sequence[str] | None = None,
) -> Figure:
    """Draw rows (n, n_features) above the denoised rows of the model and of its baseline.

    If the model admits missing values, known values stay. With ``corrupted``, the corrupted rows in
    scaled units, the rows are clean and drawn on top; all values are then reconstructed from the
    corrupted rows, and errors are measured against the clean rows. Missing pixels are drawn in
    pink, missing values of other rows as gaps; the figure says so.
    """
    x = model.scaling.forward(rows.to(model.device))
    dense = dense_rows(x.to("cpu"))
    if corrupted is None:
        rebuilt = [
            replace(strip, rows=with_known(model, torch.from_numpy(strip.rows), dense).numpy())
            for strip in _rebuilt(model, model.objective.reconstruct(x), x)
        ]
        strips = [Strip("data", "data", dense.numpy()), *rebuilt]
        return _drawn(model, strips, None, image_shape, lines)
    filled, known = fill_missing(x, model.objective.corruption)
    noisy = corrupted.to(model.device)
    mean = reconstruct_corrupted(model, noisy, filled)
    strips = [Strip("clean", "data", dense.numpy()),
              Strip("corrupted", "corrupted", corrupted.numpy()),
              *_rebuilt(model, mean, missing_again(noisy, known))]  # fmt: skip
    return _drawn(model, strips, dense, image_shape, lines)


def _rebuilt(model: Model, mean: Tensor, x: Rows) -> list[Strip]:
    """Return the reconstructions of scaled rows by the model, ``mean``, and by its baseline."""
    strips = [Strip(f"{model.n_components} numbers, autoencoder", "model", mean.cpu().numpy())]
    if model.baseline is not None:
        width = len(model.baseline.components)
        fill = model.baseline.reconstruct(x.to("cpu"))
        strips.append(Strip(f"{width} numbers, {model.baseline.name}", "baseline", fill.numpy()))
    return strips


def _drawn(
    model: Model,
    strips: list[Strip],
    truth: Tensor | None,
    image_shape: tuple[int, ...] | None,
    lines: Sequence[str] | None,
) -> Figure:
    """Draw scaled strips, with their squared errors against the first one if it is the truth."""
    n = n_drawn(model, len(strips[0].rows), image_shape)
    strips = [replace(strip, rows=strip.rows[:n]) for strip in strips]
    if truth is not None:
        strips[1:] = [
            replace(strip, name=f"{strip.name}\nsquared error of these {error:.3g}")
            for strip in strips[1:]
            for error in [float(np.nansum((strip.rows - strips[0].rows) ** 2, axis=1).mean())]
        ]
    title = "" if truth is None else f"squared error per row, in {model.scaling.unit}"
    lines = row_numbers(range(n)) if lines is None else lines[:n]
    return draw_rows(model, strips, lines=lines, title=title, image_shape=image_shape)


def draw_rows(
    model: Model,
    strips: Sequence[Strip],
    *,
    lines: Sequence[str],
    image_shape: tuple[int, ...] | None = None,
    hidden: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Draw scaled strips: images in input units, texts by their words, or profiles.

    ``lines`` name the rows, ``title`` is drawn above images. Profiles other than those of the data
    are drawn as marks where ``hidden``.
    """
    shape = image_shape_of(model, image_shape)
    if shape is not None:
        own = [unscaled(model, torch.from_numpy(strip.rows)).numpy() for strip in strips]
        limits = pixel_limits(model, own[0])
        shown = [replace(strip, rows=rows) for strip, rows in zip(strips, own, strict=True)]
        return draw_images(shown, shape, limits, columns=lines, title=title)
    if model.vocabulary is not None:
        words = list(model.vocabulary.terms)
        return draw_words(strips, words, lines=lines, unit=unit_of(model, percent=True))
    names = model.schema.names
    return draw_profiles(strips, lines=lines, unit=unit_of(model), names=names, hidden=hidden)


def n_drawn(model: Model, n_rows: int, image_shape: tuple[int, ...] | None) -> int:
    """Return how many of the rows a figure shows."""
    return n_rows if image_shape_of(model, image_shape) is not None else min(n_rows, PANELS)


def row_numbers(numbers: Iterable[int]) -> list[str]:
    """Return names for rows without names, by their numbers in the data."""
    return [f"row {number}" for number in numbers]


def unit_of(model: Model, *, percent: bool = False) -> str:
    """Return the unit of scaled values."""
    unit = model.scaling.unit
    if model.scaling.shares and percent:
        return f"share of a text's {'tf-idf' if model.scaling.kind == 'tfidf' else 'words'}, %"
    return f"{unit} from the mean" if model.scaling.kind == "standard" else unit


def scaled_rows(model: Model, rows: np.ndarray) -> np.ndarray:
    """Return rows (n, n_features) in scaled units, in which features are comparable."""
    wide = model.scaling.double  # float32 would round columns far from 0
    x = torch.from_numpy(np.asarray(rows, np.float64 if wide else np.float32)).to(model.device)
    return dense_rows(model.scaling.forward(x)).cpu().numpy()
