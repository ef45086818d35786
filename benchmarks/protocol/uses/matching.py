"""Tell pairs of the same class from others by few labels, beside distances of raw rows."""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy.stats import rankdata
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import normalize

from narrows import Autoencoder, CodeMatcher
from protocol.errors import Errors, jackknifed
from protocol.labels import has_classes
from protocol.use import Use
from protocol.uses.heads import UNKNOWN, FewLabels, make

__all__ = ["MATCHING"]

PAIRS = 2000


def _pairs(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of held-out rows, those of different classes first."""
    rng = np.random.default_rng([seed, 6])
    a, b = rng.integers(0, len(y), (2, 60 * PAIRS))
    different, same = (y[a] != y[b]), (y[a] == y[b]) & (a != b)
    chosen = [np.flatnonzero(part)[: PAIRS // 2] for part in (different, same)]
    rows = np.concatenate(chosen)
    return a[rows], b[rows]


def _errors(task: FewLabels, a, b, distance: np.ndarray) -> dict[str, Errors]:
    """Return 1 minus the area under the ROC curve of pairs of the same class."""
    same = task.y_test[a] == task.y_test[b]

    def missed(rows: np.ndarray) -> float:
        positive = same[rows]
        n, m = int(positive.sum()), int((~positive).sum())
        if not n or not m:
            return 0.5
        ranks = rankdata(-distance[rows])[positive].sum() - n * (n + 1) / 2
        return 1 - ranks / (n * m)

    return {"1 - AUROC": jackknifed(missed, len(a))}


def matcher(task: FewLabels) -> dict[str, Errors]:
    autoencoder = task.guard.fitted(Autoencoder(random_state=task.seed), task.train)
    y = np.full(len(task.train), UNKNOWN)
    y[task.labeled] = task.y_train[task.labeled]
    model = task.guard.fitted(CodeMatcher(autoencoder, random_state=task.seed), task.train, y)
    a, b = _pairs(task.y_test, task.seed)
    return _errors(task, a, b, model.match_distance(task.test[a], task.test[b]))


def _distance(task: FewLabels, *, cosine: bool) -> dict[str, Errors]:
    """Take no labels; the guard still sees the rows that the columns were standardized by."""
    task.guard.check(task.scaled_train)
    a, b = _pairs(task.y_test, task.seed)
    rows = normalize(task.scaled_test) if cosine else task.scaled_test
    return _errors(task, a, b, ((rows[a] - rows[b]) ** 2).sum(axis=1))


def lda(task: FewLabels) -> dict[str, Errors]:
    """Take the distance of the discriminants of the labeled rows.

    The covariance is shrunk by half: estimated shrinkage may be none, and then few rows fail.
    """
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=0.5)
    rows = task.guard.fitted(model, *task.scaled_few).transform(task.scaled_test)
    a, b = _pairs(task.y_test, task.seed)
    return _errors(task, a, b, ((rows[a] - rows[b]) ** 2).sum(axis=1))


MATCHING = Use(
    name="matching",
    what="telling pairs of held-out rows of the same class from others with few labels per class, "
    "1 - area under the ROC curve",
    kinds=("table", "image", "embedding"),
    conditions=("2 labels", "5 labels", "20 labels"),
    make=make,
    estimators={"matcher": matcher},
    rivals={
        "cosine": partial(_distance, cosine=True),
        "distance": partial(_distance, cosine=False),
        "lda": lda,
    },
    suits=has_classes,
    sizes=(130, 400, 1000, 4000, 15_000, 60_000),
)
