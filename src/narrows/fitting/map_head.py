"""Prepare a segmenter's head on the feature maps of a convolutional encoder."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.fitting.head import HeadSettings, Prepared
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

__all__ = ["map_head", "on_maps"]


def map_head(
    model: Model, layer: int, widths: list[int], activation: str, *, generator: Generator
) -> SegmentationHead:
    """Return an untrained head; ``widths`` are the channels of its maps and its classes.

    ``layer`` is ignored: the head reads the maps of every depth.
    """
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


def on_maps(
    model: Model,
    source: Source,
    settings: HeadSettings,
    seed: int,
    training: Tensor,
    *,
    widths: list[int],
    flips: bool,
) -> Prepared:
    """Return a prepared head on the encoder's maps.

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
    head = map_head(model, 0, widths, settings.activation, generator=generator).to(model.device)
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
    return Prepared(head, 0, task, source, model.scaling)
