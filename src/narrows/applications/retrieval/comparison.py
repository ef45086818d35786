"""A model's codes beside their linear baselines, retrieving on one split of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.applications.printing import PrintsTable
from narrows.applications.retrieval.baselines import baselines_of_counts, baselines_of_rows
from narrows.applications.retrieval.metrics import (
    CUTOFFS,
    Labels,
    RetrievalResult,
    measure_retrieval,
    n_labeled,
)
from narrows.applications.retrieval.scores import distance_of
from narrows.core.checks import check_number
from narrows.errors import InvalidData

__all__ = ["RetrievalComparison", "compare_retrieval"]

LINEAR_WIDTH = 50
"""Also compared with, whatever the width of the code: as in Hinton and Salakhutdinov (2006)."""


@dataclass(frozen=True, repr=False)
class RetrievalComparison(PrintsTable):
    """Results by the name of the method, the model's first.

    Attributes
    ----------
    results : dict of str to RetrievalResult
    every : int
        One row of so many is a query, drawn at random, the others are the base.
    fitted : str
        What the baselines were fitted on.
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
            f"{first.n_queries} queries (one row of {self.every}, drawn at random) against "
            f"{first.n_base} others"
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
    counts: bool = True,
    weighting: str = "log_tfidf",
    seed: int = 0,
    name: str = "this model",
) -> RetrievalComparison:
    """Measure retrieval by codes, by linear codes of the same width and of 50, and by rows.

    One row of ``every``, drawn at random, is a query, the others are the base. Of counts the
    linear code is LSA, and the rows are weighted by TF-IDF; of other rows it is PCA, and they are
    compared as they are, by cosine. Both are fitted on the rows of the base. A linear code wider
    than the rows allow is left out.

    Parameters
    ----------
    codes : ndarray, (n, n_components)
        Of the model; packed bits if uint8, with ties as the mean over their orders.
    rows : ndarray or sparse matrix, (n, n_features)
        What the codes are of: counts, or rows as the model scales them.
    labels : labels
        One a row, (n,), or several: a sparse matrix (n, n_labels).
    every : int, default=10
    cutoffs : sequence of int
    counts : bool, default=True
        Whether the rows are counts; if a value is negative they are none.
    weighting : {"log", "log_tfidf", "proportions", "tfidf"}, default="log_tfidf"
        Of the LSA. The TF-IDF rows are those of log(1 + count), the strongest of them.
    seed : int, default=0
        Of the queries drawn, and of the linear codes.
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
    if n != rows.shape[0] or n != n_labeled(labels):
        raise InvalidData(
            f"retrieval: {n} codes, {rows.shape[0]} rows and {n_labeled(labels)} rows of labels; "
            "give as many of each."
        )
    if n < 2:
        raise InvalidData("retrieval: at least two rows are needed, a query and a base.")
    query = np.zeros(n, dtype=bool)
    query[np.random.default_rng(seed).choice(n, -(-n // every), replace=False)] = True
    labels = labels if sp.issparse(labels) else np.asarray(labels)
    halves = [labels[query], labels[~query]]

    def measured(ours: Any, base: Any) -> RetrievalResult:
        ties = "random" if distance_of(ours) == "hamming" else "row"
        return measure_retrieval(ours, base, *halves, cutoffs=cutoffs, ties=ties)

    bits = distance_of(codes) == "hamming"
    width = codes.shape[1] * (8 if bits else 1)
    label = f"{name} ({width}{' bits' if bits else ''})"
    results = {label: measured(codes[query], codes[~query])}
    base, asked = rows[~query], rows[query]
    widths = sorted(w for w in {width, LINEAR_WIDTH} if w < min(base.shape))
    if counts and rows.min() >= 0:
        baselines, fitted = baselines_of_counts(base, asked, widths, weighting=weighting, seed=seed)
    else:
        baselines, fitted = baselines_of_rows(base, asked, widths, seed=seed)
    results |= {of: measured(ours, theirs) for of, (theirs, ours) in baselines.items()}
    return RetrievalComparison(results, every, fitted)
