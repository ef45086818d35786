"""Predict the class of every pixel, and measure the overlap of masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import torch

from narrows.applications.printing import shown_as_table
from narrows.data.source import Source
from narrows.errors import InvalidData, warn
from narrows.model.coding import padded_call, scaled_batches
from narrows.model.model import Model
from narrows.objectives.segmentation import SegmentationHead, pyramid

__all__ = ["Overlap", "measure_masks", "pixel_logits"]


@torch.no_grad()
def pixel_logits(model: Model, head: SegmentationHead, source: Source) -> Iterator[np.ndarray]:
    """Yield logits (rows, n_pixels, n_classes), float32."""
    for _, x in scaled_batches(model, source):
        for part in x.split(64) if isinstance(x, torch.Tensor) else [x]:
            logits = padded_call(lambda rows: head(pyramid(model.objective, rows)), part)
            yield logits.permute(0, 2, 3, 1).reshape(len(part), -1, logits.shape[1]).cpu().numpy()


@shown_as_table
@dataclass(frozen=True, repr=False)
class Overlap:
    """Overlap of predicted and true masks: means over images, in [0, 1], one number per class.

    ``dice`` is 2 |A and B| / (|A| + |B|), ``iou`` is |A and B| / |A or B|. Both are 1 for an image
    in which both masks are empty, and NaN for a class that is in no image, true or predicted.
    ``mean_dice`` and ``mean_iou`` are the means over all other classes, ``foreground_dice`` and
    ``foreground_iou`` the same without the first class, which is often the background.
    ``n_images`` counts the images whose true mask has the class.
    """

    n_rows: int
    classes: list[float]
    dice: list[float]
    iou: list[float]
    accuracy: float
    n_images: list[int] = field(default_factory=list)

    @property
    def mean_dice(self) -> float:
        return _mean(self.dice)

    @property
    def mean_iou(self) -> float:
        return _mean(self.iou)

    @property
    def foreground_dice(self) -> float:
        return _mean(self.dice[1:])

    @property
    def foreground_iou(self) -> float:
        return _mean(self.iou[1:])

    def as_dict(self) -> dict[str, object]:
        """Return all numbers as JSON values, with None for NaN."""
        means = {
            "mean_dice": self.mean_dice,
            "mean_iou": self.mean_iou,
            "foreground_dice": self.foreground_dice,
            "foreground_iou": self.foreground_iou,
        }
        found = {**asdict(self), **means}
        for name, value in found.items():
            if isinstance(value, list):
                found[name] = [None if v != v else v for v in value]
            elif value != value:
                found[name] = None
        return found

    def table(self, names: Sequence[str] | None = None) -> str:
        """Return lines to print; ``names`` are those of the classes."""
        names = [str(value) for value in self.classes] if names is None else list(names)
        first = f"all but {names[0]}"
        wide = max(map(len, (*names, first, "all classes"))) + 2
        lines = [f"{'class':<{wide}}{'Dice':>8}{'IoU':>8}{'images':>8}"]
        for name, dice, iou, n in zip(names, self.dice, self.iou, self.n_images, strict=True):
            lines.append(f"{name:<{wide}}{_four(dice)}{_four(iou)}{n:>8}")
        for name, dice, iou in (
            ("all classes", self.mean_dice, self.mean_iou),
            (first, self.foreground_dice, self.foreground_iou),
        ):
            lines.append(f"{name:<{wide}}{_four(dice)}{_four(iou)}")
        lines.append(
            f"means over {self.n_rows} images; an image counts 1 for a class that is neither in it "
            f"nor predicted; {self.accuracy:.2%} of all pixels are right"
        )
        if np.isnan(self.dice).any():
            lines.append("-: the class is in no image, and is left out of the means")
        return "\n".join(lines)


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the values that are not NaN, NaN if there are none."""
    known = [value for value in values if value == value]
    return float(np.mean(known)) if known else float("nan")


def _four(value: float) -> str:
    return f"{'-' if value != value else f'{value:.4f}':>8}"


def measure_masks(
    predicted: np.ndarray, truth: np.ndarray, classes: np.ndarray, *, unknown: int | None = None
) -> Overlap:
    """Compare predicted and true masks (n, n_pixels) of ``classes``; pixels whose truth is
    ``unknown`` do not count.

    Raises
    ------
    InvalidData
        If ``truth`` holds another value.

    Warns
    -----
    UserWarning
        If no known pixel is of a class after the first, so that the foreground means are
        meaningless.

    References
    ----------
    Dice (1945), "Measures of the amount of ecologic association between species", Ecology 26.
    """
    known = np.ones(truth.shape, bool) if unknown is None else truth != unknown
    _check_classes(truth, known, classes, unknown)
    dice, iou, n_images = [], [], []
    for value in classes:
        a, b = (predicted == value) & known, truth == value
        both, each = (a & b).sum(axis=1), a.sum(axis=1) + b.sum(axis=1)
        n_images.append(int((b & known).any(axis=1).sum()))
        if not each.any():
            dice.append(float("nan"))
            iou.append(float("nan"))
            continue
        dice.append(float(np.where(each > 0, 2 * both / np.maximum(each, 1), 1.0).mean()))
        either = each - both
        iou.append(float(np.where(each > 0, both / np.maximum(either, 1), 1.0).mean()))
    accuracy = float(((predicted == truth) & known).sum() / max(known.sum(), 1))
    return Overlap(len(predicted), [v.item() for v in classes], dice, iou, accuracy, n_images)


def _check_classes(
    truth: np.ndarray, known: np.ndarray, classes: np.ndarray, unknown: int | None
) -> None:
    """Refuse masks of other classes, with the way out if only the numbers differ."""
    present = np.unique(truth[known])
    strange = known & ~np.isin(truth, classes)
    if strange.any():
        row, pixel = np.argwhere(strange)[0]
        text = (
            f"masks: row {row}, pixel {pixel} is of class {truth[row, pixel]}, which the segmenter "
            f"was not fitted to; it knows {', '.join(map(str, classes))}."
        )
        if len(classes) == len(present) == 2:
            text += (
                f" If {present[0]} is its {classes[0]} and {present[1]} its {classes[1]}, give "
                f"np.where(masks == {present[1]}, {classes[1]}, {classes[0]})."
            )
        raise InvalidData(text)
    if not known.all() and not np.isin(classes[1:], present).any():
        warn(
            f"masks: no pixel is of class {', '.join(map(str, classes[1:]))}, and {unknown} is the "
            f"label for pixels that do not count; if {unknown} is a class here, write it as the "
            "segmenter's."
        )
