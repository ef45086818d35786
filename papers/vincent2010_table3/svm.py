"""A support vector machine with a Gaussian kernel, tuned on held-out rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.svm import SVC

__all__ = ["tuned_svm_error"]

# x in [0, 1], 784 features: exp(-gamma |x - x'|^2)
_GAMMAS = (0.003, 0.01, 0.02, 0.03, 0.05)
_COSTS = (1.0, 5.0, 20.0)


def tuned_svm_error(
    train: np.ndarray,
    classes: np.ndarray,
    held_out: np.ndarray,
    held_out_classes: np.ndarray,
    test: np.ndarray,
    test_classes: np.ndarray,
) -> tuple[float, dict[str, float]]:
    """Return the test error rate, and the gamma and C that did best on held-out rows.

    Rows are (n, 784) in [0, 1]. The kernel is computed once per gamma, by matrix products and in
    blocks for the test rows: O(n_train x n_test).
    """
    within, across = _squared_distances(train, train), _squared_distances(held_out, train)
    best, choice, svm = 2.0, (0.0, 0.0), None
    for gamma in _GAMMAS:
        kernel, other = np.exp(-gamma * within), np.exp(-gamma * across)
        for cost in _COSTS:
            fitted = SVC(C=cost, kernel="precomputed", cache_size=1000).fit(kernel, classes)
            error = float((fitted.predict(other) != held_out_classes).mean())
            if error < best:
                best, choice, svm = error, (gamma, cost), fitted
    assert svm is not None
    wrong = sum(
        int((svm.predict(np.exp(-choice[0] * _squared_distances(rows, train))) != y).sum())
        for rows, y in _blocks(test, test_classes)
    )
    return wrong / len(test), {"gamma": choice[0], "C": choice[1], "held_out_error": best}


def _squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1)
    return np.maximum(squares - 2 * (a @ b.T), 0)


def _blocks(x: np.ndarray, y: np.ndarray, size: int = 5000) -> Iterator[tuple[np.ndarray, ...]]:
    for start in range(0, len(x), size):
        yield x[start : start + size], y[start : start + size]
