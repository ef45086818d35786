"""Latent semantic analysis: truncated SVD of TF-IDF; smoothed over neighbors; as bits."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

__all__ = ["LSA", "SmoothedLSA"]


class LSA(BaseEstimator):
    """Codes of length 1. ``bits`` gives the signs of the centered codes instead, as -1 and 1."""

    def __init__(self, n_components: int, bits: bool = False) -> None:
        self.n_components, self.bits = n_components, bits

    def fit(self, texts, y=None):
        self.words_ = TfidfVectorizer(stop_words="english", sublinear_tf=True)
        x = self.words_.fit_transform(texts)
        n_components = min(self.n_components, min(x.shape) - 1)
        self.svd_ = TruncatedSVD(n_components, random_state=0).fit(x)
        self.center_ = normalize(self.svd_.transform(x)).mean(axis=0)
        return self

    def transform(self, texts) -> np.ndarray:
        codes = normalize(self.svd_.transform(self.words_.transform(texts)))
        return np.where(codes > self.center_, 1.0, -1.0) if self.bits else codes


class SmoothedLSA(BaseEstimator):
    """LSA whose codes are averaged with those of the k nearest training documents.

    ``k`` may be set after ``fit``. A training document counts itself once, not as a neighbor too.
    """

    def __init__(self, n_components: int, k: int = 10) -> None:
        self.n_components, self.k = n_components, k

    def fit(self, texts, y=None):
        self.lsa_ = LSA(self.n_components).fit(texts)
        self.codes_ = self.lsa_.transform(texts)
        return self

    def transform(self, texts) -> np.ndarray:
        codes = self.lsa_.transform(texts)
        k = min(self.k, len(self.codes_) - 1)
        if k == 0:
            return codes
        cosine = codes @ self.codes_.T
        cosine[cosine > 1 - 1e-12] = -1  # itself, or a document with the same code
        nearest = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        return normalize(codes + self.codes_[nearest].sum(axis=1))
