"""Retrieval from its definition: a loop over queries, and one over the orders of tied rows."""

from __future__ import annotations

import itertools

import numpy as np
import scipy.sparse as sp


def label_sets(labels) -> list[set]:
    if sp.issparse(labels):
        return [set(np.flatnonzero(row)) for row in labels.toarray()]
    return [{label} for label in labels]


def scores_of(query, base) -> np.ndarray:
    """Return cosines with a row of numbers, or minus the Hamming distances to packed bits."""
    if base.dtype == np.uint8:
        return np.array([-sum(int(a ^ b).bit_count() for a, b in zip(query, row, strict=True))
                         for row in base])  # fmt: skip
    lengths = np.linalg.norm(base, axis=1) * np.linalg.norm(query)
    return np.where(lengths > 0, base @ query / np.where(lengths > 0, lengths, 1), 0)


def rankings(queries, base, query_labels, base_labels):
    """Yield for each query the sorted scores of the base, and which of these rows are relevant."""
    of_queries, of_base = label_sets(query_labels), label_sets(base_labels)
    for i, query in enumerate(queries):
        scores = scores_of(query, base)
        order = sorted(range(len(base)), key=lambda j: (-scores[j], j))
        yield scores[order], np.array([bool(of_queries[i] & of_base[j]) for j in order])


def precision(hits, k) -> float:
    return sum(hits[:k]) / k


def over_all_orders(measure, scores, hits, k) -> float:
    """Return the mean of a measure over all orders of the rows with the same score."""
    groups = [list(group) for _, group in itertools.groupby(range(len(hits)), lambda j: scores[j])]
    orders = itertools.product(*(itertools.permutations(group) for group in groups))
    return float(np.mean([measure(hits[list(itertools.chain(*order))], k) for order in orders]))
