"""Segment images from few masks, beside the same net from scratch and a classifier of pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from narrows import CodeSegmenter, ConvolutionalAutoencoder
from protocol.data import Data
from protocol.errors import Errors, mean_error
from protocol.guard import Guard
from protocol.matrices import matrix
from protocol.splits import Split, split
from protocol.use import Cell, Use

__all__ = ["SEGMENTATION"]

UNTRAINED: dict[str, Any] = {"max_epochs": 1, "learning_rate": 1e-9}
"""Leaves the weights of an autoencoder where they started."""


@dataclass(frozen=True)
class Masked:
    """Images and masks of 0 and 1; the first ``n_masks`` training images have a known mask."""

    train: np.ndarray
    test: np.ndarray
    train_masks: np.ndarray
    test_masks: np.ndarray
    n_masks: int
    guard: Guard
    seed: int

    @property
    def few(self) -> tuple[np.ndarray, np.ndarray]:
        return self.train[: self.n_masks], self.train_masks[: self.n_masks]


def make(data: Data, split: Split, cell: Cell) -> Masked:
    made = matrix(data, split, cell.size, cell.seed)
    masks = np.asarray(data.y)
    n_masks = min(int(cell.condition.split()[0]), cell.size)
    return Masked(made.train, made.test, masks[split.train[: cell.size]], masks[split.test],
                  n_masks, made.guard, cell.seed)  # fmt: skip


def _errors(task: Masked, predicted: np.ndarray) -> dict[str, Errors]:
    """Return 1 - Dice per image; an empty mask that was predicted empty has none."""
    found = predicted.reshape(task.test_masks.shape) == 1
    true = task.test_masks == 1
    both, either = ((found & true).sum(axis=(1, 2)), found.sum(axis=(1, 2)) + true.sum(axis=(1, 2)))
    return {"1 - Dice": mean_error(1 - np.where(either, 2 * both / np.maximum(either, 1), 1))}


def _segmenter(task: Masked, *, from_scratch: bool = False, **arguments: Any) -> dict[str, Errors]:
    autoencoder = ConvolutionalAutoencoder(
        random_state=task.seed, **(UNTRAINED if from_scratch else {})
    )
    task.guard.fitted(autoencoder, task.train)
    head = CodeSegmenter(autoencoder, random_state=task.seed, **arguments)
    return _errors(task, task.guard.fitted(head, *task.few).predict(task.test))


def _windows(images: np.ndarray) -> np.ndarray:
    """Return the 5 x 5 pixels around every pixel, (n * height * width, 25)."""
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (5, 5), axis=(1, 2))
    return windows.reshape(-1, 25)


def pixels(task: Masked) -> dict[str, Errors]:
    """Classify every pixel by the 5 x 5 pixels around it, and their squares.

    The guard sees the images here: the windows of different images may be the same.
    """
    images, masks = task.few
    task.guard.check(task.train, images)
    rows, y = _windows(images), masks.ravel()
    kept = np.random.default_rng(task.seed).permutation(len(rows))[:50_000]
    model = LogisticRegression(max_iter=1000)
    model = task.guard.fitted(model, _with_squares(rows[kept]), y[kept])
    return _errors(task, model.predict(_with_squares(_windows(task.test))))


def _with_squares(rows: np.ndarray) -> np.ndarray:
    return np.hstack([rows, rows**2])


SEGMENTATION = Use(
    name="segmentation",
    what="segmentation of images with few masks and all training images without, 1 - Dice per "
    "image; from scratch, the same net starts untrained and learns from the masks alone",
    kinds=("mask",),
    conditions=("5 masks", "20 masks", "80 masks"),
    make=make,
    estimators={
        "frozen": _segmenter,
        "fine_tuned": partial(_segmenter, training="fine_tuned"),
    },
    rivals={
        "from_scratch": partial(_segmenter, from_scratch=True, training="fine_tuned"),
        "pixels": pixels,
    },
    split=lambda data, seed, condition: split(data.rows, seed, is_test=data.is_test, most=200),
    sizes=(60, 130, 400, 1000),
    fast_sets=1,
)
