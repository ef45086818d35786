"""Pictures: originals, reconstructions and the linear baseline, in rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from torch import Tensor

from narrows.errors import InvalidData, ResourceError, UsageError
from narrows.model import Model
from narrows.slots import Rows, dense_rows

__all__ = [
    "check_figure_name",
    "denoising_figure",
    "draw_images",
    "draw_profiles",
    "image_shape_of",
    "name_features",
    "reconstruction_figure",
    "sample_figure",
    "save_figure",
    "scaled_rows",
]

_NAMED = 16
"""So many features have their names under them."""


@torch.no_grad()
def reconstruction_figure(
    model: Model, rows: Rows, *, image_shape: tuple[int, ...] | None = None
) -> Figure:
    """Draw rows (n, n_features) above their reconstructions by the model and by its baseline.

    Images are drawn as images, in the scaled units that the errors under each row's name are in;
    other rows as profiles over their features.
    """
    x = model.scaling.forward(rows.to(model.device))
    dense = _dense(x.to("cpu"))
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
    dense = _dense(x.to("cpu"))
    shown = torch.where(dense.isnan(), dense.nan_to_num(nan=0.0).amin(), dense)
    strips = [("corrupted", shown), *_rebuilt(model, x)]
    if clean is not None:
        truth = _dense(model.scaling.forward(clean).to("cpu"))
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


def _dense(x: Rows) -> Tensor:
    return x if isinstance(x, Tensor) else x.to_dense()


def _squared(x: Tensor, other: Tensor) -> Tensor:
    return (x - other).square().sum(dim=1).mean()


def draw_images(
    labels: Sequence[str], strips: Sequence[np.ndarray], shape: tuple[int, ...]
) -> Figure:
    n = len(strips[0])
    figure = Figure(figsize=(2.2 + 0.7 * n, 0.78 * len(strips)), dpi=150, layout="constrained")
    axes = figure.subplots(len(strips), n, squeeze=False, gridspec_kw={"wspace": 0, "hspace": 0})
    low, high = float(strips[0].min()), float(strips[0].max())
    for line, label, strip in zip(axes, labels, strips, strict=True):
        for axis, row in zip(line, strip, strict=True):
            image = np.clip((row.reshape(shape) - low) / max(high - low, 1e-12), 0, 1)
            # an axis of a single channel goes, one of a single line of pixels stays
            axis.imshow(image.squeeze() if image.ndim > 2 else image, cmap="gray", vmin=0, vmax=1)
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
        line[0].set_ylabel(
            label, rotation="horizontal", ha="right", va="center", fontsize=8, labelpad=8
        )
    return figure


def scaled_rows(model: Model, rows: np.ndarray) -> np.ndarray:
    """Return rows (n, n_features) in scaled units, in which features can be compared."""
    x = torch.from_numpy(np.asarray(rows, np.float32)).to(model.device)
    return dense_rows(model.scaling.forward(x)).cpu().numpy()


def draw_profiles(
    labels: Sequence[str],
    strips: Sequence[np.ndarray],
    *,
    names: Sequence[str] | None = None,
    marked: np.ndarray | None = None,
) -> Figure:
    """Draw rows as lines over their features, with a dot on the second strip where ``marked``."""
    n = min(len(strips[0]), 6)
    figure = Figure(figsize=(9, 1.3 * n + 0.6), dpi=150, layout="constrained")
    axes = figure.subplots(n, 1, squeeze=False, sharex=True)[:, 0]
    for i, axis in enumerate(axes):
        for label, strip, style in zip(labels, strips, ("k-", "C0-", "C1--", "C2:"), strict=False):
            axis.plot(strip[i], style, label=label.replace("\n", ", "), linewidth=1)
        if marked is not None:
            at = marked[i].nonzero()[0]
            axis.plot(at, strips[1][i][at], "C3o", markersize=4, label="filled in")
        axis.set_ylabel(f"row {i}", fontsize=8)
        axis.tick_params(labelsize=7)
    name_features(axes[-1], names)
    figure.legend(
        *axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8
    )
    return figure


def name_features(axis: Axes, names: Sequence[str] | None) -> None:
    """Say what the numbers along the lowest of some profiles are."""
    if names is not None and len(names) <= _NAMED:
        axis.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=7)
    axis.set_xlabel("feature (scaled units)", fontsize=8)


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
