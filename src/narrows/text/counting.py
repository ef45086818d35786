"""Count terms in texts, select terms by frequency, and assemble the counts as CSR."""

from __future__ import annotations

import numbers
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from narrows.errors import InvalidData, UsageError
from narrows.text.analyzer import Analyzer
from narrows.text.tokens import Tokens

__all__ = [
    "Block",
    "Kept",
    "WordColumns",
    "assembled",
    "count_blocks",
    "counting",
    "kept_terms",
    "learning",
    "pack",
    "runs",
]

BLOCK_WORDS = 1 << 18
BLOCK_ROWS = 1 << 12
MAX_CACHED = 1 << 19
"""Maximum number of cached words; the cache is then cleared."""

_LONGEST_NGRAM = 100  # longer n-grams are not cached

Lookup = Callable[[str], int | None]


class WordColumns(dict[str, int]):
    """A cache of the numbers of words: column + 1, or 0 if a word is not counted.

    It is limited to ``MAX_CACHED`` words, none longer than the analyzer keeps.
    """

    def __init__(self, analyzer: Analyzer, number: Callable[[str], int]) -> None:
        super().__init__()
        self._term = analyzer.make_term()
        self._longest = _longest(analyzer)
        self._number = number

    def __missing__(self, word: str) -> int:
        term = self._term(word)
        number = 0 if term is None else self._number(term)
        if len(word) <= self._longest:
            if len(self) >= MAX_CACHED:
                self.clear()
            self[word] = number
        return number


def _longest(analyzer: Analyzer) -> int:
    return analyzer.max_token_length if analyzer.has_plain_words else _LONGEST_NGRAM


def learning(analyzer: Analyzer, found: dict[str, int]) -> Lookup:
    """Return the lookup that gives each new term the next number, and adds it to ``found``."""
    return WordColumns(analyzer, lambda term: found.setdefault(term, len(found) + 1)).__getitem__


def counting(analyzer: Analyzer, terms: Sequence[str], *, other: bool = False) -> Lookup:
    """Return the lookup of a vocabulary; with ``other``, all other terms share one more number.

    Without a stemmer it contains only the vocabulary: a few thousand words fit into the processor's
    cache, but all words of a language do not.
    """
    numbers = {term: column for column, term in enumerate(terms, start=1)}
    rest = len(terms) + 1 if other else 0
    if (analyzer.stemmer is None or not analyzer.has_plain_words) and not other:
        kept = analyzer.make_term()
        return {term: n for term, n in numbers.items() if kept(term) == term}.get
    return WordColumns(analyzer, lambda term: numbers.get(term, rest)).__getitem__


@dataclass(frozen=True)
class Block:
    """The counts of some documents, as parts of a CSR matrix."""

    lengths: np.ndarray  # (n_rows,) number of distinct words of each document
    indices: np.ndarray  # (n_distinct,) int32, ascending within a row
    counts: np.ndarray  # (n_distinct,) the narrowest unsigned integers


def count_blocks(texts: Iterable[str], tokens: Tokens, lookup: Lookup) -> Iterator[Block]:
    """Yield the counts of texts in blocks.

    ``lookup`` returns the column + 1 of a word; words with 0 or None are ignored.

    Memory: O(words of a block), and 4 bytes per word of the longest document.
    """
    found, ends = array("i"), array("q")
    for text in texts:
        for words in tokens(text):
            found.extend(filter(None, map(lookup, words)))
        ends.append(len(found))
        if len(found) >= BLOCK_WORDS or len(ends) >= BLOCK_ROWS:
            yield _counted(found, ends)
            found, ends = array("i"), array("q")
    if ends:
        yield _counted(found, ends)


