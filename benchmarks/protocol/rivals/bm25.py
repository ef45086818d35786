"""BM25: score documents by the words that they share with a query.

    sum over words w of q:  idf(w) tf (k1 + 1) / (tf + k1 (1 - b + b |d| / mean |d|))

with k1 = 1.5 and b = 0.75, and idf(w) = log(1 + (N - n_w + 0.5) / (n_w + 0.5)) over the training
documents (Robertson and Zaragoza 2009).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.feature_extraction.text import CountVectorizer

__all__ = ["BM25"]


class BM25(BaseEstimator):
    def __init__(self, k1: float = 1.5, b: float = 0.75) -> None:
        self.k1, self.b = k1, b

    def fit(self, texts, y=None):
        self.words_ = CountVectorizer(stop_words="english")
        counts = sparse.csr_array(self.words_.fit_transform(texts))
        documents = np.asarray((counts > 0).sum(axis=0)).ravel()
        self.idf_ = np.log1p((len(texts) - documents + 0.5) / (documents + 0.5))
        self.mean_length_ = max(counts.sum() / len(texts), 1e-9)
        return self

    def similarities(self, queries, documents) -> np.ndarray:
        """Return the scores (n_queries, n_documents)."""
        asked = sparse.csr_array(self.words_.transform(queries) > 0, dtype=np.float64)
        tf = sparse.csr_array(self.words_.transform(documents), dtype=np.float64)
        lengths = np.asarray(tf.sum(axis=1)).ravel() / self.mean_length_
        norm = self.k1 * (1 - self.b + self.b * lengths)
        tf.data = tf.data * (self.k1 + 1) / (tf.data + np.repeat(norm, np.diff(tf.indptr)))
        return (asked.multiply(self.idf_[None, :]).tocsr() @ tf.T).toarray()
