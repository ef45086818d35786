"""Make the one matrix that all methods of a task get, scaled by its training rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np

from protocol.data import Data
from protocol.guard import Guard
from protocol.splits import Split

__all__ = ["Matrix", "code_width", "matrix", "normal_rows", "standardized_by"]


@dataclass(frozen=True)
class Matrix:
    """Training and held-out rows: standardized columns, or images with values in [0, 1]."""

    train: np.ndarray
    test: np.ndarray
    guard: Guard
    seed: int

    @property
    def images(self) -> bool:
        return self.train.ndim > 2

    @property
    def flat(self) -> tuple[np.ndarray, np.ndarray]:
        """Both as (n, features), for methods that know no images."""
        return self.train.reshape(len(self.train), -1), self.test.reshape(len(self.test), -1)


def standardized_by(train: np.ndarray, *others: np.ndarray) -> list[np.ndarray]:
    """Standardize by the known values of the training rows, and drop constant columns.

    NaN stays NaN. A column that is constant in the training rows has no unit to measure it in.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without a known value
        mean, deviation = np.nanmean(train, axis=0), np.nanstd(train, axis=0)
    kept = np.isfinite(mean) & (deviation > 1e-9 * np.maximum(np.abs(mean), 1e-9))
    return [(x[:, kept] - mean[kept]) / deviation[kept] for x in (train, *others)]


def matrix(data: Data, split: Split, size: int, seed: int) -> Matrix:
    """Return the matrix of a split. Missing cells of a table are filled with the training mean."""
    train, test = data.rows[split.train[:size]], data.rows[split.test]
    guard = Guard(train, test)
    if train.ndim == 2:
        train, test = (np.nan_to_num(x) for x in standardized_by(train, test))
        guard.hold(test, beside=[train])
    return Matrix(train, test, guard, seed)


def code_width(task: Matrix) -> int:
    """Return a quarter of the features, from 2 to 32, and at most half of the training rows."""
    train, _ = task.flat
    return max(2, min(32, train.shape[1] // 4, len(train) // 2))


def normal_rows(data: Data) -> Data:
    """Return an anomaly table without its anomalies and labels, another set as it is."""
    if not data.anomalies:
        return data
    return replace(data, rows=data.rows[np.asarray(data.y) == 0], y=None, anomalies=False)
