"""The map of features in which pairs are told apart, in closed form.

    W = S^(-1/2) V diag( psi / (1 + psi) )^(1/2),   e = (h - m) W / |(h - m) W|

S is the covariance of features within one thing, psi and V the variances and axes between things
where S is 1. For two rows whose difference is Gaussian, of variance 2 where they are the same thing
and 2 (1 + psi) where they are not, the log of the odds falls with the square of their difference,
times psi / (4 (1 + psi)): that is the distance after W. Things never seen before vary along axes
that those seen do not, so psi is drawn towards its mean; few rows make S badly known, so S is drawn
towards a multiple of 1 (Ledoit, Wolf 2004).

Moghaddam, Jebara, Pentland (2000), "Bayesian face recognition", Pattern Recognition 33 (the ratio
of two Gaussians); Hatch, Kajarekar, Stolcke (2006), "Within-class covariance normalization for
SVM-based speaker recognition", Interspeech (S); Garcia-Romero, Espy-Wilson (2011), "Analysis of
i-vector length normalization in speaker recognition systems", Interspeech (the length).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.covariance import ledoit_wolf

__all__ = ["PairMetric", "metric_of_classes", "metric_of_pairs"]

_DRAWN = 0.3
"""How far psi goes to its mean; between 0.1 and 0.6 it hardly matters."""

_FLOOR = 1e-6
"""The least variance within, as a share of the mean variance of a feature."""


@dataclass(frozen=True)
class PairMetric:
    """m (n_features,) and W (n_features, n_components), the axes that tell most first."""

    shift: np.ndarray
    weights: np.ndarray

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Return e of rows of features, (n_samples, n_components), float64."""
        return of_length_1((features - self.shift) @ self.weights)


def of_length_1(rows: np.ndarray) -> np.ndarray:
    """Return rows of length 1; one of zeros stays so."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def metric_of_classes(
    features: np.ndarray, y: np.ndarray, *, n_components: int | None = None
) -> PairMetric:
    """Return the metric from rows (n_samples, n_features) whose classes y are known where >= 0.

    Rows of unknown class count in the mean. Cost: O(n_features^3) beside the covariances.
    """
    features = np.asarray(features, dtype=np.float64)
    shift = features.mean(axis=0)
    rows, y = features[y >= 0] - shift, y[y >= 0]
    numbers, positions, counts = np.unique(y, return_inverse=True, return_counts=True)
    means = np.zeros((len(numbers), rows.shape[1]))
    np.add.at(means, positions, rows)
    means /= counts[:, None]
    residuals = rows - means[positions]
    # n rows of c classes have n - c degrees of freedom
    residuals *= np.sqrt(len(rows) / max(len(rows) - len(numbers), 1))
    white = _whitening(residuals, rows)
    between = np.atleast_2d(np.cov((means @ white).T, ddof=min(1, len(numbers) - 1)))
    # the mean of n rows varies by 1 / n where nothing else does
    return _metric(shift, white, between, float((1 / counts).mean()), n_components)


def metric_of_pairs(
    first: np.ndarray, second: np.ndarray, same: np.ndarray, *, n_components: int | None = None
) -> PairMetric:
    """Return the metric from pairs of rows (n_pairs, n_features), the same thing or not."""
    both = np.concatenate([first, second]).astype(np.float64)
    shift = both.mean(axis=0)
    both -= shift
    half = len(first)
    differences = (both[:half] - both[half:]) / np.sqrt(2)
    white = _whitening(differences[same], both)
    apart = differences[~same] @ white
    return _metric(shift, white, apart.T @ apart / max(len(apart), 1), 1.0, n_components)


def _whitening(residuals: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return S^(-1/2) of residuals within one thing, (n_features, n_features)."""
    size = rows.var(axis=0).mean() or 1.0
    if len(residuals) < 2:
        return np.eye(rows.shape[1]) / np.sqrt(size)
    # in units of the features' own size, so that no value overflows when squared
    covariance, _ = ledoit_wolf(residuals / np.sqrt(size), assume_centered=True)
    variances, axes = np.linalg.eigh(np.atleast_2d(covariance))
    return axes / np.sqrt(np.maximum(variances, _FLOOR) * size)


def _metric(
    shift: np.ndarray,
    white: np.ndarray,
    between: np.ndarray,
    within: float,
    n_components: int | None,
) -> PairMetric:
    """Return the metric from a covariance where S is 1, of which ``within`` is S's own share."""
    variances, axes = np.linalg.eigh(between)
    psi = np.maximum(variances - within, 0)[::-1]
    psi = (1 - _DRAWN) * psi + _DRAWN * (psi.mean() or 1.0)
    weights = (white @ axes[:, ::-1]) * np.sqrt(psi / (1 + psi))
    return PairMetric(shift, weights[:, :n_components])
