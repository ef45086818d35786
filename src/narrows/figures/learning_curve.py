"""Draw the learning curve: training objective and held-out error of every epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from narrows.figures.palette import BLUE, RED
from narrows.figures.text_layout import fitting, wrapped

__all__ = ["Curve", "curves_of_model", "learning_curve_figure"]

_GRAY = "0.4"
_COLUMNS = 3
_DOTTED = 40
"""Epochs are marked on the line up to this number."""


@dataclass(frozen=True)
class Curve:
    """The record of one training, in ``unit``: the objective ``training`` (n_epochs,), the error
    ``held_out`` (n_epochs,) if rows were held out, and ``best_epoch``, counted from 1, whose
    weights were kept; 0 is the linear start."""

    name: str
    training: Sequence[float]
    held_out: Sequence[float] = ()
    best_epoch: int | None = None
    unit: str = ""


def curves_of_model(record: dict[str, Any], unit: str, *, name: str = "net") -> list[Curve]:
    """Return the curves in the training record of a model; those of pretraining and of the neighbor
    model come first."""
    parts = [(f"layer {i + 1}", epochs) for i, epochs in enumerate(record.get("pretraining", ()))]
    if record.get("neighbor_model"):
        parts.append(("neighbor_model", record["neighbor_model"]))
    parts.append((name, record.get("epochs", ())))
    return [
        Curve(
            part,
            [epoch["objective"] for epoch in epochs],
            [epoch["validation"] for epoch in epochs if epoch["validation"] is not None],
            record.get("best_epoch") if part == name else None,
            unit if part == name else "",
        )
        for part, epochs in parts
    ]


def learning_curve_figure(curves: Sequence[Curve]) -> Figure:
    """Draw a panel per training: the mean objective of each epoch, penalties included, the held-out
    error after it, and the epoch whose weights were kept."""
    columns = min(len(curves), _COLUMNS)
    lines = math.ceil(len(curves) / columns)
    figure = Figure(figsize=(0.6 + 4.4 * columns, 0.4 + 3.1 * lines), dpi=150, layout="constrained")
    axes = figure.subplots(lines, columns, squeeze=False).ravel()
    for axis in axes[len(curves) :]:
        axis.set_axis_off()
    for axis, curve in zip(axes, curves, strict=False):
        _draw(axis, curve)
    return figure


def _draw(axis: Axes, curve: Curve) -> None:
    n = len(curve.training)
    axis.set_title(fitting(curve.name, 10, 4.0), fontsize=10)
    if not n:
        axis.text(0.5, 0.5, "no epochs: none recorded, or fitted without", ha="center",
                  va="center", fontsize=8, transform=axis.transAxes)  # fmt: skip
        axis.set(xticks=[], yticks=[])
        return
    marker = "o" if n <= _DOTTED else ""
    epochs = np.arange(1, n + 1)
    axis.plot(epochs, curve.training, color=BLUE, marker=marker, markersize=3,
              label="training: objective, the mean over the epoch")  # fmt: skip
    if len(curve.held_out):
        behind = epochs[n - len(curve.held_out) :]
        axis.plot(behind, curve.held_out, color=RED, linestyle="--", marker=marker, markersize=3,
                  label="held out: error after the epoch")  # fmt: skip
    if curve.best_epoch is not None and len(curve.held_out):
        kept = f"epoch {curve.best_epoch}" if curve.best_epoch else "the linear start"
        axis.axvline(curve.best_epoch, color=_GRAY, linewidth=0.8, linestyle=":",
                     label=f"kept: {kept}")  # fmt: skip
    axis.set_xlabel(f"epoch, {n} in all", fontsize=8)
    axis.set_ylabel(wrapped(curve.unit or "objective", 8, 2.4), fontsize=8)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.tick_params(labelsize=7)
    axis.legend(fontsize=7, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
