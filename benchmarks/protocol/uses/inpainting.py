"""Fill a hidden square of an image, beside fills by a Gaussian, by neighbors and by the mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.impute import SimpleImputer

from narrows import Autoencoder, ConvolutionalAutoencoder, DenoisingAutoencoder
from protocol.data import Data
from protocol.errors import Errors, jackknifed
from protocol.guard import Guard
from protocol.matrices import code_width, matrix
from protocol.rivals.gaussian import PPCAFill
from protocol.rivals.nearest_fill import NearestFill
from protocol.splits import Split, split
from protocol.use import Cell, Use

__all__ = ["INPAINTING"]


@dataclass(frozen=True)
class Squares:
    """Images, and which pixels of the held-out ones are hidden, (n, height, width)."""

    train: np.ndarray
    test: np.ndarray
    hidden: np.ndarray
    guard: Guard
    seed: int
    width: int


def make(data: Data, split: Split, cell: Cell) -> Squares:
    made = matrix(data, split, cell.size, cell.seed)
    n, height, width = made.test.shape
    rng = np.random.default_rng([cell.seed, 4])
    top = rng.integers(0, height // 2 + 1, n)[:, None, None]
    left = rng.integers(0, width // 2 + 1, n)[:, None, None]
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    hidden = (y >= top) & (y < top + height // 2) & (x >= left) & (x < left + width // 2)
    made.guard.hold(np.where(hidden, np.nan, made.test))
    return Squares(made.train, made.test, hidden, made.guard, cell.seed, code_width(made))


def _errors(task: Squares, filled: np.ndarray) -> dict[str, Errors]:
    squares = ((filled.reshape(task.test.shape) - task.test) ** 2 * task.hidden).sum(axis=(1, 2))
    count = task.hidden.sum(axis=(1, 2))
    return {
        "squared error": jackknifed(
            lambda rows: squares[rows].sum() / count[rows].sum(), len(squares)
        )
    }


def _estimator(cls: Any, task: Squares) -> dict[str, Errors]:
    model = cls(n_components=task.width, random_state=task.seed)
    model = task.guard.fitted(model, task.train)
    return _errors(task, np.asarray(model.inpaint(task.test, task.hidden)))


def _fill(make_one: Callable[[Squares], Any], task: Squares) -> dict[str, Errors]:
    model = task.guard.fitted(make_one(task), task.train.reshape(len(task.train), -1))
    holed = np.where(task.hidden, np.nan, task.test).reshape(len(task.test), -1)
    return _errors(task, model.transform(holed))


INPAINTING = Use(
    name="inpainting",
    what="filling of a hidden square, a quarter of the image, squared error per hidden pixel of "
    "values in [0, 1]",
    kinds=("image",),
    make=make,
    estimators={
        "plain": partial(_estimator, Autoencoder),
        "denoising": partial(_estimator, DenoisingAutoencoder),
        "convolutional": partial(_estimator, ConvolutionalAutoencoder),
    },
    rivals={
        "ppca": partial(_fill, lambda task: PPCAFill(task.width)),
        "knn": partial(_fill, lambda task: NearestFill()),
        "mean": partial(_fill, lambda task: SimpleImputer(keep_empty_features=True)),
    },
    split=lambda data, seed, condition: split(data.rows, seed, is_test=data.is_test, most=100),
    sizes=(30, 60, 130, 400, 1000, 4000, 15_000),
    fast_sets=1,
)
