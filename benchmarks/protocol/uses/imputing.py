"""Impute cells hidden at random, beside scikit-learn's imputers and a Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer

from narrows import CodeImputer
from protocol.data import Data
from protocol.errors import Errors, jackknifed
from protocol.guard import Guard
from protocol.matrices import normal_rows, standardized_by
from protocol.rivals.gaussian import GaussianFill
from protocol.splits import Split, split
from protocol.use import Cell, Use

__all__ = ["IMPUTING"]


@dataclass(frozen=True)
class Holes:
    """Rows with NaN to train on, held-out rows with NaN, and the values behind ``hidden``."""

    train: np.ndarray
    test: np.ndarray
    complete: np.ndarray
    hidden: np.ndarray
    guard: Guard
    seed: int


def make(data: Data, split: Split, cell: Cell) -> Holes:
    flat = data.rows.reshape(len(data.rows), -1).astype(np.float64)
    raw_train, raw_test = flat[split.train[: cell.size]], flat[split.test]
    guard = Guard(raw_train, raw_test)
    rng = np.random.default_rng([cell.seed, 3])
    share = float(cell.condition.rstrip("%")) / 100
    chosen_test = rng.random(raw_test.shape) < share
    chosen_train = rng.random(raw_train.shape) < share
    holed = np.where(chosen_train, np.nan, raw_train)
    train, complete, test = standardized_by(
        holed, raw_test, np.where(chosen_test, np.nan, raw_test)
    )
    hidden = np.isnan(test) & np.isfinite(complete)
    guard.hold(complete, test, beside=[train])
    return Holes(train, test, complete, hidden, guard, cell.seed)


def _errors(task: Holes, filled: np.ndarray) -> dict[str, Errors]:
    squares = np.where(task.hidden, (filled - np.nan_to_num(task.complete)) ** 2, 0).sum(axis=1)
    count = task.hidden.sum(axis=1)
    return {
        "RMSE / sd": jackknifed(
            lambda rows: np.sqrt(squares[rows].sum() / max(count[rows].sum(), 1)), len(squares)
        )
    }


def _imputer(make_one: Callable[[int], Any], task: Holes) -> dict[str, Errors]:
    model = task.guard.fitted(make_one(task.seed), task.train)
    return _errors(task, np.asarray(model.transform(task.test), np.float64))


def applies(name: str, task: Holes) -> bool:
    """Leave out imputers whose time grows with the cube of the features, or the square of rows."""
    rows, features = task.train.shape
    if name == "iterative":
        return features <= 64 and rows <= 4000
    if name == "gaussian":
        return features <= 128
    return name != "knn" or rows <= 4000


IMPUTING = Use(
    name="imputing",
    what="imputation of cells hidden at random in training and held-out rows, root mean squared "
    "error in standard deviations of the column",
    kinds=("table", "mixed table", "anomaly table"),
    conditions=("10%", "30%", "50%"),
    make=make,
    estimators={"imputer": partial(_imputer, lambda seed: CodeImputer(random_state=seed))},
    rivals={
        "iterative": partial(_imputer, lambda seed: IterativeImputer(random_state=seed)),
        "gaussian": partial(_imputer, lambda seed: GaussianFill()),
        "knn": partial(_imputer, lambda seed: KNNImputer(n_neighbors=20)),
        "mean": partial(_imputer, lambda seed: SimpleImputer()),
    },
    select=normal_rows,
    split=lambda data, seed, condition: split(data.rows, seed, is_test=data.is_test, most=300),
    applies=applies,
    sizes=(30, 60, 130, 400, 1000, 4000, 15_000),
    fast_sets=1,
)
