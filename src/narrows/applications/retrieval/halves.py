"""Measure retrieval without labels: the code of one half of a document finds the other half."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.data.csr import checked_csr
from narrows.errors import InvalidData
from narrows.neighbors.ranking import distance_of, scorer_of

__all__ = ["FoundHalves", "find_halves", "split_words"]

_TIE = 1e-6
"""Cosines are rounded to about this; closer ones count as equal."""

_BLOCK = 512


@dataclass(frozen=True, eq=False)
class FoundHalves:
    """How well codes of half a document find its other half.

    Halves at the same distance count as the mean over all their orders.

    Attributes
    ----------
    measures : ndarray (n, 3)
        Of each document, a mean over its two halves: whether the other half is the nearest,
        whether it is among the ten nearest, and 1 / its rank.
    """

    measures: np.ndarray

    @property
    def n_rows(self) -> int:
        """Number of documents; each half is searched for among as many others."""
        return len(self.measures)

    @property
    def hit_at_1(self) -> float:
        """Share of the halves that find their other half first."""
        return float(self.measures[:, 0].mean())

    @property
    def hit_at_10(self) -> float:
        """Share of the halves that find their other half among the first ten."""
        return float(self.measures[:, 1].mean())

    @property
    def reciprocal_rank(self) -> float:
        """Mean of 1 / the rank of the other half."""
        return float(self.measures[:, 2].mean())

    @property
    def standard_errors(self) -> tuple[float, float, float]:
        """Standard errors, over documents, of the three means."""
        first, tenth, reciprocal = _standard_error(self.measures).tolist()
        return first, tenth, reciprocal

    def lead_over(self, other: FoundHalves) -> tuple[float, float]:
        """Return by how much the mean reciprocal rank is above that of another code of the same
        halves, and the standard error of this difference."""
        leads = self.measures[:, 2] - other.measures[:, 2]
        return float(leads.mean()), float(_standard_error(leads))

    def as_dict(self) -> dict[str, object]:
        names = ("hit_at_1", "hit_at_10", "reciprocal_rank")
        errors = {f"{k}_error": v for k, v in zip(names, self.standard_errors, strict=True)}
        return {"n_rows": self.n_rows, **{name: getattr(self, name) for name in names}, **errors}


def _standard_error(values: np.ndarray) -> np.ndarray:
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


def split_words(counts: Any, generator: np.random.Generator) -> tuple[Any, Any, np.ndarray]:
    """Split the words of every document at random into two halves.

    Every occurrence of a word is drawn without replacement. Of an odd number of words, a half
    drawn at random has one more. Documents of fewer than two words are left out.

    Parameters
    ----------
    counts : ndarray or sparse matrix, (n, n_words)
        Whole numbers.
    generator : numpy.random.Generator

    Returns
    -------
    first, second : CSR arrays of float32, (n_kept, n_words)
        They add up to the documents that were kept.
    kept : ndarray of int64, (n_kept,)
        Their row numbers.

    Raises
    ------
    InvalidData
        If a count is not a whole number or is negative.

    Examples
    --------
    >>> halves = split_words([[2, 0, 2], [1, 0, 0]], np.random.default_rng(0))
    >>> [half.sum() for half in halves[:2]], halves[2]
    ([np.float32(2.0), np.float32(2.0)], array([0]))
    """
    matrix: Any = sp.csr_array(checked_csr(counts, "counts") if sp.issparse(counts) else counts)
    values = matrix.data
    if not np.isfinite(values).all() or (values < 0).any() or (values != np.round(values)).any():
        raise InvalidData(
            "counts: halves of documents are drawn word by word, so counts must be whole numbers "
            ">= 0; give counts or texts, not weighted rows."
        )
    row_of = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    totals = np.bincount(row_of, values, minlength=matrix.shape[0]).astype(np.int64)
    kept = np.flatnonzero(totals >= 2)
    place = np.repeat(np.arange(len(values)), values.astype(np.int64))  # one per occurrence
    place = place[totals[row_of[place]] >= 2]
    # occurrences of each row in random order; every other one goes to the second half
    order = np.lexsort((generator.random(len(place)), row_of[place]))
    place, sizes = place[order], totals[kept]
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    odd = np.repeat(generator.integers(2, size=len(kept)), sizes)
    in_second = (np.arange(len(place)) - starts + odd) % 2 == 1
    halves = [_counted(place[chosen], matrix)[kept] for chosen in (~in_second, in_second)]
    return halves[0], halves[1], kept


def _counted(place: np.ndarray, matrix: Any) -> Any:
    """Return the matrix with its stored values replaced by how often each place occurs."""
    data = np.bincount(place, minlength=len(matrix.data)).astype(np.float32)
    counted = sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape, copy=True)
    counted.eliminate_zeros()
    return counted


def find_halves(first: Any, second: Any) -> FoundHalves:
    """Return how often codes of halves find their other halves, each among all others.

    Row i of ``first`` and row i of ``second`` are codes of the two halves of one document. Each of
    them is a query for the other one. Codes of numbers, dense or CSR, are compared by cosine,
    packed bits (uint8) by Hamming distance. Cost O(n^2 x width), in blocks.

    Parameters
    ----------
    first, second : ndarray or CSR matrix, (n, width)

    Raises
    ------
    InvalidData
        If there are fewer than two documents, or the halves differ in number, width or kind.

    Examples
    --------
    >>> codes = np.eye(4)
    >>> find_halves(codes, codes).hit_at_1, find_halves(codes, np.ones((4, 4))).hit_at_1
    (1.0, 0.25)
    """
    n = first.shape[0]
    if n != second.shape[0] or n < 2:
        raise InvalidData(
            f"halves: {n} first and {second.shape[0]} second halves; give both halves of two or "
            "more documents."
        )
    return FoundHalves((_measured(first, second) + _measured(second, first)) / 2)


def _measured(queries: Any, base: Any) -> np.ndarray:
    """Return hit@1, hit@10 and reciprocal rank of every query's own row of the base, (n, 3)."""
    scorer, n = scorer_of(queries, base), queries.shape[0]
    tie = _TIE if distance_of(queries) == "cosine" else 0.0
    nearer, tied = np.empty(n, np.int64), np.empty(n, np.int64)
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        scores = scorer(slice(start, start + _BLOCK), slice(0, n))
        own = scores[rows - start, rows][:, None]
        nearer[rows] = (scores > own + tie).sum(axis=1)
        tied[rows] = (scores >= own - tie).sum(axis=1) - nearer[rows]
    hits = [np.clip(k - nearer, 0, tied) / tied for k in (1, 10)]
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, n + 1))])
    return np.stack([*hits, (harmonic[nearer + tied] - harmonic[nearer]) / tied], axis=1)
