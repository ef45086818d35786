"""Calibrate the probability that two rows are the same thing, on held-out pairs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from narrows.errors import InvalidData

__all__ = [
    "LEAST_CLASSES",
    "Calibration",
    "HeldOutPairs",
    "PairModel",
    "Pairs",
    "area_under_curve",
    "calibrated",
    "calibration_error",
    "measure_classes",
    "drawn_pairs",
    "fit_pair_model",
    "split_by_class",
    "split_by_row",
    "measure_pairs",
    "reliability_table",
]

BINS = 15

_PAIRS = 2_000
"""Number of pairs that are drawn from a fold."""

LEAST_CLASSES = 4
"""Fewer classes are not held out; rows are, instead."""


@dataclass(frozen=True)
class Pairs:
    """Numbers of the two rows of each pair, and whether both are the same thing."""

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray

    def __len__(self) -> int:
        return len(self.same)

    def squared_distances(self, embedded: np.ndarray) -> np.ndarray:
        """Return |a - b|^2 of every pair of rows of (n_rows, n_components), (n_pairs,)."""
        return np.square(embedded[self.first] - embedded[self.second]).sum(axis=1)


@dataclass(frozen=True)
class PairModel:
    """p(same) = sigma(intercept - slope * squared distance), slope > 0."""

    intercept: float
    slope: float

    def logit(self, squared: np.ndarray) -> np.ndarray:
        return self.intercept - self.slope * squared

    def probability(self, squared: np.ndarray) -> np.ndarray:
        return expit(self.logit(squared))


def drawn_pairs(y: np.ndarray, n: int, *, generator: np.random.Generator) -> Pairs:
    """Draw at most n pairs of different rows: one half of the same class, one of different classes.

    Classes and pairs of classes are drawn evenly, however many rows they have; y < 0 is unknown.
    No pairs are returned if no class has two rows, or if there is only one class.
    """
    numbers, counts = np.unique(y[y >= 0], return_counts=True)
    order = np.argsort(y, kind="stable")[np.count_nonzero(y < 0) :]  # rows, class by class
    starts = np.cumsum(counts) - counts
    several = np.flatnonzero(counts > 1)
    half = n // 2 if len(several) and len(numbers) > 1 else 0
    if not half:
        none = np.zeros(0, dtype=np.int64)
        return Pairs(none, none, none.astype(bool))
    c = several[generator.integers(len(several), size=half)]
    # the second row is drawn from one row fewer and skips the first
    i, j = generator.integers(counts[c]), generator.integers(counts[c] - 1)
    j += j >= i
    a, b = (
        generator.integers(len(numbers), size=half),
        generator.integers(len(numbers) - 1, size=half),
    )
    b += b >= a
    places = [
        np.concatenate([starts[c] + of_same, starts[k] + generator.integers(counts[k])])
        for of_same, k in ((i, a), (j, b))
    ]
    return Pairs(order[places[0]], order[places[1]], np.arange(2 * half) < half)


def split_by_class(
    y: np.ndarray, n_folds: int, *, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield, for each fold, which rows belong to its held-out classes, two or more classes."""
    classes = generator.permutation(np.unique(y[y >= 0]))
    for part in np.array_split(classes, min(n_folds, len(classes) // 2)):
        yield np.isin(y, part)


def split_by_row(
    y: np.ndarray, n_folds: int, *, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield, for each fold, which rows are held out: a share of every class."""
    order = generator.permutation(len(y))
    fold = np.zeros(len(y), dtype=np.int64)
    for c in np.unique(y[y >= 0]):
        rows = order[y[order] == c]
        fold[rows] = np.arange(len(rows)) % n_folds
    for k in range(n_folds):
        yield (fold == k) & (y >= 0)


def fit_pair_model(squared: np.ndarray, same: np.ndarray) -> PairModel:
    """Fit a logistic model of pairs by Platt scaling, with slope > 0.

    The targets are Platt's, (n + 1) / (n + 2) and 1 / (n + 2) instead of 1 and 0, so that the
    slope stays finite if the distances separate the pairs perfectly.

    References: Platt (1999), "Probabilistic outputs for support vector machines".
    """
    n_same, n = int(same.sum()), len(same)
    target = np.where(same, (n_same + 1) / (n_same + 2), 1 / (n - n_same + 2))
    size = float(squared.mean()) or 1.0
    x = squared / size

    def cost(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        a, log_b = parameters
        logit = a - np.exp(log_b) * x
        tail = np.exp(-np.abs(logit))
        # sigma and log(1 + exp) of the logit share one exponential; expit and logaddexp are slower
        gap = np.where(logit >= 0, 1, tail) / (1 + tail) - target
        gradient = np.array([gap.mean(), -(gap * x).mean() * np.exp(log_b)])
        softplus = np.maximum(logit, 0) + np.log(1 + tail)
        return float((softplus - target * logit).mean()), gradient

    found = minimize(
        cost, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(-50, 50), (-12, 8)]
    )
    return PairModel(float(found.x[0]), float(math.exp(found.x[1]) / size))


def area_under_curve(score: np.ndarray, same: np.ndarray) -> float:
    """Return the AUC: how often a pair of the same thing scores higher than a different pair."""
    _check_both(same)
    return float(roc_auc_score(same, score))


def calibration_error(probability: np.ndarray, same: np.ndarray, *, n_bins: int = BINS) -> float:
    """Return the expected calibration error: the mean over bins of |mean p - share of same pairs|.

    The bins hold equally many pairs. 0 is perfect calibration; by chance a perfectly calibrated
    model still has up to about 0.4 / sqrt(pairs in a bin).

    References: Naeini, Cooper, Hauskrecht (2015), "Obtaining well calibrated probabilities using
    Bayesian binning", AAAI; Nguyen, O'Connor (2015), EMNLP (bins of equal mass).

    Raises
    ------
    InvalidData
        If there are no pairs, or the arrays differ in length.
    """
    table = reliability_table(probability, same, n_bins=n_bins)
    gaps = [row["pairs"] * abs(row["probability"] - row["same"]) for row in table]
    return float(sum(gaps) / sum(row["pairs"] for row in table))


def reliability_table(
    probability: np.ndarray, same: np.ndarray, *, n_bins: int = BINS
) -> list[dict[str, float]]:
    """Return, for bins of equally many pairs, their number (``pairs``), the mean ``probability``
    and the share of pairs that are the same thing (``same``).

    Raises
    ------
    InvalidData
        If there are no pairs, or the arrays differ in length.
    """
    probability, same = np.asarray(probability, np.float64), np.asarray(same, np.float64)
    if not len(same) or probability.shape != same.shape or same.ndim != 1:
        raise InvalidData(
            f"same: {same.shape} answers for probabilities {probability.shape}; one for each of "
            "one pair or more is needed."
        )
    # pairs of equal probability share the mean of their answers, so that their order is irrelevant
    _, groups, counts = np.unique(probability, return_inverse=True, return_counts=True)
    shares = np.bincount(groups, weights=same) / counts
    order = np.argsort(probability, kind="stable")
    return [
        {
            "pairs": len(part),
            "probability": float(probability[part].mean()),
            "same": float(shares[groups[part]].mean()),
        }
        for part in np.array_split(order, min(n_bins, len(order)))
    ]


def _check_both(same: np.ndarray) -> None:
    if not (0 < np.sum(same) < len(same)):
        raise InvalidData(
            f"same: {int(np.sum(same))} of {len(same)} pairs are the same; some of both kinds are "
            "needed."
        )


Learner = Callable[[np.ndarray], Callable[[Pairs], np.ndarray]]
"""Learns from y, with held-out labels unknown, a function from pairs to squared distances."""


class HeldOutPairs(NamedTuple):
    """Squared distances of the held-out pairs of a fold, and which pairs are the same thing."""

    squared: np.ndarray
    same: np.ndarray


class Calibration(NamedTuple):
    """The odds, with AUC and calibration error on held-out pairs; None with a single fold.

    ``held_out`` is what was held out for them: "classes", "rows", "pairs", or "training" if nothing
    was.
    """

    held_out: str
    odds: PairModel
    auc: float | None
    error: float | None


def measure_classes(
    y: np.ndarray, learn: Learner, n_folds: int, repeats: int, *, generator: np.random.Generator
) -> tuple[str, list[HeldOutPairs]]:
    """Measure held-out classes, or held-out rows if there are fewer than 4 classes.

    Return "classes", "rows" or, if nothing can be held out, "training", and the measured folds.
    """
    by_class = len(np.unique(y[y >= 0])) >= LEAST_CLASSES
    folds = split_by_class if by_class else split_by_row
    measured: list[HeldOutPairs] = []
    for _ in range(repeats):
        for held in folds(y, n_folds, generator=generator):
            pairs = drawn_pairs(np.where(held, y, -1), _PAIRS, generator=generator)
            rest = np.where(held, -1, y)
            if len(pairs) and len(np.unique(rest[rest >= 0])) > 1:
                measured.append(HeldOutPairs(learn(rest)(pairs), pairs.same))
    if measured:
        return ("classes" if by_class else "rows"), measured
    pairs = drawn_pairs(y, _PAIRS, generator=generator)  # there are too few rows to hold some out
    return "training", [HeldOutPairs(learn(y)(pairs), pairs.same)]


def measure_pairs(
    same: np.ndarray, learn: Learner, n_folds: int, *, generator: np.random.Generator
) -> tuple[str, list[HeldOutPairs]]:
    """Measure held-out pairs; pair i is row i of the first and row n + i of both stacked.

    Return "pairs" or, if none can be held out, "training", and the measured folds.
    """
    n = len(same)
    measured: list[HeldOutPairs] = []
    for fold in split_by_row(same.astype(np.int64), n_folds, generator=generator):
        held = np.flatnonzero(fold)
        rest = np.ones(n, dtype=bool)
        rest[held] = False
        if len(np.unique(same[rest])) == len(np.unique(same[held])) == 2:
            y = np.where(rest, same, -1)
            pairs = Pairs(held, held + n, same[held])
            measured.append(HeldOutPairs(learn(np.tile(y, 2))(pairs), pairs.same))
    if measured:
        return "pairs", measured
    pairs = Pairs(np.arange(n), np.arange(n) + n, same)
    return "training", [HeldOutPairs(learn(np.tile(same.astype(np.int64), 2))(pairs), same)]


def calibrated(held_out: str, measured: list[HeldOutPairs]) -> Calibration:
    """Return the odds of all folds, with the AUC and the calibration error as means over folds.

    The arguments are the results of ``measure_classes`` or ``measure_pairs``.

    The calibration error of a fold is that of odds fitted to the other folds.
    """
    odds = fit_pair_model(*(np.concatenate(part) for part in zip(*measured, strict=True)))
    if len(measured) < 2:
        return Calibration(held_out, odds, None, None)
    aucs, errors = [], []
    for i, fold in enumerate(measured):
        others = measured[:i] + measured[i + 1 :]
        odds_of_others = fit_pair_model(
            *(np.concatenate(part) for part in zip(*others, strict=True))
        )
        aucs.append(area_under_curve(-fold.squared, fold.same))
        errors.append(calibration_error(odds_of_others.probability(fold.squared), fold.same))
    return Calibration(held_out, odds, float(np.mean(aucs)), float(np.mean(errors)))
