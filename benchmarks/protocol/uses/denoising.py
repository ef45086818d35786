"""Remove noise from held-out rows, beside PCA and a linear map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV

from narrows import Autoencoder, DenoisingAutoencoder
from protocol.data import Data
from protocol.errors import Errors, mean_error
from protocol.guard import Guard
from protocol.matrices import code_width, matrix, normal_rows
from protocol.splits import Split
from protocol.use import Cell, Use

__all__ = ["DENOISING"]


@dataclass(frozen=True)
class Noisy:
    """Clean and noisy rows, flat."""

    train: np.ndarray
    noisy_train: np.ndarray
    test: np.ndarray
    noisy_test: np.ndarray
    guard: Guard
    seed: int
    width: int


def make(data: Data, split: Split, cell: Cell) -> Noisy:
    made = matrix(data, split, cell.size, cell.seed)
    rng = np.random.default_rng([cell.seed, 2])
    scale = 0.25 if made.images else 0.5
    train, test = made.flat
    noisy_test, noisy_train = (
        (x + rng.normal(scale=scale, size=x.shape)).astype(x.dtype) for x in (test, train)
    )
    made.guard.hold(noisy_test)
    return Noisy(train, noisy_train, test, noisy_test, made.guard, cell.seed, code_width(made))


def _errors(task: Noisy, clean: np.ndarray) -> dict[str, Errors]:
    return {"squared error": mean_error(((clean - task.test) ** 2).mean(axis=1))}


def pairs(task: Noisy) -> dict[str, Errors]:
    """Train on pairs of noisy and clean rows."""
    model = task.guard.fitted(
        Autoencoder(n_components=task.width, random_state=task.seed), task.noisy_train, task.train
    )
    return _errors(task, model.denoise(task.noisy_test))


def denoising(task: Noisy) -> dict[str, Errors]:
    """Train on clean rows; the default corruption is another noise than that of the test."""
    model = DenoisingAutoencoder(n_components=task.width, random_state=task.seed)
    return _errors(task, task.guard.fitted(model, task.train).denoise(task.noisy_test))


def plain(task: Noisy) -> dict[str, Errors]:
    """Train on clean rows without noise."""
    model = Autoencoder(n_components=task.width, random_state=task.seed)
    return _errors(task, task.guard.fitted(model, task.train).denoise(task.noisy_test))


def pca(task: Noisy) -> dict[str, Errors]:
    model = task.guard.fitted(PCA(task.width, random_state=0), task.train)
    return _errors(task, model.inverse_transform(model.transform(task.noisy_test)))


def ridge(task: Noisy) -> dict[str, Errors]:
    """Learn a linear map from noisy to clean rows."""
    model = RidgeCV(np.logspace(-2, 4, 7))
    model = task.guard.fitted(model, task.noisy_train, task.train)
    return _errors(task, model.predict(task.noisy_test))


DENOISING = Use(
    name="denoising",
    what="removal of Gaussian noise from held-out rows, squared error per feature; the noise has "
    "standard deviation 0.25 in images, 0.5 in standardized tables",
    kinds=("table", "image", "embedding", "mixed table"),
    make=make,
    estimators={"pairs": pairs, "denoising": denoising, "plain": plain},
    rivals={"pca": pca, "ridge": ridge},
    select=normal_rows,
    sizes=(30, 60, 130, 400, 1000, 4000, 15_000),
)
