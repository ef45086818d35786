"""What a code is compared with at retrieving: linear codes of the same rows, and the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.applications.retrieval.lsa import lsa_codes, principal_components, weighted
from narrows.data.in_memory import joined, rows_in_memory
from narrows.data.source import Source
from narrows.model.coding import scaled_batches
from narrows.model.model import Model

__all__ = ["comparable_rows", "baselines_of_counts", "baselines_of_rows"]

Baselines = dict[str, tuple[Any, Any]]
"""By name: the base's rows, and the queries'."""


def comparable_rows(model: Model, source: Source) -> Any:
    """Return counts (n, n_features) as they are, other rows as the model scales them, a missing
    value being the mean's: what the baselines are made of."""
    if model.scaling.shares:
        return rows_in_memory(source)
    rows = joined(scaled for _, scaled in scaled_batches(model, source))
    return rows if sp.issparse(rows) else np.nan_to_num(rows, nan=0.0, copy=False)


def baselines_of_counts(
    base: Any, queries: Any, widths: Sequence[int], *, weighting: str, seed: int
) -> tuple[Baselines, str]:
    """Return LSA at each width, and TF-IDF rows of log(1 + count), and on what they were fitted.

    ``base`` and ``queries`` are counts (n, n_words); everything is fitted on the base.
    """
    baselines: Baselines = {}
    if widths:
        ours, theirs = lsa_codes(
            base, queries, n_components=max(widths), weighting=weighting, seed=seed
        )
        # the first columns of a longer one are the shorter one
        baselines = {f"LSA ({w})": (ours[:, :w], theirs[:, :w]) for w in widths}
    rows, asked = weighted(base, queries, weighting="log_tfidf")
    baselines[f"TF-IDF ({base.shape[1]})"] = rows, asked
    return baselines, (
        f"LSA (weighting {weighting}) and TF-IDF, of log(1 + count), were fitted on those "
        f"{base.shape[0]} others"
    )


def baselines_of_rows(
    base: Any, queries: Any, widths: Sequence[int], *, seed: int
) -> tuple[Baselines, str]:
    """Return PCA at each width and the rows, (n, n_features), themselves, and what to say of it."""
    baselines: Baselines = {}
    if widths:
        ours, theirs = principal_components(base, queries, n_components=max(widths), seed=seed)
        baselines = {f"PCA ({w})": (ours[:, :w], theirs[:, :w]) for w in widths}
    baselines[f"the rows ({base.shape[1]})"] = base, queries
    return baselines, (
        f"PCA was fitted on those {base.shape[0]} others; by cosine of its codes, and of the rows"
        if widths
        else "by cosine of the rows"
    )
