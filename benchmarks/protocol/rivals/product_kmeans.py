"""Product quantization: each of PCA's components is replaced by its nearest of k means."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

__all__ = ["ProductKMeans"]


class ProductKMeans(BaseEstimator):
    """As many bits per row as ``VectorQuantizedAutoencoder`` at its defaults.

    Every component of PCA is clustered by itself.
    """

    def __init__(self, n_components: int, n_entries: int = 64, random_state: int = 0) -> None:
        self.n_components, self.n_entries = n_components, n_entries
        self.random_state = random_state

    def fit(self, x, y=None):
        self.pca_ = PCA(self.n_components, random_state=0).fit(x)
        codes = self.pca_.transform(x)
        entries = min(self.n_entries, len(x))
        self.means_ = [
            KMeans(entries, n_init=1, random_state=self.random_state).fit(column[:, None])
            for column in codes.T
        ]
        return self

    def reconstruct(self, x):
        codes = self.pca_.transform(x)
        for i, means in enumerate(self.means_):
            nearest = means.predict(np.ascontiguousarray(codes[:, i : i + 1]))
            codes[:, i] = means.cluster_centers_[nearest, 0]
        return self.pca_.inverse_transform(codes)
