"""n-grams of words and of characters, as scikit-learn's ``CountVectorizer`` makes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np

from narrows.core.checks import check_number
from narrows.errors import UsageError

__all__ = ["character_ngrams", "check_range", "in_lists", "inner_ngrams", "word_ngrams"]

_MOST = 10
_PIECE = 1 << 16  # n-grams of a long document are never in memory together
_SPACES = re.compile(r"\s\s+")


def check_range(ngram_range: Any) -> tuple[int, int]:
    """Return the least and the greatest n; UsageError unless 1 <= least <= greatest <= 10."""
    if isinstance(ngram_range, np.ndarray):
        ngram_range = ngram_range.tolist()
    listed = isinstance(ngram_range, Sequence) and not isinstance(ngram_range, str)
    if not listed or len(ngram_range) != 2:
        raise UsageError(f"ngram_range: must be two whole numbers, got {ngram_range!r}.")
    for n in ngram_range:
        check_number("ngram_range", n, low=1, high=_MOST, integer=True)
    low, high = map(int, ngram_range)
    if low > high:
        raise UsageError(f"ngram_range: the first must not be above the second, got {low}, {high}.")
    return low, high


def word_ngrams(words: list[str], low: int, high: int) -> Iterator[str]:
    """Yield runs of n adjacent words, joined by spaces, for each n."""
    for n in range(low, high + 1):
        for i in range(len(words) - n + 1):
            yield " ".join(words[i : i + n])


def character_ngrams(text: str, low: int, high: int) -> Iterator[str]:
    """Yield runs of n adjacent characters, for each n; blanks in a row count as one."""
    text = _SPACES.sub(" ", text)
    for n in range(low, min(high, len(text)) + 1):
        for i in range(len(text) - n + 1):
            yield text[i : i + n]


def inner_ngrams(text: str, low: int, high: int) -> Iterator[str]:
    """Yield n-grams of characters that cross no space, each word padded by a space at both ends; a
    padded word shorter than n counts once, whole."""
    for word in text.split():
        padded = f" {word} "
        for n in range(low, high + 1):
            yield padded[:n]
            for i in range(1, len(padded) - n + 1):
                yield padded[i : i + n]
            if n >= len(padded):
                break


def in_lists(ngrams: Iterable[str]) -> Iterator[list[str]]:
    """Yield n-grams in lists of bounded length."""
    rest = iter(ngrams)
    while some := list(islice(rest, _PIECE)):
        yield some
