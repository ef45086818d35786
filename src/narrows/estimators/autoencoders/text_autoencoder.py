"""Base class of autoencoders that read texts or counts, and index and search their codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from narrows.applications.printing import counted
from narrows.applications.retrieval.half_comparison import HalvesComparison, compare_halves_of
from narrows.applications.retrieval.lookup import add_rows, new_index, search_rows
from narrows.core.checks import check_number
from narrows.data.array_sources import SparseSource
from narrows.data.source import Source
from narrows.errors import (
    EmptyDocumentWarning,
    ModelFileError,
    UnknownWordsWarning,
    UsageError,
    unknown_name,
    warn,
)
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.held_out import Select
from narrows.estimators.inputs import fit_source
from narrows.estimators.texts import is_texts, text_column
from narrows.indexing.index import Index
from narrows.indexing.protocol import Hit
from narrows.model.model import Model
from narrows.text import Analyzer, Vocabulary, as_documents, empty_rows, share_unknown
from narrows.text.tokens import WORDS

__all__ = ["TextAutoencoder", "lookup_rows"]

_NEIGHBORS_BY = ("auto", "rows", "code")

_MAX_UNKNOWN = 0.5
"""Warn if a larger share of the words is unknown."""


class TextAutoencoder(AbstractAutoencoder):
    """Base class of autoencoders of texts or counts; ``fit`` learns the vocabulary of texts."""

    max_features: int | None
    min_df: int | float
    max_df: int | float
    stop_words: str | Sequence[str] | None
    stemmer: str | None
    token_pattern: str | None
    analyzer: str
    ngram_range: str | Sequence[int]
    n_neighbors: int | None
    neighbors_by: str

    @property
    def vocabulary_(self) -> Vocabulary:
        """The words that are counted, for an estimator fitted to texts."""
        check_is_fitted(self, "model_")
        if self.model_.vocabulary is None:
            raise AttributeError(f"{type(self).__name__} was not fitted to texts.")
        return self.model_.vocabulary

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the code's components, (n_components,).

        Parameters
        ----------
        input_features : array-like of str, optional
            Checked against the features seen in ``fit``; ignored if X was texts, whose features
            are words, not columns.
        """
        check_is_fitted(self, "model_")
        if self.model_.vocabulary is not None:
            input_features = None
        names: np.ndarray = super().get_feature_names_out(input_features)
        return names

    def _counted(
        self, X: Any, *, like: Model | Source | None = None, select: Select | None = None
    ) -> Any:
        if not is_texts(X):
            return X
        documents = as_documents(text_column(X))
        if like is not None:
            vocabulary = _vocabulary_of(like, self)
            counts = vocabulary.count(documents)
        else:
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
        _warn_of_empty(counts, documents.origin)
        return _source_of_counts(counts, vocabulary, documents.origin)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.n_neighbors is not None:
            check_number("n_neighbors", self.n_neighbors, low=0, integer=True)
        if self.neighbors_by not in _NEIGHBORS_BY:
            raise unknown_name("neighbors_by", self.neighbors_by, _NEIGHBORS_BY)

    def make_index(
        self,
        X: Any,
        names: Sequence[str] | None = None,
        metadata: Sequence[dict[str, Any] | None] | None = None,
        *,
        kind: str = "auto",
        rerank: bool = False,
        model_path: str = "",
    ) -> Index:
        """Return an index of the codes of X; its ``save`` writes a file for ``narrows search``.

        Parameters
        ----------
        X : rows or texts
        names : sequence of str, optional
            Unique names of the rows; by default "0", "1", ...
        metadata : sequence of dict, optional
            JSON values to return with each hit, such as a snippet.
        kind : {"auto", "flat", "hash", "multihash", "hnsw"}
            How binary codes are searched; codes of numbers are always "flat".
        rerank : bool, default=False
            Whether to keep the real values that bits are thresholded from, to reorder hits by.
        model_path : str, default=""
            Path of this model's file for ``narrows search``, relative to the index's folder.

        Raises
        ------
        UsageError
            If a name occurs twice or the kind is unknown.

        Warns
        -----
        EmptyDocumentWarning
            If rows have no content, such as texts without a known word; they are left out.
        UnknownWordsWarning
            If more than half of all words are unknown.
        """
        model, source = lookup_rows(self, X)
        index = new_index(model, kind=kind, rerank=rerank, model_path=model_path)
        rows = [str(row) for row in range(source.n_rows)] if names is None else names
        empty = add_rows(index, model, source, rows, metadata)
        if len(empty):
            n = counted(len(empty), "row")
            warn(
                f"{source.origin}: {n} without a known word left out of the index, the first "
                f"{rows[empty[0]]!r}: no search could find them by their content.",
                EmptyDocumentWarning,
            )
        _warn_of_unknown(source, "documents", skip_empty=True)
        return index

    def search(self, index: Index, X: Any, k: int = 10, *, rerank: bool = False) -> list[list[Hit]]:
        """Return the ``k`` rows of an index nearest to each row of X: name, distance, metadata.

        Distances are the number of differing bits, or 1 - cosine for codes of numbers; ties are in
        the order in which rows were added. A row without content, such as a text without a known
        word, has no hits; ``vocabulary_.unknown_shares(X)`` returns the share of unknown words.

        Raises
        ------
        ModelFileError
            If the index holds codes of another model.
        UsageError
            If k is less than 1, or ``rerank`` is True for an index made without it.

        Warns
        -----
        EmptyDocumentWarning
            If a query has no content.
        UnknownWordsWarning
            If more than half of a query's words are unknown.
        """
        model, source = lookup_rows(self, X)
        if index.settings.model_digest != model.fingerprint():
            raise ModelFileError("index: made with another model; index the data with this one.")
        hits = search_rows(index, model, source, k, rerank=rerank)
        if len(index):
            _warn_of_no_hits(hits, source)
        _warn_of_unknown(source, "query")
        return hits

    def compare_halves(self, X: Any, *, seed: int = 0) -> HalvesComparison | None:
        """Measure retrieval without labels, beside LSA of the same width and TF-IDF.

        The words of each document are split at random in two halves, and the code of each half is
        to find the other half. ``table()`` returns a printable table, with advice where a simple
        method is better.

        Parameters
        ----------
        X : texts or counts
            Of the rows of the fit, only those held out are measured; of others a fifth is, and
            the baselines are fitted to the rest.
        seed : int, default=0
            Draws the halves and the measured rows.

        Returns
        -------
        comparison : HalvesComparison or None
            None if X does not consist of counts, or has too few documents.
        """
        check_number("seed", seed, low=0, high=2**63 - 1, integer=True)
        return compare_halves_of(*self._validated_query(X), seed=int(seed))


