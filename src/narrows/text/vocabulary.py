"""Learn a vocabulary from texts, and count its terms in texts."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.core.checks import check_number
from narrows.errors import InvalidData, ModelFileError, ResourceError, UnspacedTextWarning, warn
from narrows.text.analyzer import Analyzer
from narrows.text.counting import (
    Block,
    Lookup,
    assembled,
    count_blocks,
    counting,
    kept_terms,
    learning,
)
from narrows.text.documents import Documents, texts_of
from narrows.text.tokens import UNSPACED_SHARE, first_texts, unspaced_share

__all__ = ["MAX_DIFFERENT", "MAX_TERMS", "Vocabulary", "empty_rows", "share_unknown"]

MAX_DIFFERENT = 10_000_000
"""Limit on distinct terms while learning: more are not language, and take about 2 GB."""

MAX_TERMS = 1_000_000
"""Limit on the terms of a vocabulary, and so of a model file."""

_MAX_TERM_LENGTH = 4000  # stems are rarely longer than their words


class Vocabulary:
    """Terms, one per column of the counts, and the rules by which texts are split into them.

    Parameters
    ----------
    terms : sequence of str
        Distinct terms; ``learn`` sorts them by code point, like scikit-learn.
    document_frequencies : array of int, shape (n_terms,)
        Number of training documents that contain each term.
    n_documents : int
        Number of training documents.
    analyzer : Analyzer

    Raises
    ------
    InvalidData
        If terms are not distinct strings, there are none or too many, or the frequencies are
        inconsistent.
    """

    def __init__(
        self,
        terms: Iterable[str],
        document_frequencies: Any,
        n_documents: int,
        analyzer: Analyzer,
    ) -> None:
        self.terms = tuple(terms)
        self.document_frequencies = _checked(self.terms, document_frequencies, n_documents)
        self.n_documents = int(n_documents)
        self.analyzer = analyzer
        self._lookup: Lookup | None = None

    def __len__(self) -> int:
        return len(self.terms)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} terms of {self.n_documents:,} documents)"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lookup": None}  # rebuilt on demand

    @classmethod
    def learn(
        cls,
        texts: Documents | Iterable[str],
        analyzer: Analyzer | None = None,
        *,
        max_features: int | None = 2000,
        min_df: int | float = 1,
        max_df: int | float = 1.0,
        counted: Callable[[int], np.ndarray] | None = None,
    ) -> tuple[Vocabulary, sp.csr_array]:
        """Return the vocabulary of texts, and their counts, in one pass.

        Parameters
        ----------
        texts : Documents or iterable of str
        analyzer : Analyzer, optional
        max_features : int or None, default=2000
            Keep this many of the most frequent terms; among equally frequent terms, the first by
            code point (scikit-learn's choice depends on the processor).
        min_df, max_df : int or float, default=1 and 1.0
            Drop terms in fewer, or in more, documents: an int is a number of documents, a float a
            fraction of them.
        counted : callable, optional
            From the number of documents to the mask, bool (n_documents,), of training documents;
            by default all are.

        Returns
        -------
        vocabulary : Vocabulary
        counts : csr_array of float32, shape (n_documents, n_terms)

        Raises
        ------
        UsageError
            If a limit is invalid, or max_df means fewer documents than min_df.
        InvalidData
            If no term is left; the message names the limit that dropped the last ones.
        ResourceError
            If there are more than 10 million distinct terms.
        """
        if max_features is not None:
            check_number("max_features", max_features, low=1, high=MAX_TERMS, integer=True)
        for name, limit in (("min_df", min_df), ("max_df", max_df)):
            whole = isinstance(limit, numbers.Integral)
            check_number(name, limit, low=1 if whole else 0, high=float("inf") if whole else 1)
        documents = texts_of(texts)
        analyzer = analyzer or Analyzer()
        if analyzer.analyzer == "auto":
            first, documents = first_texts(documents)
            share = unspaced_share(first)
            _warn_of_unspaced(share)
            analyzer = analyzer.for_texts(share)
        found: dict[str, int] = {}
        blocks: list[Block] = []
        lookup = learning(analyzer, found)
        for block in count_blocks(documents, analyzer.make_tokens(), lookup):
            blocks.append(block)
            if len(found) > MAX_DIFFERENT:
                raise ResourceError(
                    f"Vocabulary: more than {MAX_DIFFERENT:,} different terms; is this text? "
                    "A token_pattern of letters only, or a smaller max_token_length, finds fewer."
                )
        del lookup
        n_documents = sum(len(block.lengths) for block in blocks)
        learned = None if counted is None else counted(n_documents)
        if learned is not None:
            n_documents = int(learned.sum())
        kept = kept_terms(
            found,
            blocks,
            n_documents,
            counted=learned,
            max_features=max_features,
            min_df=min_df,
            max_df=max_df,
        )
        if len(kept.terms) > MAX_TERMS:
            raise InvalidData(
                f"Vocabulary: {len(kept.terms):,} terms, at most {MAX_TERMS:,} are kept; set "
                "max_features, or raise min_df."
            )
        del found
        counts = assembled(blocks, len(kept.terms), kept.columns)
        return cls(kept.terms, kept.document_frequencies, n_documents, analyzer), counts

    def count(self, texts: Documents | Iterable[str]) -> sp.csr_array:
        """Return the count of each term in each text.

        Returns
        -------
        counts : csr_array of float32, shape (n_documents, n_terms)
            Columns are in ascending order; a row without terms is empty (see ``empty_rows``).

        Raises
        ------
        InvalidData
            If a text is not a str, or too long.
        """
        if self._lookup is None:
            self._lookup = counting(self.analyzer, self.terms)
        blocks = list(count_blocks(texts_of(texts), self.analyzer.make_tokens(), self._lookup))
        return assembled(blocks, len(self), None)

    def count_all(self, texts: Documents | Iterable[str]) -> tuple[sp.csr_array, np.ndarray]:
        """Return ``count(texts)``, and the number of each text's words that are unknown.

        Stop words, and other words that are never counted, are not unknown words.

        Returns
        -------
        counts : csr_array of float32, shape (n_documents, n_terms)
        unknown : array of int64, shape (n_documents,)

        Raises
        ------
        InvalidData
            As ``count``.
        """
        lookup = counting(self.analyzer, self.terms, other=True)
        blocks = list(count_blocks(texts_of(texts), self.analyzer.make_tokens(), lookup))
        counts = assembled(blocks, len(self) + 1, None)
        unknown = counts[:, [len(self)]].toarray()[:, 0].astype(np.int64)
        known = sp.csr_array(counts[:, : len(self)])
        known.has_sorted_indices = True
        return known, unknown

    def unknown_shares(self, texts: Documents | Iterable[str]) -> np.ndarray:
        """Return the share of each text's words that are unknown, (n_documents,) in [0, 1].

        The share is 1 for a text without words; stop words do not count.

        Raises
        ------
        InvalidData
            As ``count``.
        """
        counts, unknown = self.count_all(texts)
        return share_unknown(counts, unknown)

    def to_artefact_parts(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Return JSON values and arrays, the input of ``from_artefact_parts``."""
        spec = {
            "terms": list(self.terms),
            "n_documents": self.n_documents,
            "analyzer": self.analyzer.to_spec(),
        }
        return spec, {"document_frequencies": self.document_frequencies}

    @classmethod
    def from_artefact_parts(cls, spec: Any, arrays: Mapping[str, Any]) -> Vocabulary:
        """Return the vocabulary in a model file; arrays may be tensors.

        Raises
        ------
        ModelFileError
            If ``to_artefact_parts`` did not write this.
        """
        if not isinstance(spec, dict) or spec.keys() != {"terms", "n_documents", "analyzer"}:
            raise ModelFileError("the vocabulary's spec has unexpected entries.")
        if not isinstance(spec["terms"], list) or "document_frequencies" not in arrays:
            raise ModelFileError("the vocabulary lacks its terms or document frequencies.")
        analyzer = Analyzer.from_spec(spec["analyzer"])
        frequencies = np.asarray(arrays["document_frequencies"])
        try:
            return cls(spec["terms"], frequencies, spec["n_documents"], analyzer)
        except InvalidData as error:
            raise ModelFileError(f"the vocabulary is invalid: {error}") from None


def _warn_of_unspaced(share: float) -> None:
    """Warn if the share of unspaced characters is so large that characters are counted."""
    if share >= UNSPACED_SHARE:
        warn(
            f"texts: {share:.0%} of their characters are of scripts without spaces between words "
            "(such as Chinese, Japanese or Thai), so n-grams of characters are counted instead of "
            "words. Set analyzer='char_wb' to avoid this warning, or analyzer='word' for words.",
            UnspacedTextWarning,
        )


def share_unknown(counts: Any, unknown: np.ndarray) -> np.ndarray:
    """Return the share of unknown words in each document, (n,); 1 for documents without words.

    ``counts`` (n, n_terms) are the counts of known words, ``unknown`` (n,) the numbers of unknown
    words.
    """
    words = np.asarray(counts.sum(axis=1, dtype=np.float64)).ravel() + unknown
    return np.divide(unknown, words, out=np.ones(len(words)), where=words > 0)


def empty_rows(counts: Any) -> np.ndarray:
    """Return which rows of a CSR matrix are empty: documents without a known term.

    Parameters
    ----------
    counts : CSR matrix, shape (n_documents, n_terms)

    Returns
    -------
    empty : array of bool, shape (n_documents,)
    """
    if not counts.nnz or not counts.data.all():
        return np.asarray(abs(counts).sum(axis=1)).ravel() == 0
    return np.diff(counts.indptr) == 0


def _checked(terms: tuple[Any, ...], frequencies: Any, n_documents: Any) -> np.ndarray:
    """Return document frequencies as int64, after checking them and the terms."""
    if not 1 <= len(terms) <= MAX_TERMS:
        raise InvalidData(f"Vocabulary: 1 to {MAX_TERMS:,} terms, got {len(terms):,}.")
    for at, term in enumerate(terms):
        if not isinstance(term, str) or not 1 <= len(term) <= _MAX_TERM_LENGTH:
            raise InvalidData(
                f"Vocabulary: term {at} must be a str of 1 to {_MAX_TERM_LENGTH} characters, got "
                f"{term!r:.40}."
            )
    if len(set(terms)) < len(terms):
        raise InvalidData("Vocabulary: a term is repeated.")
    whole = isinstance(n_documents, int | np.integer) and not isinstance(n_documents, bool)
    if not whole or not 1 <= n_documents < 1 << 53:
        raise InvalidData(f"Vocabulary: n_documents must be a number >= 1, got {n_documents!r}.")
    array = np.asarray(frequencies)
    if array.shape != (len(terms),) or array.dtype.kind not in "iu":
        raise InvalidData(
            f"Vocabulary: document_frequencies must be {len(terms)} integers, got {array.dtype} "
            f"of shape {array.shape}."
        )
    if array.min() < 0 or array.max() > n_documents:
        raise InvalidData(
            f"Vocabulary: document_frequencies must lie between 0 and n_documents={n_documents}, "
            f"got {array.min()} to {array.max()}."
        )
    return array.astype(np.int64)
