"""Fill hidden values with their mean under a Gaussian, given the known values.

    x_h | x_k  ~  mean  mu_h + C_hk C_kk^-1 (x_k - mu_k)

``GaussianFill`` fits mu and C to rows with holes by expectation maximization; ``PPCAFill`` takes
C from probabilistic PCA of complete rows.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA

__all__ = ["GaussianFill", "PPCAFill", "ppca_reconstruction"]


def _conditional(x, mean, covariance):
    """Fill the NaN of rows x; also return the sum of the hidden values' covariances."""
    filled, extra = x.copy(), np.zeros_like(covariance)
    for row in filled:
        hidden = np.isnan(row)
        if not hidden.any():
            continue
        known = ~hidden
        across = covariance[np.ix_(hidden, known)]
        if known.any():
            factor = cho_factor(covariance[np.ix_(known, known)], lower=True)
            weights = cho_solve(factor, across.T).T
            row[hidden] = mean[hidden] + weights @ (row[known] - mean[known])
        else:
            weights = across
            row[hidden] = mean[hidden]
        extra[np.ix_(hidden, hidden)] += covariance[np.ix_(hidden, hidden)] - weights @ across.T
    return filled, extra


class GaussianFill(BaseEstimator):
    """A Gaussian fitted to rows with NaN, as an imputer.

    Args:
        steps: Steps of expectation maximization, from the means.
        ridge: Share of the diagonal added to C, relative to the variance: few rows need it.
        most_rows: More rows than this are not used.
    """

    def __init__(self, steps: int = 10, ridge: float = 0.03, most_rows: int = 2000) -> None:
        self.steps, self.ridge, self.most_rows = steps, ridge, most_rows

    def fit(self, x, y=None):
        x = np.asarray(x, np.float64)[: self.most_rows]
        self.mean_ = np.nan_to_num(np.nanmean(x, axis=0))
        filled, extra = np.where(np.isnan(x), self.mean_, x), np.zeros((x.shape[1],) * 2)
        for step in range(self.steps + 1):
            if step:
                filled, extra = _conditional(x, self.mean_, self.covariance_)
            self.mean_ = filled.mean(axis=0)
            covariance = np.cov(filled.T, bias=True).reshape(extra.shape) + extra / len(x)
            ridge = self.ridge * np.maximum(covariance.diagonal(), 1e-6)
            self.covariance_ = covariance + np.diag(ridge)
        return self

    def transform(self, x):
        return _conditional(np.asarray(x, np.float64), self.mean_, self.covariance_)[0]


class PPCAFill(BaseEstimator):
    """Probabilistic PCA of complete rows; fills NaN given the known values."""

    def __init__(self, n_components: int = 32) -> None:
        self.n_components = n_components

    def fit(self, x, y=None):
        self.pca_ = PCA(self.n_components, random_state=0).fit(np.asarray(x, np.float64))
        noise = max(self.pca_.noise_variance_, 1e-6)
        covariance = self.pca_.get_covariance()
        self.covariance_ = covariance + 1e-6 * np.eye(len(covariance)) * max(noise, 1.0)
        return self

    def transform(self, x):
        return _conditional(np.asarray(x, np.float64), self.pca_.mean_, self.covariance_)[0]


def ppca_reconstruction(pca: PCA, x: np.ndarray) -> np.ndarray:
    """Reconstruct rows from the mean of the code under probabilistic PCA.

    Each coordinate of PCA's code shrinks by (lambda - sigma^2) / lambda, lambda being its variance
    and sigma^2 the variance of the noise.
    """
    shrink = 1 - pca.noise_variance_ / np.maximum(pca.explained_variance_, 1e-12)
    return pca.inverse_transform(pca.transform(x) * np.clip(shrink, 0, 1))
