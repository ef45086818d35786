"""Prepare a segmenter's head on the feature maps of a convolutional encoder."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.fitting.head import HeadSettings, PreparedHead
from narrows.fitting.plan import batch_size_for
from narrows.model.features import encoder_of_maps
from narrows.model.model import Model
from narrows.objectives.segmentation import (
    SegmentationHead,
    SegmentationTask,
    head_sizes,
    pyramid,
)
from narrows.training.precision import resolve_device
from narrows.training.sizes import check_head_fits

__all__ = ["map_head", "prepare_on_maps"]


def map_head(
    model: Model, widths: list[int], activation: str, *, generator: Generator
) -> SegmentationHead:
    """Return an untrained head; ``widths`` are the channels of its maps and its classes."""
    encoder = encoder_of_maps(model)
    width, n_outputs = widths
    return SegmentationHead(
        encoder.image_shape,
        channels=encoder.channels[1:],
        n_outputs=n_outputs,
        width=width,
        activation=activation,
        generator=generator,
    )


def prepare_on_maps(
    model: Model,
    source: Source,
    settings: HeadSettings,
    seed: int,
    training: Tensor,
    *,
    widths: list[int],
    activation: str,
    flips: bool,
    class_weights: Tensor | None,
) -> PreparedHead:
    """Return an untrained head on the encoder's maps, and what is needed to train it.

    ``training`` is the mask of the training rows. ``class_weights`` (n_classes,) are the factors
    on the loss of a pixel of each class.

    Raises
    ------
    UsageError
        If the rows are sparse, or the encoder has no maps.
    ResourceError
        If training it would need more memory than is available.
    """
    if source.sparse:
        raise UsageError("X: sparse input is not supported, images are dense; use toarray().")
    model.to(resolve_device(settings.device))
    check_head_fits(
        *head_sizes(encoder_of_maps(model), widths[0], widths[1]),
        batch_size=batch_size_for(settings.batch_size, source.n_rows),
        device=model.device,
        lower=f"width={widths[0]!r}",
    )
    generator = Generator().manual_seed(seed)
    head = map_head(model, widths, activation, generator=generator).to(model.device)
    if settings.frozen:
        rows = source.where(training)
        sample = rows.sample(256, generator=Generator().manual_seed(seed)).to(model.device)
        with torch.no_grad():
            head.start_at(pyramid(model.objective, model.scaling.forward(sample)))
    task = SegmentationTask(
        model.objective,
        head,
        frozen=settings.frozen,
        reconstruction_weight=settings.reconstruction_share,
        flips=flips,
    )
    task.class_weights = class_weights
    return PreparedHead(head, 0, task, source, model.scaling)
