"""The odds that two rows are the same thing, calibrated on pairs held out."""

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
    "Calibration",
    "HeldOut",
    "PairOdds",
    "Pairs",
    "area_under_curve",
    "calibrated",
    "calibration_error",
    "class_folds",
    "drawn_pairs",
    "fit_odds",
    "folds_of_classes",
    "folds_of_rows",
    "pair_folds",
    "reliability_table",
]

BINS = 15


@dataclass(frozen=True)
class Pairs:
    """Row numbers of the first and the second of each pair, and whether they are the same."""

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray

    def __len__(self) -> int:
        return len(self.same)

    def squared_distances(self, embedded: np.ndarray) -> np.ndarray:
        """Return |a - b|^2 of every pair of rows of (n_rows, n_components), (n_pairs,)."""
        return np.square(embedded[self.first] - embedded[self.second]).sum(axis=1)


@dataclass(frozen=True)
class PairOdds:
    """p(same) = sigma(intercept - slope * squared distance), slope > 0."""

    intercept: float
    slope: float

    def logit(self, squared: np.ndarray) -> np.ndarray:
        return self.intercept - self.slope * squared

    def probability(self, squared: np.ndarray) -> np.ndarray:
        return expit(self.logit(squared))


def drawn_pairs(y: np.ndarray, n: int, *, generator: np.random.Generator) -> Pairs:
    """Return at most n pairs of different rows, as many of one class as of two.

    Classes and pairs of classes are drawn evenly, however many rows they have; y < 0 is unknown.
    None are returned where no class has two rows, or there is one class.
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
    # another one of so many: drawn from one fewer, it skips over the first
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


def folds_of_classes(
    y: np.ndarray, n_folds: int, *, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield, for every fold, which rows are of the classes held out: two or more of them."""
    classes = generator.permutation(np.unique(y[y >= 0]))
    for part in np.array_split(classes, min(n_folds, len(classes) // 2)):
        yield np.isin(y, part)


def folds_of_rows(
    y: np.ndarray, n_folds: int, *, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield, for every fold, which rows are held out: a share of every class."""
    order = generator.permutation(len(y))
    fold = np.zeros(len(y), dtype=np.int64)
    for c in np.unique(y[y >= 0]):
        rows = order[y[order] == c]
        fold[rows] = np.arange(len(rows)) % n_folds
    for k in range(n_folds):
        yield (fold == k) & (y >= 0)


def fit_odds(squared: np.ndarray, same: np.ndarray) -> PairOdds:
    """Return the odds of greatest likelihood, with b > 0.

    The pairs count as Platt has them, (n + 1) / (n + 2) and 1 / (n + 2) instead of 1 and 0, so
    that the odds stay finite where pairs are told apart without error.

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
        # sigma and log(1 + exp) of the logit by one exponential: expit and logaddexp take longer
        gap = np.where(logit >= 0, 1, tail) / (1 + tail) - target
        gradient = np.array([gap.mean(), -(gap * x).mean() * np.exp(log_b)])
        softplus = np.maximum(logit, 0) + np.log(1 + tail)
        return float((softplus - target * logit).mean()), gradient

    found = minimize(
        cost, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B", bounds=[(-50, 50), (-12, 8)]
    )
    return PairOdds(float(found.x[0]), float(math.exp(found.x[1]) / size))


def area_under_curve(score: np.ndarray, same: np.ndarray) -> float:
    """Return the share of (same, different) pairs of pairs of which the same one scores higher."""
    _check_both(same)
    return float(roc_auc_score(same, score))


def calibration_error(probability: np.ndarray, same: np.ndarray, *, n_bins: int = BINS) -> float:
    """Return the expected calibration error: |mean p - share that is the same|, mean over bins.

    The bins hold equally many pairs. 0 where every probability is met by as many pairs; a model
    without any error still has about 0.4 / sqrt(pairs in a bin) by chance.

    References: Naeini, Cooper, Hauskrecht (2015), "Obtaining well calibrated probabilities using
    Bayesian binning", AAAI; Nguyen, O'Connor (2015), EMNLP (bins of equal mass).

    Raises
    ------
    InvalidData
        If there is no pair, or the two are of different lengths.
    """
    table = reliability_table(probability, same, n_bins=n_bins)
    gaps = [row["pairs"] * abs(row["said"] - row["same"]) for row in table]
    return float(sum(gaps) / sum(row["pairs"] for row in table))


def reliability_table(
    probability: np.ndarray, same: np.ndarray, *, n_bins: int = BINS
) -> list[dict[str, float]]:
    """Return, for bins of equally many pairs, how many there are (``pairs``), the mean probability
    (``said``) and the share that is the same (``same``).

    Raises
    ------
    InvalidData
        If there are no pairs, or not an answer for each.
    """
    probability, same = np.asarray(probability, np.float64), np.asarray(same, np.float64)
    if not len(same) or probability.shape != same.shape or same.ndim != 1:
        raise InvalidData(
            f"same: {same.shape} answers for probabilities {probability.shape}; one for each of "
            "one pair or more is needed."
        )
    # pairs of one probability share their answers, so that their order plays no part
    _, groups, counts = np.unique(probability, return_inverse=True, return_counts=True)
    shares = np.bincount(groups, weights=same) / counts
    order = np.argsort(probability, kind="stable")
    return [
        {
            "pairs": len(part),
            "said": float(probability[part].mean()),
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


_PAIRS = 2_000
_LEAST_CLASSES = 4

Learner = Callable[[np.ndarray], Callable[[Pairs], np.ndarray]]
"""From y without what is held out, to a function from pairs to their squared distances."""


class HeldOut(NamedTuple):
    """Squared distances of the pairs of one fold, and which are the same."""

    squared: np.ndarray
    same: np.ndarray


class Calibration(NamedTuple):
    """The odds, how well they rank pairs of a fold and how far off they are there."""

    odds: PairOdds
    auc: float | None
    error: float | None


def class_folds(
    y: np.ndarray, learn: Learner, n_folds: int, repeats: int, *, generator: np.random.Generator
) -> tuple[str, list[HeldOut]]:
    """Hold out classes, or rows where they are fewer than 4; say which, and what was measured."""
    by_class = len(np.unique(y[y >= 0])) >= _LEAST_CLASSES
    folds = folds_of_classes if by_class else folds_of_rows
    measured: list[HeldOut] = []
    for _ in range(repeats):
        for held in folds(y, n_folds, generator=generator):
            pairs = drawn_pairs(np.where(held, y, -1), _PAIRS, generator=generator)
            rest = np.where(held, -1, y)
            if len(pairs) and len(np.unique(rest[rest >= 0])) > 1:
                measured.append(HeldOut(learn(rest)(pairs), pairs.same))
    if measured:
        return ("classes" if by_class else "rows"), measured
    pairs = drawn_pairs(y, _PAIRS, generator=generator)  # too few rows to hold any out
    return "training", [HeldOut(learn(y)(pairs), pairs.same)]


def pair_folds(
    same: np.ndarray, learn: Learner, n_folds: int, *, generator: np.random.Generator
) -> tuple[str, list[HeldOut]]:
    """Hold out pairs that were given; row i of the first goes with row i of the second."""
    n = len(same)
    measured: list[HeldOut] = []
    for held in _parts(same, n_folds, generator):
        rest = np.ones(n, dtype=bool)
        rest[held] = False
        if len(np.unique(same[rest])) == len(np.unique(same[held])) == 2:
            y = np.where(rest, same, -1)
            pairs = Pairs(held, held + n, same[held])
            measured.append(HeldOut(learn(np.tile(y, 2))(pairs), pairs.same))
    if measured:
        return "pairs", measured
    pairs = Pairs(np.arange(n), np.arange(n) + n, same)
    return "training", [HeldOut(learn(np.tile(same.astype(np.int64), 2))(pairs), same)]


def _parts(same: np.ndarray, n_folds: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    held = folds_of_rows(same.astype(np.int64), n_folds, generator=generator)
    return (np.flatnonzero(part) for part in held)


def calibrated(measured: list[HeldOut]) -> Calibration:
    """Return the odds of all folds, and means over folds of what odds of the others say of one."""
    odds = fit_odds(*(np.concatenate(part) for part in zip(*measured, strict=True)))
    if len(measured) < 2:
        return Calibration(odds, None, None)
    aucs, errors = [], []
    for i, fold in enumerate(measured):
        others = measured[:i] + measured[i + 1 :]
        of_others = fit_odds(*(np.concatenate(part) for part in zip(*others, strict=True)))
        aucs.append(area_under_curve(-fold.squared, fold.same))
        errors.append(calibration_error(of_others.probability(fold.squared), fold.same))
    return Calibration(odds, float(np.mean(aucs)), float(np.mean(errors)))
