"""Predict with a head on a layer of a fitted encoder, and measure its R^2."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.metrics import r2_score

from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.model.coding import padded_call, scaled_batches
from narrows.model.model import Model
from narrows.objectives.code_task import Head, layers_of
from narrows.objectives.segmentation import SegmentationHead, pyramid

__all__ = [
    "check_head_answers",
    "features_read",
    "layer_number",
    "layer_widths",
    "mean_r2",
    "outputs_of_head",
    "r2_of_targets",
]


def layer_number(model: Model, layer: int) -> int:
    """Return the number of an encoder layer, counted from 0; a negative one counts from the end.

    Raises
    ------
    UsageError
        If the layer does not exist.
    """
    depth = len(layer_widths(model))
    if not -depth <= layer < depth:
        raise UsageError(f"layer: must be from {-depth} to {depth - 1}, got {layer!r}.")
    return int(layer % depth)


def layer_widths(model: Model) -> list[int]:
    """Return the number of activations of each layer of the encoder, the code last."""
    return [*model.objective.encoder.widths[:-1], model.n_components]


@torch.no_grad()
def features_read(model: Model, source: Source, layer: int) -> Iterator[torch.Tensor]:
    """Yield the activations (rows, width) of a layer, counted from 0, for clean rows."""
    for _, x in scaled_batches(model, source):
        yield padded_call(lambda rows: layers_of(model.objective, rows, layer + 1)[layer], x)


@torch.no_grad()
def outputs_of_head(model: Model, head: Head, source: Source, layer: int) -> Iterator[np.ndarray]:
    """Yield the outputs of a head: logits (rows, n_classes), or standardized values (rows, 1)."""
    for features in features_read(model, source, layer):
        yield padded_call(head, features).cpu().numpy()


@torch.no_grad()
def check_head_answers(model: Model, head: Head | SegmentationHead, layer: int) -> None:
    """Raise ValueError unless the outputs for a row of zeros and one of ones are finite."""
    x = model.probe_rows()
    if isinstance(head, SegmentationHead):
        outputs = head(pyramid(model.objective, x))
    else:
        outputs = head(layers_of(model.objective, x, layer + 1)[layer])
    if not bool(torch.isfinite(outputs).all()):
        raise ValueError("an output of the head is not finite: a weight is too large")


def r2_of_targets(
    truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return R^2 of each target, 1 - sum (y - predicted)^2 / sum (y - mean)^2, (n_targets,).

    Rows whose target is NaN do not count for it; with fewer than two other rows R^2 is NaN.

    Parameters
    ----------
    truth, predicted : ndarray of shape (n_samples, n_targets)
    weights : ndarray of shape (n_samples,), optional
    """
    found = np.full(truth.shape[1], math.nan)
    for j in range(truth.shape[1]):
        known = ~np.isnan(truth[:, j])
        if known.sum() > 1:
            counted = None if weights is None else weights[known]
            found[j] = r2_score(truth[known, j], predicted[known, j], sample_weight=counted)
    return found


def mean_r2(of_targets: np.ndarray) -> float:
    """Return the mean over the targets whose R^2 is defined, NaN if none is."""
    measured = of_targets[~np.isnan(of_targets)]
    return float(measured.mean()) if len(measured) else math.nan
