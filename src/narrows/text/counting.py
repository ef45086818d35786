"""Counting words: a dictionary from words to columns, and sorted keys, a block of documents a time.

The cost of a word that was met before is one look-up; lower case, stop words and stems are worked
out once for each different word. Counts come from sorting (row, column) pairs packed in integers.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from narrows.text.analyzer import Analyzer
from narrows.text.words import Tokens

__all__ = ["Block", "WordColumns", "count_blocks", "counting", "learning", "pack", "runs"]

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
