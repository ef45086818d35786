"""Predict a number from few known values by a code, beside ridge regression of raw rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.neural_network import MLPRegressor
from sklearn.svm import SVR

from narrows import Autoencoder, CodeRegressor
from protocol.data import Data
from protocol.errors import Errors, mean_error
from protocol.guard import Guard
from protocol.labels import has_numbers
from protocol.matrices import matrix
from protocol.splits import Split
from protocol.use import Cell, Use

__all__ = ["REGRESSION"]


@dataclass(frozen=True)
class FewValues:
    """Standardized rows and targets; the first ``n_known`` training rows have a known target."""

    train: np.ndarray
    test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    n_known: int
    guard: Guard
    seed: int

    @property
    def few(self) -> tuple[np.ndarray, np.ndarray]:
        return self.train[: self.n_known], self.y_train[: self.n_known]


def make(data: Data, split: Split, cell: Cell) -> FewValues:
    made = matrix(data, split, cell.size, cell.seed)
    y = np.asarray(data.y, np.float64)
    y_train, y_test = y[split.train[: cell.size]], y[split.test]
    n_known = min(int(cell.condition.split()[0]), cell.size)
    center, scale = y_train[:n_known].mean(), y_train[:n_known].std() or 1.0
    return FewValues(made.train, made.test, (y_train - center) / scale, (y_test - center) / scale,
                     n_known, made.guard, cell.seed)  # fmt: skip


def _errors(task: FewValues, predicted: np.ndarray) -> dict[str, Errors]:
    """Return the squared error as a share of the variance of the held-out targets."""
    squares = (np.asarray(predicted).ravel() - task.y_test) ** 2
    return {"1 - R^2": mean_error(squares / task.y_test.var())}


def _code(task: FewValues, **arguments: Any) -> dict[str, Errors]:
    autoencoder = task.guard.fitted(Autoencoder(random_state=task.seed), task.train)
    head = CodeRegressor(autoencoder, random_state=task.seed, **arguments)
    return _errors(task, task.guard.fitted(head, *task.few).predict(task.test))


def _raw(make_one: Callable[[int], Any], task: FewValues) -> dict[str, Errors]:
    return _errors(task, task.guard.fitted(make_one(task.seed), *task.few).predict(task.test))


REGRESSION = Use(
    name="regression",
    what="regression with few known values and all training rows without, squared error as a "
    "share of the variance",
    kinds=("table", "mixed table"),
    conditions=("20 values", "100 values", "500 values"),
    make=make,
    estimators={"frozen": _code, "fine_tuned": partial(_code, training="fine_tuned")},
    rivals={
        "ridge": partial(_raw, lambda seed: RidgeCV(np.logspace(-2, 4, 13))),
        "svr": partial(_raw, lambda seed: SVR()),
        "net_from_scratch": partial(
            _raw, lambda seed: MLPRegressor(hidden_layer_sizes=(512, 256, 32), random_state=seed)
        ),
    },
    suits=has_numbers,
    sizes=(130, 400, 1000, 4000, 15_000),
)
