"""A model's codes beside their linear rivals, retrieving on one split of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.applications.lsa import lsa_codes, weighted
from narrows.applications.relevance import Labels, n_labelled
from narrows.applications.retrieval import CUTOFFS, RetrievalResult, measure_retrieval
from narrows.applications.scores import distance_of
from narrows.checks import check_number
from narrows.errors import InvalidData

__all__ = ["RetrievalComparison", "compare_retrieval"]

LSA_WIDTH = 50
"""Also compared with, whatever the width of the code: as in Hinton and Salakhutdinov (2006)."""


@dataclass(frozen=True)
class RetrievalComparison:
    """Results by the name of the method, the model's first.

    Attributes
    ----------
    results : dict of str to RetrievalResult
    every : int
        One row of so many is a query, the others are the base.
    fitted : str
        What the rivals were fitted on.
    """

    results: dict[str, RetrievalResult]
    every: int
    fitted: str

    def as_dict(self) -> dict[str, object]:
        methods = {name: result.as_dict() for name, result in self.results.items()}
        return {"every": self.every, "fitted": self.fitted, "methods": methods}

    def table(self) -> str:
        """Return lines to print: one a method, and what the numbers are."""
        first = next(iter(self.results.values()))
        width = max(len(name) for name in ["retrieved", *self.results]) + 1
        lines = [f"{'retrieved':<{width}}" + "".join(f"{k:>7}" for k in first.cutoffs) + "  p@100"]
        for name, result in self.results.items():
            cells = [*result.precision, result.precision_at_100]
            lines.append(
                f"{name:<{width}}"
                + "".join(f"{'-' if value is None else f'{value:.3f}':>7}" for value in cells)
            )
        lines.append(
            "fraction of the rows retrieved that share a label with the query; mean over "
            f"{first.n_queries} queries (one row of {self.every}) against {first.n_base} others"
        )
        if first.n_without_relevant:
            lines.append(
                f"{first.n_without_relevant} queries share no label with any: they count 0"
            )
        lines.append(self.fitted)
        return "\n".join(lines)


def compare_retrieval(
    codes: np.ndarray,
    rows: Any,
    labels: Labels,
    *,
    every: int = 10,
    cutoffs: Sequence[int] = CUTOFFS,
    weighting: str = "log_tfidf",
    seed: int = 0,
    name: str = "this model",
) -> RetrievalComparison:
    """Measure retrieval by codes, by LSA of the same width and of 50, and by TF-IDF rows.

    Rows 0, ``every``, 2 ``every``, ... are the queries, the others the base. LSA and the document
    frequencies are fitted on the rows of the base. Rows with negative values are no counts: their
    own cosine is the one rival then. An LSA wider than the rows allow is left out.

    Parameters
    ----------
    codes : ndarray, (n, n_components)
        Of the model; packed bits if uint8, with ties as the mean over their orders.
    rows : ndarray or sparse matrix, (n, n_features)
        What the codes are of: counts.
    labels : labels
        One a row, (n,), or several: a sparse matrix (n, n_labels).
    every : int, default=10
    cutoffs : sequence of int
    weighting : {"log", "log_tfidf", "proportions", "tfidf"}, default="log_tfidf"
        Of the LSA. The TF-IDF rows are those of log(1 + count), the strongest of them.
    seed : int, default=0
        Of the LSA.
    name : str
        Of the model.

    Raises
    ------
    InvalidData
        If codes, rows and labels are of different numbers of rows, or too few for the split.
    UsageError
        For an ``every`` below 2, or an unknown weighting.
    """
    check_number("every", every, low=2, integer=True)
    n = codes.shape[0]
    if n != rows.shape[0] or n != n_labelled(labels):
        raise InvalidData(
            f"retrieval: {n} codes, {rows.shape[0]} rows and {n_labelled(labels)} rows of labels; "
            "give as many of each."
        )
    if n < 2:
        raise InvalidData("retrieval: at least two rows are needed, a query and a base.")
    query = np.arange(n) % every == 0
    labels = labels if sp.issparse(labels) else np.asarray(labels)
    of = [labels[query], labels[~query]]

    def measured(ours: Any, base: Any) -> RetrievalResult:
        ties = "random" if distance_of(ours) == "hamming" else "row"
        return measure_retrieval(ours, base, *of, cutoffs=cutoffs, ties=ties)

    bits = distance_of(codes) == "hamming"
    width = codes.shape[1] * (8 if bits else 1)
    label = f"{name} ({width}{' bits' if bits else ''})"
    results = {label: measured(codes[query], codes[~query])}
    ours, base = rows[query], rows[~query]
    if rows.min() < 0:
        results[f"the rows ({rows.shape[1]})"] = measured(ours, base)
        return RetrievalComparison(results, every, "the rows hold negative values: no LSA of them")
    widths = sorted(w for w in {width, LSA_WIDTH} if w < min(base.shape))
    if widths:
        theirs, our_lsa = lsa_codes(
            base, ours, n_components=widths[-1], weighting=weighting, seed=seed
        )
        for w in widths:  # the first columns of a longer one are the shorter one
            results[f"LSA ({w})"] = measured(our_lsa[:, :w], theirs[:, :w])
    base, ours = weighted(base, ours, weighting="log_tfidf")
    results[f"TF-IDF ({rows.shape[1]})"] = measured(ours, base)
    fitted = (
        f"LSA (weighting {weighting}) and TF-IDF, of log(1 + count), were fitted on those "
        f"{base.shape[0]} others"
    )
    return RetrievalComparison(results, every, fitted)
