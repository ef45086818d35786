"""What a head says of rows, from a layer of a fitted encoder."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from narrows.applications.coding import scaled_batches, whole_vectors
from narrows.code_task import Head, layers_of
from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.model import Model
from narrows.segmentation import SegmentationHead, pyramid

__all__ = ["check_head_answers", "features_read", "layer_number", "layer_widths", "said"]


def layer_number(model: Model, layer: int) -> int:
    """Return an encoder's layer counted from 0, given from the end or not.

    Raises
    ------
    UsageError
        If there is no such layer.
    """
    depth = len(layer_widths(model))
    if not -depth <= layer < depth:
        raise UsageError(f"layer: must be from {-depth} to {depth - 1}, got {layer!r}.")
    return int(layer % depth)


def layer_widths(model: Model) -> list[int]:
    """Return how many activations every layer of the encoder has, the code last."""
    return [*model.objective.encoder.widths[:-1], model.n_components]


@torch.no_grad()
def features_read(model: Model, source: Source, layer: int) -> Iterator[torch.Tensor]:
    """Yield the activations of a layer, counted from 0, of clean rows: (rows, width)."""
    for _, x in scaled_batches(model, source):
        yield layers_of(model.objective, whole_vectors(x), layer + 1)[layer][: len(x)]


@torch.no_grad()
def said(model: Model, head: Head, source: Source, layer: int) -> Iterator[np.ndarray]:
    """Yield logits (rows, n_classes), or standardised values (rows, 1)."""
    for features in features_read(model, source, layer):
        yield head(whole_vectors(features))[: len(features)].cpu().numpy()


@torch.no_grad()
def check_head_answers(model: Model, head: Head | SegmentationHead, layer: int) -> None:
    """Raise ValueError if what a head says of rows of the usual size is not finite."""
    n = model.schema.n_features
    x = torch.stack([torch.zeros(n), torch.ones(n)]).to(model.device)
    if isinstance(head, SegmentationHead):
        said = head(pyramid(model.objective, x))
    else:
        said = head(layers_of(model.objective, x, layer + 1)[layer])
    if not bool(torch.isfinite(said).all()):
        raise ValueError("what the head says is not finite: a weight is too large")
