"""Activations of encoder layers, and outputs of heads on them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from narrows.core.sparse import Rows
from narrows.data.source import Source
from narrows.encoders import ConvolutionalEncoder
from narrows.errors import UsageError
from narrows.model.coding import encoded, padded_call
from narrows.model.model import Model
from narrows.objectives.code_task import Head, features_of
from narrows.objectives.segmentation import SegmentationHead, pyramid

__all__ = [
    "check_head_answers",
    "encoder_of_maps",
    "feature_widths",
    "head_features",
    "layer_activations",
    "layer_features",
    "layer_number",
    "layer_widths",
    "outputs_of_head",
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


def encoder_of_maps(model: Model) -> ConvolutionalEncoder:
    """Return the encoder of a model, which must be convolutional.

    Raises
    ------
    UsageError
        If it is not.
    """
    encoder = model.objective.encoder
    if not isinstance(encoder, ConvolutionalEncoder):
        raise UsageError(
            f"autoencoder: {model.variant!r} has no feature maps, only features of whole rows; "
            "give a ConvolutionalAutoencoder (--net conv)."
        )
    return encoder


def layer_activations(model: Model, source: Source, layer: int) -> Iterator[torch.Tensor]:
    """Yield the activations (rows, width) of a layer, counted from 0, for clean rows."""
    return head_features(model, source, layer, "code")


def head_features(model: Model, source: Source, layer: int, reads: str) -> Iterator[torch.Tensor]:
    """Yield what a head on a layer, counted from 0, reads of clean rows, (rows, n_features)."""

    def features(x: Rows) -> torch.Tensor:
        return padded_call(lambda rows: features_of(model.objective, rows, layer, reads), x)

    return encoded(model, source, features)


def feature_widths(model: Model, layer: int, reads: str) -> list[int]:
    """Return the number of features of each part that a head reads, the layer's first."""
    widths = {"code": layer_widths(model)[layer], "rows": model.schema.n_features}
    return list(widths.values()) if reads == "both" else [widths[reads]]


def layer_features(model: Model, source: Source, layer: int) -> Iterator[np.ndarray]:
    """Yield the activations (rows, width) of an encoder layer; a negative one counts from the end.

    Raises
    ------
    UsageError
        At the first batch, if the layer does not exist.
    """
    for activations in layer_activations(model, source, layer_number(model, layer)):
        yield activations.cpu().numpy()


@torch.no_grad()
def outputs_of_head(model: Model, head: Head, source: Source, layer: int) -> Iterator[np.ndarray]:
    """Yield the outputs of a head, (rows, n_outputs): logits, standardized values or embeddings."""
    for features in head_features(model, source, layer, head.reads):
        yield padded_call(head, features).cpu().numpy()


@torch.no_grad()
def check_head_answers(model: Model, head: Head | SegmentationHead, layer: int) -> None:
    """Raise ValueError unless the outputs for a row of zeros and one of ones are finite."""
    x = model.probe_rows()
    if isinstance(head, SegmentationHead):
        outputs = head(pyramid(model.objective, x))
    else:
        outputs = head(features_of(model.objective, x, layer, head.reads))
    if not bool(torch.isfinite(outputs).all()):
        raise ValueError("an output of the head is not finite: a weight is too large")
