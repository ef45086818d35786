"""Rank anomalies above normal rows, beside neighbors, isolation forests and a Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import rankdata
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from narrows import AnomalyDetector
from protocol.data import Data
from protocol.errors import Errors, jackknifed
from protocol.guard import Guard
from protocol.splits import Split, split_anomalies
from protocol.use import Cell, Use

__all__ = ["ANOMALIES"]


@dataclass(frozen=True)
class Table:
    """Rows as they are; ``y_test`` is 1 for anomalies, and sorted."""

    train: np.ndarray
    test: np.ndarray
    y_test: np.ndarray
    guard: Guard
    seed: int


def make(data: Data, split: Split, cell: Cell) -> Table:
    assert data.y is not None
    train, test = data.rows[split.train[: cell.size]], data.rows[split.test]
    return Table(train, test, data.y[split.test], Guard(train, test), cell.seed)


def _errors(task: Table, scores: np.ndarray) -> dict[str, Errors]:
    """Return 1 minus the area under the ROC curve; held-out rows are sorted by y."""
    scores = np.nan_to_num(np.asarray(scores, np.float64), posinf=1e300, neginf=-1e300)

    def missed(rows: np.ndarray) -> float:
        odd = task.y_test[rows] == 1
        n_odd, n_normal = int(odd.sum()), int((~odd).sum())
        if not n_odd or not n_normal:
            return 0.5
        ranks = rankdata(scores[rows])[odd].sum() - n_odd * (n_odd + 1) / 2
        return 1 - ranks / (n_odd * n_normal)

    return {"1 - AUROC": jackknifed(missed, len(scores))}


def _detector(task: Table) -> dict[str, Errors]:
    model = task.guard.fitted(AnomalyDetector(random_state=task.seed), task.train)
    return _errors(task, -model.score_samples(task.test))


def _neighbors(task: Table, *, standardized: bool) -> dict[str, Errors]:
    """Return the distance to the fifth nearest training row."""
    train, test = task.train, task.test
    if standardized:
        scaler = task.guard.fitted(StandardScaler(), train)
        train, test = scaler.transform(train), scaler.transform(test)
        task.guard.hold(test, beside=[train])
    model = task.guard.fitted(NearestNeighbors(n_neighbors=min(5, len(train))), train)
    return _errors(task, model.kneighbors(test)[0][:, -1])


def _scored(make_one: Callable[[int], Any], score: Callable[[Any, Any], Any], task: Table):
    model = task.guard.fitted(make_one(task.seed), task.train)
    return _errors(task, score(model, task.test))


ANOMALIES = Use(
    name="anomalies",
    what="ranking of anomalies above normal rows, 1 - area under the ROC curve; training rows are "
    "normal ones (clean) or drawn from all (contaminated)",
    kinds=("anomaly table",),
    conditions=("clean", "contaminated"),
    make=make,
    estimators={"detector": _detector},
    rivals={
        "knn_standardized": partial(_neighbors, standardized=True),
        "knn": partial(_neighbors, standardized=False),
        "isolation_forest": partial(
            _scored,
            lambda seed: IsolationForest(random_state=seed),
            lambda model, x: -model.score_samples(x),
        ),
        "mahalanobis": partial(
            _scored, lambda seed: EmpiricalCovariance(), lambda model, x: model.mahalanobis(x)
        ),
    },
    split=lambda data, seed, condition: split_anomalies(
        data.rows, np.asarray(data.y), seed, clean=condition == "clean"
    ),
    sizes=(30, 60, 130, 400, 1000, 4000, 15_000),
    fast_sets=1,
)
