"""Fit the metric that separates pairs of the same thing from others, in closed form.

    e = (h - m) W / |(h - m) W|,   W = ( (1 - r) S + r s 1 )^(-1/2) V

S is the covariance of features within one thing, s the mean of its diagonal, and the columns of V
are the axes along which things then differ, largest difference first: directions that vary within a
thing count less. Estimated from few things and few rows, S is shrunk by r, between 0 (S as
measured) and 1 (the plain cosine):

    r = max( 4 / (4 + things), n_features / (n_features + rows) )

Weighting the axes by the differences between the things of the training helps with those things
only, and was left out.

Few classes cannot be held out, and new rows are of the same ones: then only the K - 1 axes V count,
along which the classes differ, and how far apart rows lie on them. A constant beside the map makes
directions into distances, e = [(h - m) W, c] / |.|, with c three times the largest |(h - m) W|.

Hatch, Kajarekar, Stolcke (2006), "Within-class covariance normalization for SVM-based speaker
recognition", Interspeech (W, and the mixture with 1); Garcia-Romero, Espy-Wilson (2011), "Analysis
of i-vector length normalization in speaker recognition systems", Interspeech (the length).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = [
    "PairMetric",
    "metric_of_classes",
    "metric_of_few_classes",
    "metric_of_pairs",
    "of_length_1",
]

_THINGS = 4
"""Number of things that r = 1 is worth; with seven classes r from 0.3 to 0.6 does equally well."""

_FAR = 3.0
"""The constant beside a map, in lengths of the longest mapped row: angles then are distances."""


@dataclass(frozen=True)
class PairMetric:
    """m (n_features,) and W (n_features, n_components), the most discriminative axes first."""

    shift: np.ndarray
    weights: np.ndarray
    constant: np.ndarray | float = 0.0
    """What is added to the mapped rows, (n_components,)."""

    def embed(self, features: np.ndarray) -> np.ndarray:
        """Return e of rows of features, (n_samples, n_components), float64."""
        return of_length_1(self._mapped(features))

    def to_train(self, features: np.ndarray) -> PairMetric:
        """Return the metric on a scale that trains well; e does not depend on the scale.

        The root mean square length of the mapped rows, before each is divided by its length, is
        then 1 over these features (n_samples, n_features), float64.
        """
        size = float(np.sqrt(np.square(self._mapped(features)).sum(axis=1).mean())) or 1.0
        return PairMetric(self.shift, self.weights / size, self.constant / size)

    def _mapped(self, features: np.ndarray) -> np.ndarray:
        return (features - self.shift) @ self.weights + self.constant


def of_length_1(rows: np.ndarray) -> np.ndarray:
    """Return rows divided by their length; rows of zeros stay."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def metric_of_classes(
    features: np.ndarray,
    y: np.ndarray,
    *,
    shift: np.ndarray | None = None,
    n_components: int | None = None,
) -> PairMetric:
    """Fit the metric to rows (n_samples, n_features) of classes y, negative if unknown.

    ``shift`` is m; None takes the mean of all rows, including those of unknown class. Cost:
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
    return _metric(origin, white, means - means.mean(axis=0), n_components)


def metric_of_few_classes(
    features: np.ndarray, y: np.ndarray, *, n_components: int, shift: np.ndarray | None = None
) -> PairMetric:
    """Fit the distance along the axes that tell a few classes apart.

    As ``metric_of_classes``, but of the ``n_components`` >= 2 numbers the first are those axes, the
    next one is a constant, and others are 0.
    """
    n_axes = min(len(np.unique(y[y >= 0])), n_components) - 1
    found = metric_of_classes(features, y, shift=shift, n_components=n_axes)
    mapped = (features[y >= 0] - found.shift) @ found.weights
    longest = float(np.sqrt(np.square(mapped).sum(axis=1).max())) or 1.0
    weights = np.zeros((len(found.weights), n_components))
    weights[:, : found.weights.shape[1]] = found.weights
    constant = np.zeros(n_components)
    constant[found.weights.shape[1]] = _FAR * longest
    return PairMetric(found.shift, weights, constant)


def metric_of_pairs(
    first: np.ndarray,
    second: np.ndarray,
    same: np.ndarray,
    *,
    shift: np.ndarray | None = None,
    n_components: int | None = None,
) -> PairMetric:
    """Fit the metric to pairs of rows (n_pairs, n_features), the same thing or not."""
    both = np.concatenate([first, second]).astype(np.float64)
    origin = both.mean(axis=0) if shift is None else shift
    both = both - origin
    half = len(first)
    differences = both[:half] - both[half:]
    n = int(same.sum())  # each pair may be of a different thing
    white = _whitening(differences[same], both, things=n, free=n)
    return _metric(origin, white, differences[~same], n_components)


def _whitening(residuals: np.ndarray, rows: np.ndarray, *, things: int, free: int) -> np.ndarray:
    """Return ((1 - r) S + r s 1)^(-1/2) up to a factor, on which e does not depend.

    ``free`` is the number of degrees of freedom of the residuals.
    """
    # divide by the largest value, so that squares do not overflow
    size = float(abs(rows).max()) or 1.0
    residuals = residuals / size
    covariance = residuals.T @ residuals
    mean = float(np.trace(covariance)) / len(covariance)
    if not mean:
        return np.eye(rows.shape[1]) / size  # rows of the same thing are all equal
    width = len(covariance)
    r = max(_THINGS / (_THINGS + things), width / (width + free))
    mixed = (1 - r) * covariance / mean + r * np.eye(width)
    variances, axes = np.linalg.eigh(mixed)
    return axes / np.sqrt(variances) / size


def _metric(
    shift: np.ndarray, white: np.ndarray, differences: np.ndarray, n_components: int | None
) -> PairMetric:
    """Return the metric, with the axes sorted by the size of the ``differences`` along them."""
    whitened = differences @ white
    axes = np.linalg.eigh(whitened.T @ whitened)[1][:, ::-1]
    return PairMetric(shift, (white @ axes)[:, :n_components])
