"""What every pixel is, and how well a mask fits another."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch

from narrows.applications.coding import scaled_batches, whole_vectors
from narrows.data.source import Source
from narrows.encoders import ConvolutionalEncoder
from narrows.errors import InvalidData, UsageError
from narrows.model import Model
from narrows.segmentation import SegmentationHead, pyramid

__all__ = ["Overlap", "encoder_of_maps", "measure_masks", "pixel_logits"]


def encoder_of_maps(model: Model) -> ConvolutionalEncoder:
    """Return the model's encoder, if it keeps a place for every pixel.

    Raises
    ------
    UsageError
        If it is not convolutional.
    """
    encoder = model.objective.encoder
    if not isinstance(encoder, ConvolutionalEncoder):
        raise UsageError(
            f"autoencoder: {model.variant!r} has no maps, only numbers of whole rows; give a "
            "ConvolutionalAutoencoder (--net conv)."
        )
    return encoder


@torch.no_grad()
def pixel_logits(model: Model, head: SegmentationHead, source: Source) -> Iterator[np.ndarray]:
    """Yield logits (rows, n_pixels, n_classes), float32."""
    for _, x in scaled_batches(model, source):
        for part in x.split(64) if isinstance(x, torch.Tensor) else [x]:
            logits = head(pyramid(model.objective, whole_vectors(part)))[: len(part)]
            yield logits.permute(0, 2, 3, 1).reshape(len(part), -1, logits.shape[1]).cpu().numpy()


@dataclass(frozen=True)
class Overlap:
    """How masks overlap the true ones: means over images, in [0, 1], one number a class.

    ``dice`` is 2 |A and B| / (|A| + |B|), ``iou`` |A and B| / |A or B|, 1 where both are empty; the
    means are over the classes after the first, which is the background.
    """

    n_rows: int
    classes: list[float]
    dice: list[float]
    iou: list[float]
    accuracy: float

    @property
    def mean_dice(self) -> float:
        return float(np.mean(self.dice[1:]))

    @property
    def mean_iou(self) -> float:
        return float(np.mean(self.iou[1:]))

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "mean_dice": self.mean_dice, "mean_iou": self.mean_iou}

    def table(self) -> str:
        """Return lines to print."""
        lines = [f"{'class':<12}{'Dice':>10}{'IoU':>10}"]
        for name, dice, iou in zip(self.classes, self.dice, self.iou, strict=True):
            lines.append(f"{name!s:<12}{dice:>10.4f}{iou:>10.4f}")
        lines.append(f"{'mean *':<12}{self.mean_dice:>10.4f}{self.mean_iou:>10.4f}")
        lines.append(
            f"* of the classes after the first; means over {self.n_rows} images; "
            f"{self.accuracy:.2%} of all pixels are right"
        )
        return "\n".join(lines)


def measure_masks(
    said: np.ndarray, truth: np.ndarray, classes: np.ndarray, *, unknown: int | None = None
) -> Overlap:
    """Compare masks (n, n_pixels) of the values ``classes``; pixels that are ``unknown`` in truth
    count nowhere.

    Raises
    ------
    InvalidData
        If truth holds another value.

    Warns
    -----
    UserWarning
        If no known pixel is of a class after the first: the means over these say nothing.

    References
    ----------
    Dice (1945), "Measures of the amount of ecologic association between species", Ecology 26.
    """
    known = np.ones(truth.shape, bool) if unknown is None else truth != unknown
    _check_classes(truth, known, classes, unknown)
    dice, iou = [], []
    for value in classes:
        ours, theirs = (said == value) & known, truth == value
        both, each = (ours & theirs).sum(axis=1), ours.sum(axis=1) + theirs.sum(axis=1)
        dice.append(float(np.where(each > 0, 2 * both / np.maximum(each, 1), 1.0).mean()))
        either = each - both
        iou.append(float(np.where(each > 0, both / np.maximum(either, 1), 1.0).mean()))
    right = float(((said == truth) & known).sum() / max(known.sum(), 1))
    return Overlap(len(said), [v.item() for v in classes], dice, iou, right)


def _check_classes(
    truth: np.ndarray, known: np.ndarray, classes: np.ndarray, unknown: int | None
) -> None:
    """Refuse masks of other classes, with the way out where only the numbers differ."""
    present = np.unique(truth[known])
    strange = known & ~np.isin(truth, classes)
    if strange.any():
        row, pixel = np.argwhere(strange)[0]
        text = (
            f"masks: row {row}, pixel {pixel} is of class {truth[row, pixel]}, which the segmenter "
            f"was not taught; it knows {', '.join(map(str, classes))}."
        )
        if len(classes) == len(present) == 2:
            text += (
                f" If {present[0]} is its {classes[0]} and {present[1]} its {classes[1]}, give "
                f"np.where(masks == {present[1]}, {classes[1]}, {classes[0]})."
            )
        raise InvalidData(text)
    if not known.all() and not np.isin(classes[1:], present).any():
        warnings.warn(
            f"masks: no pixel is of class {', '.join(map(str, classes[1:]))}, and {unknown} is the "
            f"label for pixels that do not count; if {unknown} is a class here, write it as the "
            "segmenter's.",
            stacklevel=3,
        )
