"""Count terms, keep those that matter, and put the counts together as CSR."""

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
"""Words remembered with their columns; then all are forgotten and learned anew."""

_LONGEST_NGRAM = 100  # characters of one that is remembered

Lookup = Callable[[str], int | None]


class WordColumns(dict[str, int]):
    """The number of each word as written: its column + 1, or 0 where it is not counted.

    Memory is bounded: at most ``MAX_CACHED`` words, none longer than the analyzer keeps.
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
    """Return the look-up that gives every new term the next number, and notes it in ``found``."""
    return WordColumns(analyzer, lambda term: found.setdefault(term, len(found) + 1)).__getitem__


def counting(analyzer: Analyzer, terms: Sequence[str], *, other: bool = False) -> Lookup:
    """Return the look-up of a vocabulary's terms; ``other`` counts all other terms as one more.

    Without a stemmer it is the vocabulary alone: a few thousand words stay in the processor's
    cache, where all the words of a language do not.
    """
    numbers = {term: column for column, term in enumerate(terms, start=1)}
    rest = len(terms) + 1 if other else 0
    if (analyzer.stemmer is None or not analyzer.has_plain_words) and not other:
        kept = analyzer.make_term()
        return {term: n for term, n in numbers.items() if kept(term) == term}.get
    return WordColumns(analyzer, lambda term: numbers.get(term, rest)).__getitem__


@dataclass(frozen=True)
class Block:
    """The counts of some documents, as the parts of CSR."""

    lengths: np.ndarray  # (n_rows,) how many different words each document has
    indices: np.ndarray  # (n_different,) int32, rising within a row
    counts: np.ndarray  # (n_different,) the narrowest unsigned integer that holds them


def count_blocks(texts: Iterable[str], tokens: Tokens, lookup: Lookup) -> Iterator[Block]:
    """Yield the counts of texts, a block at a time.

    ``lookup`` gives a word's column + 1; words with 0 or None are passed over.

    Memory: O(words of a block), and of the longest document 4 bytes a word.
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
    """Return keys that sort by row, then column, and how many low bits the column takes."""
    bits = int(columns.max(initial=0)).bit_length()
    wide = n_rows.bit_length() + bits > 32
    dtype = np.uint64 if wide else np.uint32
    return (rows.astype(dtype) << dtype(bits)) | columns.astype(dtype), bits


def runs(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each run of equal keys starts, and how long it is."""
    if not len(keys):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return first, np.diff(first, append=len(keys))


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


def assembled(blocks: list[Block], n_terms: int, columns: np.ndarray | None) -> sp.csr_array:
    """Return the CSR matrix of blocks, which are used up; ``columns`` maps old ones to new."""
    lengths, indices, data = [], [], []
    for block in reversed(blocks):
        part = block if columns is None else _renamed(block, columns)
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


def _renamed(block: Block, columns: np.ndarray) -> Block:
    """Return a block with its columns renamed, those named -1 dropped, and sorted again."""
    rows = np.repeat(np.arange(len(block.lengths)), block.lengths)
    new = columns[block.indices]
    kept = new >= 0
    keys, bits = pack(rows[kept], new[kept], len(block.lengths))
    order = keys.argsort()
    indices = (keys[order] & ((1 << bits) - 1)).astype(np.int32)
    lengths = np.bincount(rows[kept], minlength=len(block.lengths))
    return Block(lengths, indices, block.counts[kept][order])
