"""Compare retrieval by a model's codes with linear baselines, on one split of the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.applications.printing import shown_as_table
from narrows.applications.retrieval.baselines import (
    baselines_of_counts,
    baselines_of_rows,
    smoothed_codes,
)
from narrows.applications.retrieval.metrics import (
    CUTOFFS,
    Labels,
    RetrievalResult,
    measure_retrieval,
    n_labeled,
)
from narrows.core.checks import check_number
from narrows.errors import InvalidData
from narrows.neighbors.ranking import distance_of

__all__ = ["RetrievalComparison", "compare_retrieval"]

LINEAR_WIDTH = 50
"""Width of a linear code that is always compared: as in Hinton and Salakhutdinov (2006)."""

NEIGHBORS = (0, 3, 10, 30)
"""Numbers of neighbors that linear codes of counts are averaged with, the best one chosen."""

_SMOOTHED, _TRIED, _RETRIEVED = 20_000, 500, 15
"""Larger bases are not smoothed; rows of the base that are tried as queries, and what is retrieved
for each, to choose a number of neighbors."""


@shown_as_table
@dataclass(frozen=True, repr=False)
class RetrievalComparison:
    """Retrieval by a model's codes and by its baselines.

    Attributes
    ----------
    results : dict of str to RetrievalResult
        By the name of the method, the model first.
    every : int
        One row in ``every``, drawn at random, is a query; the others are the base.
    fitted : str
        A line about what the baselines were fitted on.
    """

    results: dict[str, RetrievalResult]
    every: int
    fitted: str

    def as_dict(self) -> dict[str, object]:
        methods = {name: result.as_dict() for name, result in self.results.items()}
        return {"every": self.every, "fitted": self.fitted, "methods": methods}

    def table(self) -> str:
        """Return lines to print: one per method, then what the numbers mean."""
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
                f"{first.n_without_relevant} queries share no label with any row: they score 0"
            )
        lines.append(self.fitted)
        if any("neighbors" in name for name in self.results):
            lines.append(
                "LSA codes were averaged with those of their nearest rows, as many as retrieved "
                "best among the others"
            )
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
    """Measure retrieval by codes, by linear codes of the same width and of 50, and by the rows.

    One row in ``every``, drawn at random, is a query; the others are the base. The linear codes of
    counts are LSA, and their rows are weighted by TF-IDF; those of other rows are PCA, and the
    rows are compared by cosine as they are. All baselines are fitted on the base. Linear codes
    that are too wide for the rows are left out.

    LSA codes are also averaged with those of their nearest rows of the base (see
    ``smoothed_codes``), as many as retrieve best for rows of the base; none may be best.

    Parameters
    ----------
    codes : ndarray, (n, n_components)
        Codes of the model; packed bits if uint8, whose ties count as the mean over their orders.
    rows : ndarray or sparse matrix, (n, n_features)
        The rows of the codes: counts, or rows as the model scales them.
    labels : labels
        One per row, (n,), or several: a sparse matrix (n, n_labels).
    every : int, default=10
    cutoffs : sequence of int
    counts : bool, default=True
        Whether the rows are counts; rows with a negative value count as other rows.
    weighting : {"log", "log_tfidf", "proportions", "tfidf"}, default="log_tfidf"
        Weighting for the LSA. The TF-IDF rows are those of log(1 + count), the best baseline of
        the kind.
    seed : int, default=0
        Seed of the drawn queries and of the linear codes.
    name : str
        Name of the model in the results.

    Raises
    ------
    InvalidData
        If codes, rows and labels differ in their numbers of rows, or if there are fewer than two.
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
    is_query = np.zeros(n, dtype=bool)
    is_query[np.random.default_rng(seed).choice(n, -(-n // every), replace=False)] = True
    labels = labels if sp.issparse(labels) else np.asarray(labels)
    split_labels = labels[is_query], labels[~is_query]

    def measured(query_codes: Any, base_codes: Any) -> RetrievalResult:
        ties = "random" if distance_of(query_codes) == "hamming" else "row"
        return measure_retrieval(query_codes, base_codes, *split_labels, cutoffs=cutoffs, ties=ties)

    bits = distance_of(codes) == "hamming"
    width = codes.shape[1] * (8 if bits else 1)
    label = f"{name} ({width}{' bits' if bits else ''})"
    results = {label: measured(codes[is_query], codes[~is_query])}
    base, queries = rows[~is_query], rows[is_query]
    widths = sorted(w for w in {width, LINEAR_WIDTH} if w < min(base.shape))
    if counts and rows.min() >= 0:
        baselines, fitted = baselines_of_counts(
            base, queries, widths, weighting=weighting, seed=seed
        )
    else:
        baselines, fitted = baselines_of_rows(base, queries, widths, seed=seed)
    for baseline, (of_base, of_queries) in baselines.items():
        results[baseline] = measured(of_queries, of_base)
        if not baseline.startswith("LSA") or len(of_base) > _SMOOTHED:
            continue
        k = _best_neighbors(of_base, split_labels[1], seed)
        if k:
            smooth, smooth_queries = smoothed_codes(of_base, of_queries, n_neighbors=k)
            results[f"{baseline}, {k} neighbors"] = measured(smooth_queries, smooth)
    return RetrievalComparison(results, every, fitted)


def _best_neighbors(base: np.ndarray, labels: Labels, seed: int) -> int:
    """Return the number of neighbors with which rows of the base retrieve best from the others.

    The first of equally good ones is taken. Codes and neighbors are those of the whole base.
    """
    n = len(base)
    tried = np.random.default_rng(seed).permutation(n)[: min(_TRIED, n // 2)]
    others = np.delete(np.arange(n), tried)
    if not len(tried):
        return 0
    cutoff = (min(_RETRIEVED, len(others)),)

    def precision(k: int) -> float:
        codes = smoothed_codes(base, n_neighbors=k)[0]
        of_rows = labels[tried], labels[others]
        found = measure_retrieval(codes[tried], codes[others], *of_rows, cutoffs=cutoff)
        return found.precision[0]

    return max((k for k in NEIGHBORS if k < n), key=precision)
