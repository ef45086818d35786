"""Which terms stay: not too rare, not too common, and of those the most frequent."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from narrows.errors import InvalidData, UsageError
from narrows.text.counting import Block

__all__ = ["Kept", "kept_terms"]


@dataclass(frozen=True)
class Kept:
    """The terms that stay, in the alphabet's order, and where the old columns went."""

    terms: tuple[str, ...]
    document_frequencies: np.ndarray  # (n_kept,) int64
    columns: np.ndarray  # (n_found,) int32: the new column of each old one, -1 if dropped


def kept_terms(
    found: Mapping[str, int],
    blocks: Iterable[Block],
    n_documents: int,
    *,
    counted: np.ndarray | None = None,
    max_features: int | None,
    min_df: int | float,
    max_df: int | float,
) -> Kept:
    """Return the terms that the limits leave, as ``CountVectorizer`` has them.

    Only the documents of the mask ``counted``, bool (n_read,), count, ``n_documents`` of them; a
    term that stands in none of these is dropped.

    Raises
    ------
    UsageError
        If max_df comes to fewer documents than min_df.
    InvalidData
        If nothing is left, naming the rule.
    """
    if not n_documents:
        raise InvalidData("Vocabulary: no documents to learn from.")
    if not found:
        raise InvalidData(
            f"Vocabulary: the {n_documents} documents have no word that is counted: they are "
            "empty, or have only stop words and single letters; see stop_words and token_pattern."
        )
    low, high = _documents(min_df, n_documents), _documents(max_df, n_documents)
    if high < low:
        raise UsageError(
            f"max_df={max_df} comes to {high:g} of {n_documents} documents, fewer than "
            f"min_df={min_df}, {low:g}; lower min_df or raise max_df."
        )
    documents, occurrences = _frequencies(blocks, len(found), counted)
    rare, common = documents < max(low, 1), documents > high
    kept = ~(rare | common)
    if not kept.any():
        reasons = []
        if rare.any():
            reasons.append(f"min_df={min_df} dropped {rare.sum()} (in fewer documents)")
        if common.any():
            reasons.append(f"max_df={max_df} dropped {common.sum()} (in more documents)")
        raise InvalidData(
            f"Vocabulary: none of {len(found)} terms of {n_documents} documents is left: "
            f"{' and '.join(reasons)}; lower min_df or raise max_df."
        )
    terms = np.array(sorted(found), dtype=object)
    old = np.fromiter((found[term] for term in terms), np.int64, len(terms)) - 1
    stays = kept[old]
    terms, old = terms[stays], old[stays]
    if max_features is not None and len(old) > max_features:
        # stable: of equally frequent terms the first in the alphabet stay, on every machine
        most = np.sort(np.argsort(-occurrences[old], kind="stable")[:max_features])
        terms, old = terms[most], old[most]
    columns = np.full(len(found), -1, dtype=np.int32)
    columns[old] = np.arange(len(old))
    return Kept(tuple(terms), documents[old], columns)


def _documents(limit: int | float, n_documents: int) -> float:
    return limit if isinstance(limit, numbers.Integral) else limit * n_documents  # pyright: ignore


def _frequencies(
    blocks: Iterable[Block], n_found: int, counted: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return in how many documents each term stands, and how often in all, both int64."""
    documents = np.zeros(n_found, np.int64)
    occurrences = np.zeros(n_found, np.int64)
    first = 0
    for block in blocks:
        indices, counts = block.indices, block.counts
        if counted is not None:
            kept = np.repeat(counted[first : first + len(block.lengths)], block.lengths)
            indices, counts = indices[kept], counts[kept]
            first += len(block.lengths)
        here = np.bincount(indices)
        documents[: len(here)] += here
        # exact: the counts of a block stay far below 2**53
        weighted = np.bincount(indices, weights=counts)
        occurrences[: len(weighted)] += weighted.astype(np.int64)
    return documents, occurrences
