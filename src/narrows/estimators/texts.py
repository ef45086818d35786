"""Texts as X: a vocabulary learned by fit, and counts of its words from then on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from narrows.data.array_sources import SparseSource
from narrows.data.image_lists import is_loader
from narrows.data.source import Source
from narrows.errors import EmptyDocumentWarning, UsageError
from narrows.estimators.autoencoders.asked import Select
from narrows.estimators.inputs import fit_source
from narrows.model.model import Model
from narrows.text import Analyzer, Documents, Vocabulary, as_documents, empty_rows, share_unknown
from narrows.text.tokens import WORDS

__all__ = ["ReadsTexts", "documents_where", "is_texts"]

_LOOKED_AT = 100


def text_column(X: Any) -> Any:
    """Return the only column of a frame, table or array of objects or strings; other X as it is.

    ``ColumnTransformer`` gives such frames where the column is named in a list. Arrow's strings
    become a list.
    """
    if "string" in str(getattr(X, "type", "")) and hasattr(X, "to_pylist"):
        return X.to_pylist()
    shape = getattr(X, "shape", ())
    if len(shape) != 2 or shape[1] != 1:
        return X
    if isinstance(X, np.ndarray):
        return X[:, 0] if X.dtype.kind in "OUT" else X
    if hasattr(X, "iloc"):
        return X.iloc[:, 0]
    if hasattr(X, "to_series"):  # polars
        return X.to_series(0)
    return text_column(X.column(0)) if hasattr(X, "column") else X  # arrow


def is_texts(X: Any) -> bool:
    """Return whether X is texts, and not numbers: Documents, or one axis or column of strings."""
    X = text_column(X)
    if isinstance(X, Documents | str | bytes):
        return True
    if getattr(X, "ndim", 1) != 1 or isinstance(X, Source) or not hasattr(X, "__len__"):
        return False
    if not len(X):
        return False
    if isinstance(X, dict | set) or is_loader(X):
        return False
    first = X.iloc[:_LOOKED_AT] if hasattr(X, "iloc") else X[:_LOOKED_AT]
    # the first may be missing, which is for the reader of texts to say
    return any(isinstance(text, str) for text in first)


def documents_where(X: Any, kept: np.ndarray) -> Documents:
    """Return the documents at which the mask is True."""
    documents = as_documents(X)
    return Documents(
        lambda: (one for one, keep in zip(documents, kept, strict=True) if keep),
        origin=documents.origin,
        labeled=documents.labeled,
    )


class ReadsTexts:
    """Mixed into estimators whose X may be texts; ``vocabulary`` holds the words that count."""

    max_features: int | None
    min_df: int | float
    max_df: int | float
    stop_words: str | Sequence[str] | None
    stemmer: str | None
    token_pattern: str | None
    analyzer: str
    ngram_range: str | Sequence[int]
    model_: Model

    @property
    def vocabulary_(self) -> Vocabulary:
        """The words that are counted; only an estimator fitted to texts has any."""
        check_is_fitted(self, "model_")
        if self.model_.vocabulary is None:
            raise AttributeError(f"{type(self).__name__} was not fitted to texts.")
        return self.model_.vocabulary

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the codes' numbers, (n_components,).

        Parameters
        ----------
        input_features : array-like of str, optional
            Checked against the features seen in ``fit``; ignored where X was texts, whose features
            are words and not columns.
        """
        check_is_fitted(self, "model_")
        if self.model_.vocabulary is not None:
            input_features = None
        names: np.ndarray = super().get_feature_names_out(input_features)  # pyright: ignore[reportAttributeAccessIssue] -- scikit-learn's mixin
        return names

    def _source(
        self,
        X: Any,
        *,
        reset: bool,
        min_samples: int,
        select: Select | None = None,
        like: Source | None = None,
    ) -> Source:
        """Return X as rows of counts; ``reset`` also learns the vocabulary, from the documents
        that are not held out."""
        if not is_texts(X):
            return fit_source(self, X, reset=reset, min_samples=min_samples)
        documents = as_documents(text_column(X))
        if reset:
            vocabulary, counts = Vocabulary.learn(
                documents,
                Analyzer(
                    token_pattern=WORDS if self.token_pattern is None else self.token_pattern,
                    stop_words=self.stop_words,
                    stemmer=self.stemmer,
                    analyzer=self.analyzer,
                    ngram_range=self.ngram_range,
                ),
                max_features=self.max_features,
                min_df=self.min_df,
                max_df=self.max_df,
                counted=None if select is None else lambda n: select(n).training.numpy(),
            )
        else:
            vocabulary = self._vocabulary_for_texts(like)
            counts = vocabulary.count(documents)
        _warn_of_empty(counts, documents.origin)
        source = _source_of_counts(counts, vocabulary, documents.origin)
        return fit_source(self, source, reset=reset, min_samples=min_samples)

    def _validated_lookup(self, X: Any) -> tuple[Model, Source]:
        check_is_fitted(self, "model_")
        if not is_texts(X):
            source = fit_source(self, X, reset=False, min_samples=1)
            self.model_.check_units(source)
            return self.model_, self.model_.scaling.as_precise(source)
        documents, vocabulary = as_documents(text_column(X)), self._vocabulary_for_texts()
        counts, unknown = vocabulary.count_all(documents)
        source = _source_of_counts(counts, vocabulary, documents.origin)
        source.unknown_shares = share_unknown(counts, unknown)
        return self.model_, fit_source(self, source, reset=False, min_samples=1)

    def _vocabulary_for_texts(self, like: Source | None = None) -> Vocabulary:
        known = self.model_.vocabulary if like is None else like.vocabulary
        if known is None:
            raise UsageError(
                f"X: texts, and {type(self).__name__} was fitted to counts; give counts of the "
                "same words, or fit to texts."
            )
        return known


def _source_of_counts(counts: Any, vocabulary: Vocabulary, origin: str) -> SparseSource:
    source = SparseSource(counts)
    source.origin, source.vocabulary = origin, vocabulary
    return source


def _warn_of_empty(counts: Any, origin: str) -> None:
    empty = np.flatnonzero(empty_rows(counts))
    if len(empty):
        warnings.warn(
            f"{origin}: {len(empty)} document(s) without a word of the vocabulary, the first at "
            f"position {empty[0]}: all of them get one code, that of no words.",
            EmptyDocumentWarning,
            stacklevel=4,
        )
