"""A support vector machine with a Gaussian kernel, tuned on held-out rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.svm import SVC

from narrows.cli.choosing import Study

__all__ = ["KernelSVM", "tuned_svm"]

# x in [0, 1], 784 features: exp(-gamma |x - x'|^2)
_GAMMAS = (0.003, 0.01, 0.02, 0.03, 0.05)
_COSTS = (1.0, 5.0, 20.0)


@dataclass(frozen=True)
class KernelSVM:
    """A fitted machine, its kernel width, and its training rows (n, 784) in [0, 1]."""

    svm: SVC
    gamma: float
    train: np.ndarray

    def error(self, x: np.ndarray, y: np.ndarray) -> float:
        """Return the error rate. Cost: O(n x n_train), in blocks."""
        wrong = 0
        for rows, classes in _blocks(x, y):
            kernel = np.exp(-self.gamma * _squared_distances(rows, self.train))
            wrong += int((self.svm.predict(kernel) != classes).sum())
        return wrong / len(x)


def tuned_svm(
    study: Study[Any],
    train: np.ndarray,
    classes: np.ndarray,
    held_out: np.ndarray,
    held_out_classes: np.ndarray,
) -> KernelSVM:
    """Return the machine whose kernel width and cost did best on held-out rows.

    This is the study's choice "SVM". Rows are (n, 784) in [0, 1]; the kernel is computed once per
    width, by matrix products.
    """
    within, across = _squared_distances(train, train), _squared_distances(held_out, train)
    fitted: dict[tuple[float, float], SVC] = {}
    errors: dict[tuple[float, float], float] = {}
    for gamma in _GAMMAS:
        kernel, other = np.exp(-gamma * within), np.exp(-gamma * across)
        for cost in _COSTS:
            svm = SVC(C=cost, kernel="precomputed", cache_size=1000).fit(kernel, classes)
            fitted[gamma, cost] = svm
            errors[gamma, cost] = 100 * float((svm.predict(other) != held_out_classes).mean())
    candidates = {f"gamma {gamma:g}, C {cost:g}": (gamma, cost) for gamma, cost in fitted}
    unit = f"error in percent of {len(held_out)} held-out images"
    chosen = study.choose("SVM", candidates, errors.__getitem__, unit=unit)
    return KernelSVM(fitted[chosen], chosen[0], train)


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)
    return np.maximum(squares - 2 * (a @ b.T), 0)


def _blocks(x: np.ndarray, y: np.ndarray, size: int = 5000) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]
