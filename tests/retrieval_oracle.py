"""Retrieval straight from its definitions: a loop over queries, and one over orders of ties."""

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


def rankings(queries, base, query_labels, base_labels, *, leave_one_out=False):
    """Yield for each query the scores of the base in order, and what of it is relevant."""
    ours, theirs = label_sets(query_labels), label_sets(base_labels)
    for i, query in enumerate(queries):
        scores = scores_of(query, base)
        order = sorted(range(len(base)), key=lambda j: (-scores[j], j))
        if leave_one_out:
            order.remove(i)
        yield scores[order], np.array([bool(ours[i] & theirs[j]) for j in order])


def precision(hits, k) -> float:
    return sum(hits[:k]) / k


def average_precision(hits, _=None) -> float:
    ranks = [rank for rank, hit in enumerate(hits, 1) if hit]
    return sum(precision(hits, rank) for rank in ranks) / max(len(ranks), 1)


def over_all_orders(measure, scores, hits, k=None) -> float:
    """Return the mean of a measure over every order of the rows that score the same."""
    groups = [list(group) for _, group in itertools.groupby(range(len(hits)), lambda j: scores[j])]
    orders = itertools.product(*(itertools.permutations(group) for group in groups))
    return float(np.mean([measure(hits[list(itertools.chain(*order))], k) for order in orders]))
