"""Pictures: originals, reconstructions and the linear baseline, in rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from narrows.applications.drawing import draw_images, draw_profiles
from narrows.errors import InvalidData, ResourceError, UsageError
from narrows.model import Model
from narrows.slots import Rows, dense_rows

__all__ = [
    "check_figure_name",
    "denoising_figure",
    "image_shape_of",
    "reconstruction_figure",
    "sample_figure",
    "save_figure",
    "scaled_rows",
]


@torch.no_grad()
def reconstruction_figure(
    model: Model, rows: Rows, *, image_shape: tuple[int, ...] | None = None
) -> Figure:
    """Draw rows (n, n_features) above their reconstructions by the model and by its baseline.

    Images are drawn as images, in the scaled units that the errors under each row's name are in;
    other rows as profiles over their features.
    """
    x = model.scaling.forward(rows.to(model.device))
    dense = dense_rows(x.to("cpu"))
    return _drawn(model, [("data", dense), *_rebuilt(model, x)], dense, image_shape)


@torch.no_grad()
def denoising_figure(
    model: Model,
    noisy: Rows,
    *,
    clean: Rows | None = None,
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw corrupted rows above what the model and its baseline make of them.

    Where the ``clean`` rows are known they stand on top, and errors are measured against them.
    Missing values are drawn as the lowest one.
    """
    x = model.scaling.forward(noisy.to(model.device))
    dense = dense_rows(x.to("cpu"))
    shown = torch.where(dense.isnan(), dense.nan_to_num(nan=0.0).amin(), dense)
    strips = [("corrupted", shown), *_rebuilt(model, x)]
    if clean is not None:
        truth = dense_rows(model.scaling.forward(clean).to("cpu"))
        return _drawn(model, [("clean", truth), *strips], truth, image_shape)
    return _drawn(model, strips, None, image_shape)


def sample_figure(
    model: Model,
    rows: np.ndarray,
    *,
    labels: Sequence[str] = (),
    image_shape: tuple[int, ...] | None = None,
) -> Figure:
    """Draw rows (n, n_features) that were generated: images in lines of ten, or profiles.

    ``labels`` name the lines of images.
    """
    shape = image_shape_of(model, image_shape)
    if shape is None:
        scaled = scaled_rows(model, rows)
        return draw_profiles(["generated"], [scaled], names=model.schema.names)
    width = min(len(rows), _IN_LINE)
    lines = [rows[i : i + width] for i in range(0, len(rows) - width + 1, width)]
    return draw_images(labels or [""] * len(lines), lines, shape)


_IN_LINE = 10

Strip = tuple[str, Tensor]


def _rebuilt(model: Model, x: Rows) -> list[Strip]:
    """Return what the model and its baseline make of scaled rows."""
    mean = model.objective.reconstruct(x).cpu()
    strips = [(f"{model.n_components} numbers, autoencoder", mean)]
    if model.baseline is not None:
        width = len(model.baseline.components)
        fill = model.baseline.reconstruct(x.to("cpu"))
        strips.append((f"{width} numbers, {model.baseline.name}", fill))
    return strips


def _drawn(
    model: Model,
    strips: list[Strip],
    truth: Tensor | None,
    image_shape: tuple[int, ...] | None,
) -> Figure:
    """Draw strips, with their squared errors to the first one where it is the truth."""
    labels = [
        name
        if truth is None or i == 0
        else f"{name}\nsquared error of these {float(_squared(truth, strip)):.3g}"
        for i, (name, strip) in enumerate(strips)
    ]
    arrays = [strip.numpy() for _, strip in strips]
    shape = image_shape_of(model, image_shape)
    if shape is None:
        return draw_profiles(labels, arrays, names=model.schema.names)
    return draw_images(labels, arrays, shape)


def image_shape_of(model: Model, image_shape: tuple[int, ...] | None) -> tuple[int, ...] | None:
    """Return the shape of a row as an image, None where it is no image."""
    shape = image_shape or model.schema.image_shape
    if shape is not None and math.prod(shape) != model.schema.n_features:
        raise InvalidData(f"image shape {shape}: does not hold {model.schema.n_features} features.")
    return shape


def _squared(x: Tensor, other: Tensor) -> Tensor:
    return (x - other).square().sum(dim=1).mean()


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
