"""Pictures: originals, reconstructions and the linear baseline, in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from narrows.applications.drawing import PANELS, Strip, draw_images, draw_profiles, draw_words
from narrows.applications.pixels import image_shape_of, pixel_limits, unscaled
from narrows.errors import ResourceError, UsageError
from narrows.model import Model
from narrows.slots import Rows, dense_rows

__all__ = [
    "check_figure_name",
    "denoising_figure",
    "draw_rows",
    "n_drawn",
    "reconstruction_figure",
    "row_names",
    "save_figure",
    "scaled_rows",
    "unit_of",
]


@torch.no_grad()
def reconstruction_figure(
    model: Model,
    rows: Rows,
    *,
    image_shape: tuple[int, ...] | None = None,
    numbers: Sequence[int] | None = None,
) -> Figure:
    """Draw rows (n, n_features) above their reconstructions by the model and by its baseline.

    Images are drawn as images, in their own units; texts by their words; other rows as profiles
    over their features, six at most. ``numbers`` are those of the rows in their data. Errors are
    those of the rows that are drawn, in squared scaled units per row.
    """
    x = model.scaling.forward(rows.to(model.device))
    dense = dense_rows(x.to("cpu"))
    strips = [Strip("data", "data", dense.numpy()), *_rebuilt(model, x)]
    return _drawn(model, strips, dense, image_shape, numbers)


@torch.no_grad()
def denoising_figure(
    model: Model,
    noisy: Rows,
    *,
    clean: Rows | None = None,
    image_shape: tuple[int, ...] | None = None,
    numbers: Sequence[int] | None = None,
) -> Figure:
    """Draw corrupted rows above what the model and its baseline make of them.

    Where the ``clean`` rows are known they stand on top, and errors are measured against them.
    Missing pixels are drawn as the darkest one, missing values of other rows not at all.
    """
    x = model.scaling.forward(noisy.to(model.device))
    dense = dense_rows(x.to("cpu"))
    strips = [Strip("corrupted", "corrupted", dense.numpy()), *_rebuilt(model, x)]
    if clean is None:
        strips[0] = replace(strips[0], name="data", role="data")
        return _drawn(model, strips, None, image_shape, numbers)
    truth = dense_rows(model.scaling.forward(clean.to(model.device)).to("cpu"))
    strips = [Strip("clean", "data", truth.numpy()), *strips]
    return _drawn(model, strips, truth, image_shape, numbers)


def _rebuilt(model: Model, x: Rows) -> list[Strip]:
    """Return what the model and its baseline make of scaled rows."""
    mean = model.objective.reconstruct(x).cpu()
    strips = [Strip(f"{model.n_components} numbers, autoencoder", "ours", mean.numpy())]
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
    numbers: Sequence[int] | None,
) -> Figure:
    """Draw scaled strips, with their squared errors to the first one where it is the truth."""
    n = n_drawn(model, len(strips[0].rows), image_shape)
    strips = [replace(strip, rows=strip.rows[:n]) for strip in strips]
    if truth is not None:
        strips[1:] = [
            replace(strip, name=f"{strip.name}\nsquared error of these {error:.3g}")
            for strip in strips[1:]
            for error in [float(np.nansum((strip.rows - strips[0].rows) ** 2, axis=1).mean())]
        ]
    title = "" if truth is None else f"squared error per row, in {model.scaling.unit}"
    return draw_rows(
        model, strips, lines=row_names(n, numbers), title=title, image_shape=image_shape
    )


def draw_rows(
    model: Model,
    strips: Sequence[Strip],
    *,
    lines: Sequence[str],
    image_shape: tuple[int, ...] | None = None,
    hidden: np.ndarray | None = None,
    title: str = "",
) -> Figure:
    """Draw scaled strips: images in their own units, texts by their words, or profiles.

    ``lines`` name the rows, ``title`` stands above images; where ``hidden`` other profiles than
    those of the data are marked.
    """
    shape = image_shape_of(model, image_shape)
    if shape is not None:
        own = [unscaled(model, torch.from_numpy(strip.rows)).numpy() for strip in strips]
        limits = pixel_limits(model, own[0])
        shown = [replace(strip, rows=np.where(np.isnan(rows), limits[0], rows))
                 for strip, rows in zip(strips, own, strict=True)]  # fmt: skip
        return draw_images(shown, shape, limits, columns=lines, title=title)
    if model.vocabulary is not None:
        words = list(model.vocabulary.terms)
        return draw_words(strips, words, lines=lines, unit=unit_of(model, percent=True))
    names = model.schema.names
    return draw_profiles(strips, lines=lines, unit=unit_of(model), names=names, hidden=hidden)


def n_drawn(model: Model, n_rows: int, image_shape: tuple[int, ...] | None) -> int:
    """Return how many of some rows a figure shows."""
    return n_rows if image_shape_of(model, image_shape) is not None else min(n_rows, PANELS)


def row_names(n: int, numbers: Sequence[int] | None = None) -> list[str]:
    """Return the names of rows, by their numbers in the data where these are known."""
    return [f"row {number}" for number in (range(n) if numbers is None else list(numbers)[:n])]


def unit_of(model: Model, *, percent: bool = False) -> str:
    """Return what the scaled values of rows are in."""
    unit = model.scaling.unit
    if model.scaling.shares and percent:
        return f"share of a text's {'tf-idf' if model.scaling.kind == 'tfidf' else 'words'}, %"
    return f"{unit} from the mean" if model.scaling.kind == "standard" else unit


def scaled_rows(model: Model, rows: np.ndarray) -> np.ndarray:
    """Return rows (n, n_features) in scaled units, in which features can be compared."""
    x = torch.from_numpy(np.asarray(rows, np.float32)).to(model.device)
    return dense_rows(model.scaling.forward(x)).cpu().numpy()


def check_figure_name(path: Path) -> None:
    """Raise UsageError if matplotlib writes no such kind of file."""
    kinds = FigureCanvasAgg(Figure()).get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in kinds:
        raise UsageError(f"{path}: figures are written as {', '.join(sorted(kinds))}.")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its suffix.

    Raises
    ------
    ResourceError
        If it cannot be written, or matplotlib does not know the suffix.
    """
    try:
        figure.savefig(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise ResourceError(f"{path}: cannot be written: {error}.") from error
