"""Solve a linear head on features: logistic regression or ridge, its strength chosen by folds.

Hoerl, Kennard (1970), "Ridge regression: biased estimation for nonorthogonal problems",
Technometrics 12; Alain, Bengio (2016), "Understanding intermediate layers using linear classifier
probes", arXiv:1610.01644.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV
from torch import Tensor

from narrows.training.early_stopping import HeldOutErrors, clearly_lower

__all__ = [
    "ClassProbe",
    "LabeledRows",
    "LinearMap",
    "Probe",
    "ValueProbe",
    "evenly",
    "folds_of",
    "parts_of",
]

_STRENGTH = 0.2
"""C of the logistic regression where folds don't say otherwise. Of 0.01 to 10 and C by folds it is
among the best from 1 to 20 labels a class, where folds are too small to choose."""

_STRENGTHS = (0.002, 0.02, 2.0, 20.0)
_LEAST_LABELS = 100
"""Number of labels from which folds choose C."""

_MOST_ROWS, _MOST_VALUES, _LEAST_ROWS = 1000, 100_000, 300
"""Limits on the labeled rows that folds are made of: fewer rows if they are wide."""

_MOST_ROUNDS, _ROUNDS_OF_A_FOLD = 200, 50

_UNSEEN = 10.0
"""The logit of a class without labels is this far below the lowest."""

_MOST_SOLVED = 2000
"""Number of values up to which the penalty of a ridge regression is chosen by all of them."""

_LEAST_VALUES = 3
"""Number of known values from which a target is more than its mean."""

_PENALTIES = np.logspace(-2, 4, 13)
"""Penalties of the ridge regression, of which leave-one-out errors choose."""


@dataclass(frozen=True)
class LinearMap:
    """o = z W + b, with W (n_features, n_outputs)."""

    weights: np.ndarray
    biases: np.ndarray

    def __call__(self, z: np.ndarray) -> np.ndarray:
        return z @ self.weights + self.biases


@dataclass(frozen=True)
class LabeledRows:
    """Rows of known y, as a probe reads them.

    Features z (n_rows, n_features), y (n_rows,) or (n_rows, n_targets), ``weights`` (n_rows,) of
    mean 1, and the ``numbers`` (n_rows,) of these rows in their source.
    """

    z: np.ndarray
    y: np.ndarray
    weights: np.ndarray
    numbers: np.ndarray

    @classmethod
    def of(
        cls, z: np.ndarray, y: np.ndarray, weights: Tensor | None, numbers: np.ndarray
    ) -> LabeledRows:
        """Return labeled rows; only the ratios of weights matter, None is equal weights."""
        given = np.ones(len(y)) if weights is None else weights.double().numpy()
        return cls(z, y, given / given.mean(), numbers)

    def __len__(self) -> int:
        return len(self.y)

    def at(self, rows: np.ndarray) -> LabeledRows:
        """Return the rows of a mask, or of numbers."""
        return LabeledRows(self.z[rows], self.y[rows], self.weights[rows], self.numbers[rows])

    def rotated(self) -> tuple[LabeledRows, np.ndarray | None]:
        """Return rows of at most as many features as rows, and the axes (n_features, n_rows).

        A penalized map is the same in any rotation, and few rows are faster in their own space.
        """
        if self.z.shape[1] <= len(self.z):
            return self, None
        left, sizes, right = np.linalg.svd(self.z, full_matrices=False)
        return LabeledRows(left * sizes, self.y, self.weights, self.numbers), right.T


class Probe(ABC):
    """A kind of linear head."""

    @abstractmethod
    def held_out_errors(self, labeled: LabeledRows) -> HeldOutErrors | None:
        """Return the error of every row by a map of the other folds; None without folds."""

    @abstractmethod
    def solve(self, labeled: LabeledRows) -> LinearMap:
        """Return the map of all rows."""


def evenly(n: int, width: int) -> np.ndarray:
    """Return the numbers of the rows that folds are made of, of n rows of so many features, evenly
    over their order."""
    most = min(_MOST_ROWS, max(_LEAST_ROWS, _MOST_VALUES // width))
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def folds_of(y: np.ndarray, *, seed: int) -> np.ndarray:
    """Return the fold of every row, (n_samples,): a share of each class y.

    There are 5 folds, or 3 for 300 rows or more, or as many as the most frequent class has rows.
    The only row of a class is in fold -1, which is never held out.
    """
    generator = np.random.default_rng(seed)
    classes, counts = np.unique(y, return_counts=True)
    n_folds = min(5 if len(y) < 300 else 3, int(counts.max(initial=0)))
    folds, start = np.full(len(y), -1), 0
    for c in classes[counts > 1]:
        rows = generator.permutation(np.flatnonzero(y == c))
        folds[rows] = (start + np.arange(len(rows))) % n_folds
        start += len(rows)
    return folds


def parts_of(folds: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the masks of the training rows and of the held-out rows of each fold."""
    for fold in np.unique(folds[folds >= 0]):
        yield folds != fold, folds == fold


