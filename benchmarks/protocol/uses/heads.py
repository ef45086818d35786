"""Classify rows from few labels by a code learned without labels, beside classifiers of raw rows.

All training rows are given to the autoencoder, and some of them have a label.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from narrows import Autoencoder, CodeClassifier
from protocol.data import Data
from protocol.errors import Errors, mean_error
from protocol.guard import Guard
from protocol.labels import few_per_class, has_classes
from protocol.matrices import matrix, standardized_by
from protocol.splits import Split
from protocol.use import Cell, Use

__all__ = ["HEADS", "FewLabels", "make"]

UNKNOWN = -1


@dataclass(frozen=True)
class FewLabels:
    """Flat rows; ``labeled`` are indices of training rows; classes are numbered from 0.

    Autoencoders read ``train``, in which pixels are in [0, 1]. Rivals read ``scaled_train``, in
    which every column is standardized by all training rows, labeled or not.
    """

    train: np.ndarray
    test: np.ndarray
    scaled_train: np.ndarray
    scaled_test: np.ndarray
    y_train: np.ndarray
    y_test: np.ndarray
    labeled: np.ndarray
    guard: Guard
    seed: int

    @property
    def few(self) -> tuple[np.ndarray, np.ndarray]:
        return self.train[self.labeled], self.y_train[self.labeled]

    @property
    def scaled_few(self) -> tuple[np.ndarray, np.ndarray]:
        return self.scaled_train[self.labeled], self.y_train[self.labeled]


def make(data: Data, split: Split, cell: Cell) -> FewLabels:
    """Label the number of rows per class that is the cell's condition."""
    made = matrix(data, split, cell.size, cell.seed)
    train, test = made.flat
    scaled = standardized_by(train, test)
    made.guard.hold(scaled[1], beside=scaled[:1])
    _, y = np.unique(np.asarray(data.y), return_inverse=True)
    y_train, y_test = y[split.train[: cell.size]], y[split.test]
    labeled = few_per_class(y_train, int(cell.condition.split()[0]), cell.seed)
    return FewLabels(train, test, *scaled, y_train, y_test, labeled, made.guard, cell.seed)


def _errors(task: FewLabels, predicted: np.ndarray) -> dict[str, Errors]:
    return {"error rate": mean_error(predicted != task.y_test)}


def _code(task: FewLabels, **arguments: Any) -> dict[str, Errors]:
    autoencoder = task.guard.fitted(Autoencoder(random_state=task.seed), task.train)
    head = CodeClassifier(autoencoder, random_state=task.seed, **arguments)
    return _errors(task, task.guard.fitted(head, *task.few).predict(task.test))


def _code_and_unlabeled(task: FewLabels, **arguments: Any) -> dict[str, Errors]:
    """Give the unlabeled rows to the head too."""
    autoencoder = task.guard.fitted(Autoencoder(random_state=task.seed), task.train)
    y = np.full(len(task.train), UNKNOWN)
    y[task.labeled] = task.y_train[task.labeled]
    head = CodeClassifier(autoencoder, missing_label=UNKNOWN, random_state=task.seed, **arguments)
    return _errors(task, task.guard.fitted(head, task.train, y).predict(task.test))


def _raw(make_one: Callable[[int], Any], task: FewLabels) -> dict[str, Errors]:
    model = task.guard.fitted(make_one(task.seed), *task.scaled_few)
    return _errors(task, model.predict(task.scaled_test))


HEADS = Use(
    name="heads",
    what="classification with few labels per class and all training rows without labels, error "
    "rate; the net from scratch is scikit-learn's MLPClassifier with the autoencoder's layers",
    kinds=("table", "image", "embedding", "mixed table"),
    conditions=("1 label", "2 labels", "5 labels", "20 labels"),
    make=make,
    estimators={
        "frozen": _code,
        "fine_tuned": partial(_code, training="fine_tuned"),
        "joint": partial(_code_and_unlabeled, training="joint"),
        "propagated": partial(_code_and_unlabeled, n_neighbors=10),
    },
    rivals={
        "logistic": partial(_raw, lambda seed: LogisticRegression(max_iter=1000)),
        "svc": partial(_raw, lambda seed: SVC()),
        "net_from_scratch": partial(
            _raw, lambda seed: MLPClassifier(hidden_layer_sizes=(512, 256, 32), random_state=seed)
        ),
    },
    suits=has_classes,
    sizes=(130, 400, 1000, 4000, 15_000, 60_000),
    fast_sets=1,
)
