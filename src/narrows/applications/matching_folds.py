"""What a matcher says of pairs that it did not see: the folds of its calibration."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from narrows.applications.matching import (
    PairOdds,
    Pairs,
    area_under_curve,
    calibration_error,
    drawn_pairs,
    fit_odds,
    folds_of_classes,
    folds_of_rows,
)

__all__ = ["Calibration", "HeldOut", "calibrated", "class_folds", "pair_folds"]

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