def _counted(found: array[int], ends: array[int]) -> Block:
    columns = np.frombuffer(found, dtype=np.int32) - 1 if found else np.empty(0, np.int32)
    words = np.diff(np.frombuffer(ends, dtype=np.int64), prepend=0)
    rows = np.repeat(np.arange(len(words)), words)
    keys, bits = pack(rows, columns, len(words))
    keys.sort()
    first, counts = runs(keys)
    distinct = keys[first]
    lengths = np.bincount(distinct >> bits, minlength=len(words))
    indices = (distinct & ((1 << bits) - 1)).astype(np.int32)
    return Block(lengths, indices, counts.astype(np.min_scalar_type(counts.max(initial=0))))


def pack(rows: np.ndarray, columns: np.ndarray, n_rows: int) -> tuple[np.ndarray, int]:
    """Return keys that sort by (row, column), and the number of low bits of the column."""
    bits = int(columns.max(initial=0)).bit_length()
    wide = n_rows.bit_length() + bits > 32
    dtype = np.uint64 if wide else np.uint32
    return (rows.astype(dtype) << dtype(bits)) | columns.astype(dtype), bits


def runs(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and lengths of runs of equal keys."""
    if not len(keys):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return first, np.diff(first, append=len(keys))


@dataclass(frozen=True)
class Kept:
    """The selected terms, sorted by code point, and the new columns of the old ones."""

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
    """Return the terms within the limits, like ``CountVectorizer``.

    Only the ``n_documents`` documents in the mask ``counted``, bool (n_read,), count; a term in
    none of them is dropped.

    Raises
    ------
    UsageError
        If max_df means fewer documents than min_df.
    InvalidData
        If no term is left, naming the limit.
    """
    if not n_documents:
        raise InvalidData("Vocabulary: no documents to learn from.")
    if not found:
        raise InvalidData(
            f"Vocabulary: the {n_documents} documents have no words to count: they are "
            "empty, or have only stop words and single letters; see stop_words and token_pattern."
        )
    low, high = _documents(min_df, n_documents), _documents(max_df, n_documents)
    if high < low:
        raise UsageError(
            f"max_df={max_df} means {high:g} of {n_documents} documents, fewer than "
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
        # a stable sort keeps the first of equally frequent terms, on every machine
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
    """Return the document frequency and the number of occurrences of each term, int64."""
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
        # exact: the counts of a block are far below 2**53
        weighted = np.bincount(indices, weights=counts)
        occurrences[: len(weighted)] += weighted.astype(np.int64)
    return documents, occurrences


def assembled(blocks: list[Block], n_terms: int, columns: np.ndarray | None) -> sp.csr_array:
    """Return the CSR matrix of blocks, and clear them; ``columns`` maps old columns to new."""
    lengths, indices, data = [], [], []
    for block in reversed(blocks):
        part = block if columns is None else _renumbered(block, columns)
        lengths.append(part.lengths)
        indices.append(part.indices)
        data.append(part.counts.astype(np.float32))
    blocks.clear()
    nothing = [np.empty(0, np.int32)]
    indptr = np.concatenate([[0], *lengths[::-1]]).cumsum()
    narrow = indptr[-1] <= np.iinfo(np.int32).max
    matrix = sp.csr_array(
        (
            np.concatenate((data or [np.empty(0, np.float32)])[::-1]),
            np.concatenate((indices or nothing)[::-1]),
            indptr.astype(np.int32 if narrow else np.int64),
        ),
        shape=(len(indptr) - 1, n_terms),
    )
    matrix.has_sorted_indices = True
    return matrix


def _renumbered(block: Block, columns: np.ndarray) -> Block:
    """Return a block with renumbered, sorted columns; columns mapped to -1 are dropped."""
    rows = np.repeat(np.arange(len(block.lengths)), block.lengths)
    new = columns[block.indices]
    kept = new >= 0
    keys, bits = pack(rows[kept], new[kept], len(block.lengths))
    order = keys.argsort()
    indices = (keys[order] & ((1 << bits) - 1)).astype(np.int32)
    lengths = np.bincount(rows[kept], minlength=len(block.lengths))
    return Block(lengths, indices, block.counts[kept][order])