def lookup_rows(estimator: AbstractAutoencoder, X: Any) -> tuple[Model, Source]:
    """Validate rows to index or to search with; return the model and the rows.

    For texts the source holds each text's share of unknown words, and empty ones give no warning.

    Raises
    ------
    NotFittedError, InvalidData
    """
    if not (is_texts(X) and isinstance(estimator, TextAutoencoder)):
        return estimator._validated_query(X)
    check_is_fitted(estimator, "model_")
    model = estimator.model_
    documents, vocabulary = as_documents(text_column(X)), _vocabulary_of(model, estimator)
    counts, unknown = vocabulary.count_all(documents)
    source = _source_of_counts(counts, vocabulary, documents.origin)
    source.unknown_shares = share_unknown(counts, unknown)
    return model, fit_source(estimator, source, reset=False, min_samples=1)


def _vocabulary_of(fitted: Model | Source, estimator: TextAutoencoder) -> Vocabulary:
    if fitted.vocabulary is None:
        raise UsageError(
            f"X: holds texts, but {type(estimator).__name__} was fitted to counts; give counts of "
            "the same words, or fit to texts."
        )
    return fitted.vocabulary


def _source_of_counts(counts: Any, vocabulary: Vocabulary, origin: str) -> SparseSource:
    source = SparseSource(counts)
    source.origin, source.vocabulary = origin, vocabulary
    return source


def _warn_of_empty(counts: Any, origin: str) -> None:
    empty = np.flatnonzero(empty_rows(counts))
    if len(empty):
        n = counted(len(empty), "document")
        warn(
            f"{origin}: {n} without a word of the vocabulary, the first at position {empty[0]}: "
            "all of them get the same code, as if they were empty.",
            EmptyDocumentWarning,
        )


def _warn_of_no_hits(hits: list[list[Hit]], source: Source) -> None:
    empty = [row for row, found in enumerate(hits) if not found]
    if empty:
        n = counted(len(empty), "query", "queries")
        warn(
            f"{source.origin}: no hits for {n} without a known word, the first at position "
            f"{empty[0]}.",
            EmptyDocumentWarning,
        )


def _warn_of_unknown(source: Source, what: str, *, skip_empty: bool = False) -> None:
    shares = source.unknown_shares
    if shares is None:
        return
    partial = shares[shares < 1]  # rows of unknown words only got a warning as empty
    share = float(partial.mean() if skip_empty else partial.max()) if len(partial) else 0.0
    if share > _MAX_UNKNOWN:
        words = f"{share:.0%} of the words of {'a ' if what == 'query' else 'the '}{what}"
        warn(
            f"{source.origin}: {words} are not in the model's vocabulary and are ignored; see "
            "vocabulary_.unknown_shares(X).",
            UnknownWordsWarning,
        )
