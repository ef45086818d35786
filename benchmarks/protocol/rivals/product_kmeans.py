"""Product quantization: groups of PCA's components, each replaced by its nearest of k means."""

from __future__ import annotations

import math

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

__all__ = ["ProductKMeans"]


class ProductKMeans(BaseEstimator):
    """As many bits per row as ``VectorQuantizedAutoencoder`` at its defaults.

    PCA's components are dealt to gcd(n_components, 8) groups in turn, so that each gets some of
    large variance, and every group is clustered by itself.
    """

    def __init__(self, n_components: int, n_entries: int = 64, random_state: int = 0) -> None:
        self.n_components, self.n_entries = n_components, n_entries
        self.random_state = random_state

    def fit(self, x, y=None):
        self.pca_ = PCA(self.n_components, random_state=0).fit(x)
        codes = self.pca_.transform(x)
        n_groups = math.gcd(self.n_components, 8)
        self.groups_ = [np.arange(g, self.n_components, n_groups) for g in range(n_groups)]
        entries = min(self.n_entries, len(x))
        self.means_ = [
            KMeans(entries, n_init=1, random_state=self.random_state).fit(codes[:, group])
            for group in self.groups_
        ]
        return self

    def reconstruct(self, x):
        codes = self.pca_.transform(x)
        for group, means in zip(self.groups_, self.means_, strict=True):
            nearest = means.predict(np.ascontiguousarray(codes[:, group]))
            codes[:, group] = means.cluster_centers_[nearest]
        return self.pca_.inverse_transform(codes)
