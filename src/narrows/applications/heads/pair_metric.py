"""The map of features in which pairs are told apart, in closed form.

    e = (h - m) W / |(h - m) W|,   W = ( (1 - r) S + r s 1 )^(-1/2) V

S is the covariance of features within one thing, s the mean of its diagonal, and the columns of V
are the axes along which things then differ, the most first: what varies within a thing counts less.
S is known from few things and few rows, and is believed no more than that, r between 0 (S as
measured) and 1 (the plain cosine):

    r = max( 4 / (4 + things), n_features / (n_features + rows) )

Weighing the axes by how far apart the things seen lie along them was tried, and left out: it helps
with those alone.

Hatch, Kajarekar, Stolcke (2006), "Within-class covariance normalization for SVM-based speaker
recognition", Interspeech (W, and the mixture with 1); Garcia-Romero, Espy-Wilson (2011), "Analysis
of i-vector length normalization in speaker recognition systems", Interspeech (the length).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["PairMetric", "metric_of_classes", "metric_of_pairs", "of_length_1"]

_THINGS = 4
"""Things that r = 1 is worth: of seven classes, any r from 0.3 to 0.6 does as well."""


@dataclass(frozen=True)
class PairMetric:
    """m (n_features,) and W (n_features, n_components), the axes that tell most first."""

    shift: np.ndarray
    weights: np.ndarray

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Return e of rows of features, (n_samples, n_components), float64."""
        return of_length_1((features - self.shift) @ self.weights)

    def weights_to_train(self, features: np.ndarray) -> np.ndarray:
        """Return W of a size that trains well, on which e does not depend.

        The rows of these features, (n_samples, n_features), float64, have then length 1 in the
        root of the mean of their squares, before each is brought to it.
        """
        rows = (features - self.shift) @ self.weights
        return self.weights / (float(np.sqrt(np.square(rows).sum(axis=1).mean())) or 1.0)


def of_length_1(rows: np.ndarray) -> np.ndarray:
    """Return rows of length 1; one of zeros stays so."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def metric_of_classes(
    features: np.ndarray,
    y: np.ndarray,
    *,
    shift: np.ndarray | None = None,
    n_components: int | None = None,
) -> PairMetric:
    """Return the metric from rows (n_samples, n_features) whose classes y are known where >= 0.

    ``shift`` is m; None takes the mean of the rows, those of unknown class among them. Cost:
    O(n_features^3) beside the covariances.
    """
    origin = features.mean(axis=0, dtype=np.float64) if shift is None else shift
    rows, y = features[y >= 0] - origin, y[y >= 0]
    numbers, positions, counts = np.unique(y, return_inverse=True, return_counts=True)
    means = np.zeros((len(numbers), rows.shape[1]))
    np.add.at(means, positions, rows)
    means /= counts[:, None]
    free = len(rows) - len(numbers)
    white = _whitening(rows - means[positions], rows, things=len(numbers), free=free)
    apart = means - means.mean(axis=0)
    return _metric(origin, white, apart, n_components)


def metric_of_pairs(
    first: np.ndarray,
    second: np.ndarray,
    same: np.ndarray,
    *,
    shift: np.ndarray | None = None,
    n_components: int | None = None,
) -> PairMetric:
    """Return the metric from pairs of rows (n_pairs, n_features), the same thing or not."""
    both = np.concatenate([first, second]).astype(np.float64)
    origin = both.mean(axis=0) if shift is None else shift
    both = both - origin
    half = len(first)
    differences = both[:half] - both[half:]
    n = int(same.sum())  # for all that is known, each is of another thing
    white = _whitening(differences[same], both, things=n, free=n)
    return _metric(origin, white, differences[~same], n_components)


def _whitening(residuals: np.ndarray, rows: np.ndarray, *, things: int, free: int) -> np.ndarray:
    """Return ((1 - r) S + r s 1)^(-1/2) up to a factor, on which e does not depend.

    ``free`` is how many rows the residuals are worth.
    """
    # in units of the features' own size, so that nothing overflows when squared
    size = float(abs(rows).max()) or 1.0
    residuals = residuals / size
    covariance = residuals.T @ residuals
    mean = float(np.trace(covariance)) / len(covariance)
    if not mean:
        return np.eye(rows.shape[1]) / size  # nothing varies within a thing
    width = len(covariance)
    r = max(_THINGS / (_THINGS + things), width / (width + free))
    mixed = (1 - r) * covariance / mean + r * np.eye(width)
    variances, axes = np.linalg.eigh(mixed)
    return axes / np.sqrt(variances) / size


def _metric(
    shift: np.ndarray, white: np.ndarray, apart: np.ndarray, n_components: int | None
) -> PairMetric:
    """Return the metric, turned so that ``apart``, rows that differ, differ most in front."""
    apart = apart @ white
    axes = np.linalg.eigh(apart.T @ apart)[1][:, ::-1]
    return PairMetric(shift, (white @ axes)[:, :n_components])
