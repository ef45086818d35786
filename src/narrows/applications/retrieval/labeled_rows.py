"""Compare a model's codes with linear codes on labeled rows: by retrieval, and in the plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from narrows.applications.retrieval.baselines import (
    comparable_rows,
    lsa_codes,
    pca_codes,
    principal_components,
)
from narrows.applications.retrieval.comparison import RetrievalComparison, compare_retrieval
from narrows.applications.retrieval.lookup import index_codes
from narrows.applications.retrieval.metrics import Labels
from narrows.data.source import Source
from narrows.errors import InvalidData
from narrows.model.coding import codes
from narrows.model.model import Model

__all__ = ["LabeledRetrieval", "PlaneMaps", "compare_labeled_rows", "plane_maps"]


@dataclass(frozen=True)
class LabeledRetrieval:
    """A comparison, and how many rows were left out: without a known word, and without a label."""

    comparison: RetrievalComparison
    n_empty: int
    n_unlabeled: int


def compare_labeled_rows(
    model: Model, source: Source, labels: Labels, *, every: int
) -> LabeledRetrieval:
    """Compare retrieval by the model's codes with that by linear codes and by the rows themselves.

    One row of ``every`` is a query, the others are searched; see ``compare_retrieval``.

    Parameters
    ----------
    labels : labels
        One per row, (n_rows,), or several per row: a sparse matrix (n_rows, n_labels).

    Raises
    ------
    InvalidData
        If fewer than two rows have a label.
    """
    found = index_codes(model, source)
    code, rows = found.codes, comparable_rows(model, source)
    if found.empty.any():
        labels, code, rows = (part[~found.empty] for part in (labels, code, rows))
    labels, (code, rows), n_unlabeled = _with_labels(labels, code, rows)
    comparison = compare_retrieval(code, rows, labels, every=every, counts=model.scaling.shares)
    return LabeledRetrieval(comparison, int(found.empty.sum()), n_unlabeled)


@dataclass(frozen=True)
class PlaneMaps:
    """Maps (n, 2) of the same rows by name, the model's first, and the labels of these rows.

    ``n_unlabeled`` rows without a label were left out.
    """

    maps: dict[str, np.ndarray]
    labels: Labels
    n_unlabeled: int


def plane_maps(model: Model, source: Source, labels: Labels) -> PlaneMaps:
    """Return the codes of a model of two numbers beside linear maps of the same rows.

    The linear maps are PCA of rows as the model scales them; of counts, LSA and PCA of
    log(1 + count).

    Raises
    ------
    InvalidData
        If fewer than two rows have a label.
    """
    xy = np.concatenate(list(codes(model, source)))
    labels, (xy, rows), n_unlabeled = _with_labels(labels, xy, comparable_rows(model, source))
    maps = {"this model": xy}
    if model.scaling.shares:
        maps["PCA of log(1 + count)"] = pca_codes(rows)[0]
        maps["LSA"] = lsa_codes(rows, n_components=2)[0]
    else:
        maps["PCA"] = principal_components(rows)[0]
    return PlaneMaps(maps, labels, n_unlabeled)


def _with_labels(labels: Labels, *parts: Any) -> tuple[Labels, tuple[Any, ...], int]:
    """Return labels and parts of the rows that have a label, and how many rows have none."""
    if not sp.issparse(labels):
        return labels, parts, 0
    matrix: Any = labels
    labeled = np.flatnonzero(np.diff(matrix.indptr))
    if len(labeled) < 2:
        raise InvalidData("labels: at least two rows must have labels.")
    n_unlabeled = matrix.shape[0] - len(labeled)
    return matrix[labeled], tuple(part[labeled] for part in parts), n_unlabeled