@dataclass(frozen=True)
class ClassProbe(Probe):
    """Logistic regression of classes y, numbered from 0; errors are cross-entropy in nats."""

    n_classes: int
    seed: int

    def held_out_errors(self, labeled: LabeledRows) -> HeldOutErrors | None:
        return self._errors(labeled.rotated()[0], _STRENGTH)

    def folds(self, labeled: LabeledRows) -> np.ndarray:
        """Return the fold of every row, (n_rows,), a share of each class; -1 is not held out."""
        return folds_of(labeled.y, seed=self.seed)

    def held_out_classes(self, labeled: LabeledRows, folds: np.ndarray) -> np.ndarray:
        """Return the class that a map of the other folds predicts for every row, (n_rows,)."""
        predicted, rotated = labeled.y.copy(), labeled.rotated()[0]
        for training, held_out in parts_of(folds):
            found = self._fitted(rotated.at(training), _STRENGTH)
            predicted[held_out] = found(rotated.z[held_out]).argmax(axis=1)
        return predicted

    def solve(self, labeled: LabeledRows) -> LinearMap:
        rotated, axes = labeled.rotated()
        found = self._fitted(rotated, self._strength(rotated), _MOST_ROUNDS)
        return found if axes is None else LinearMap(axes @ found.weights, found.biases)

    def _strength(self, labeled: LabeledRows) -> float:
        labeled = labeled.at(evenly(len(labeled), labeled.z.shape[1])).rotated()[0]
        start = None if len(labeled) < _LEAST_LABELS else self._errors(labeled, _STRENGTH)
        if start is None:
            return _STRENGTH
        errors = {c: self._errors(labeled, c) or start for c in _STRENGTHS}
        best = min(errors, key=lambda c: errors[c].mean)
        return best if clearly_lower(errors[best], start) else _STRENGTH

    def _errors(self, labeled: LabeledRows, strength: float) -> HeldOutErrors | None:
        folds = self.folds(labeled)
        counted = folds >= 0
        if not counted.any():
            return None
        errors = np.zeros(len(labeled))
        for training, held_out in parts_of(folds):
            found = self._fitted(labeled.at(training), strength)
            logs = log_softmax(found(labeled.z[held_out]), axis=1)
            errors[held_out] = -logs[np.arange(len(logs)), labeled.y[held_out]]
        return _held_out(errors[counted], labeled.weights[counted])

    def _fitted(
        self, labeled: LabeledRows, strength: float, rounds: int = _ROUNDS_OF_A_FOLD
    ) -> LinearMap:
        weights = np.zeros((labeled.z.shape[1], self.n_classes))
        biases = np.zeros(self.n_classes)
        seen = np.unique(labeled.y)
        if len(seen) > 1:
            model = LogisticRegression(C=strength, max_iter=rounds)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # near enough to predict
                model.fit(labeled.z, labeled.y, sample_weight=labeled.weights)
            # of two classes there is one logit, the difference of two
            halves = np.array([-0.5, 0.5]) if len(seen) == 2 else 1.0
            weights[:, seen], biases[seen] = model.coef_.T * halves, model.intercept_ * halves
        unseen = np.setdiff1d(np.arange(self.n_classes), seen)
        biases[unseen] = biases[seen].min() - _UNSEEN
        return LinearMap(weights, biases)


@dataclass(frozen=True)
class ValueProbe(Probe):
    """Ridge regression of values y (n_rows,) or (n_rows, n_targets), NaN where unknown.

    The penalty of each target is the one of least squared error by leave-one-out; of more than
    2,000 rows a sample chooses it.
    """

    def held_out_errors(self, labeled: LabeledRows) -> HeldOutErrors | None:
        errors = np.zeros(len(labeled))
        for target in labeled.y.reshape(len(labeled), -1).T:
            known = ~np.isnan(target)
            if known.sum() < _LEAST_VALUES:
                return None
            model = _ridge(labeled.at(known), target[known])
            chosen: Any = model.alpha_  # Any: the stubs allow None
            errors[known] += model.cv_results_[:, int(np.argmin(abs(_PENALTIES - chosen)))]
        return _held_out(errors, np.ones(len(labeled)))  # weights are in these errors already

    def solve(self, labeled: LabeledRows) -> LinearMap:
        maps = []
        for target in labeled.y.reshape(len(labeled), -1).T:
            known = ~np.isnan(target)
            if known.sum() < _LEAST_VALUES:
                mean = float(target[known].mean()) if known.any() else 0.0
                maps.append((np.zeros(labeled.z.shape[1]), mean))
            else:
                rows, y = labeled.at(known), target[known]
                if len(y) > _MOST_SOLVED:  # all its penalties need a decomposition of all rows
                    some = evenly(len(y), rows.z.shape[1])
                    penalty: Any = _ridge(rows.at(some), y[some]).alpha_  # Any: as above
                    model = Ridge(penalty)
                    model.fit(rows.z, y, sample_weight=rows.weights)
                else:
                    model = _ridge(rows, y)
                maps.append((model.coef_, model.intercept_))
        weights, biases = zip(*maps, strict=True)
        return LinearMap(np.stack(weights, axis=1), np.array(biases))


def _ridge(labeled: LabeledRows, y: np.ndarray) -> RidgeCV:
    model = RidgeCV(_PENALTIES, store_cv_results=True)
    return model.fit(labeled.z, y, sample_weight=labeled.weights)


def _held_out(errors: np.ndarray, weights: np.ndarray) -> HeldOutErrors:
    weights = weights / weights.mean()
    mean = float((errors * weights).mean())
    return HeldOutErrors(mean, torch.from_numpy(errors), torch.from_numpy(weights))
