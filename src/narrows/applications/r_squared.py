"""How much of each target's variance a prediction explains."""

from __future__ import annotations

import math

import numpy as np
from sklearn.metrics import r2_score

__all__ = ["mean_r2", "r2_of_targets"]


def r2_of_targets(
    truth: np.ndarray, said: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return R^2 of every target, 1 - sum (y - said)^2 / sum (y - mean)^2, float64 (n_targets,).

    Rows whose value is NaN do not count in that target; of fewer than two others R^2 is NaN.

    Parameters
    ----------
    truth, said : ndarray of shape (n_samples, n_targets)
    weights : ndarray of shape (n_samples,), optional
    """
    found = np.full(truth.shape[1], math.nan)
    for j in range(truth.shape[1]):
        known = ~np.isnan(truth[:, j])
        if known.sum() > 1:
            counted = None if weights is None else weights[known]
            found[j] = r2_score(truth[known, j], said[known, j], sample_weight=counted)
    return found


def mean_r2(of_targets: np.ndarray) -> float:
    """Return the mean over the targets that have an R^2, NaN where none has."""
    measured = of_targets[~np.isnan(of_targets)]
    return float(measured.mean()) if len(measured) else math.nan
