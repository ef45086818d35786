"""Split texts into words and n-grams, and detect scripts without spaces."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import methodcaller
from typing import Any

import numpy as np

from narrows.core.checks import check_number
from narrows.errors import UsageError
from narrows.text.patterns import check_pattern

__all__ = [
    "UNSPACED_SHARE",
    "WORDS",
    "Tokens",
    "character_ngrams",
    "check_range",
    "composed",
    "in_lists",
    "inner_ngrams",
    "looked_into",
    "unspaced_share",
    "word_cutter",
    "word_ngrams",
]

WORDS = r"(?u)\b\w\w+\b"
"""Runs of two or more letters, digits and underscores, as scikit-learn."""

Tokens = Callable[[str], Iterator[list[str]]]

_PIECE = 1 << 20  # characters; a long document's words are never in memory together
_RUN = re.compile(r"\w\w+")  # WORDS without its boundaries: the same words, found faster
_BETWEEN = re.compile(r"\W")
_LONG = re.compile(r"\S{1000}(?=\S)")  # longer than any word: cut, so that a match comes to an end
_WORD_BYTES = (string.ascii_letters + string.digits + "_").encode()


def composed(text: str, *, lowercase: bool) -> str:
    """Return a text in composed form (NFC), and in lower case where asked."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    # of the whole text: a sigma's form depends on what follows
    return text.lower() if lowercase else text


def word_cutter(pattern: str, *, lowercase: bool) -> Tokens:
    """Return a function from a text to its words, brought to composed form (NFC), in lists.

    By ``WORDS`` a text of ASCII alone is cut with a table of bytes, 4 times as fast as with the
    regular expression; words of one letter are among them then.

    Raises
    ------
    UsageError
        If the pattern cannot be.
    """
    compiled = check_pattern(pattern)
    usual = pattern == WORDS
    table = _ascii_table(lowercase)

    def tokens(text: str) -> Iterator[list[str]]:
        if text.isascii() and usual:
            for piece in _pieces(text):
                yield piece.encode("ascii").translate(table).decode("ascii").split()
            return
        text = composed(text, lowercase=lowercase)
        if usual:
            for piece in _pieces(text):
                yield _RUN.findall(piece)
            return
        text = _LONG.sub(r"\g<0> ", text)
        if len(text) <= _PIECE:
            yield compiled.findall(text)
        else:
            for match in compiled.finditer(text):
                yield [match[compiled.groups] or ""]

    return tokens


def _ascii_table(lowercase: bool) -> bytes:
    """Return the table of 256 bytes that makes everything but words a space."""
    kept = (chr(byte) if byte in _WORD_BYTES else " " for byte in range(256))
    return "".join(map(methodcaller("lower"), kept) if lowercase else kept).encode("ascii")


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of about ``_PIECE`` characters, cut between words only."""
    start = 0
    while len(text) - start > _PIECE:
        between = _BETWEEN.search(text, start + _PIECE)
        if between is None:
            break
        yield text[start : between.start()]
        start = between.start()
    yield text[start:] if start else text


_MOST = 10
_AT_ONCE = 1 << 16  # n-grams of a long document are never in memory together
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
    while some := list(islice(rest, _AT_ONCE)):
        yield some


UNSPACED_SHARE = 0.2
"""From this share of such characters on, among all but spaces, texts are read by characters."""

_DOCUMENTS, _CHARACTERS = 1000, 200_000

# Thai, Lao, Myanmar, Khmer, kana, Han with its extensions, and their further blocks
_UNSPACED = re.compile(
    "[\u0e01-\u0e3a\u0e40-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\u3005-\u3007\u3041-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9d"
    "\U00020000-\U0003ffff]"
)


def looked_into(texts: Iterable[str]) -> tuple[list[str], Iterator[str]]:
    """Return the first texts, at most 1,000 or some 200,000 characters, and an iterator of all."""
    rest = iter(texts)
    first: list[str] = []
    characters = 0
    for text in rest:
        first.append(text)
        characters += len(text)
        if len(first) == _DOCUMENTS or characters >= _CHARACTERS:
            break
    return first, chain(first, rest)


def unspaced_share(texts: Iterable[str]) -> float:
    """Return the share of letters of scripts without spaces (Chinese, Japanese, Thai, Lao, Khmer,
    Burmese) among all characters that are no space."""
    unspaced = total = 0
    for text in texts:
        text = text[:_CHARACTERS]
        if not text.isascii():
            unspaced += len(_UNSPACED.findall(text))
        total += sum(map(len, text.split()))
    return unspaced / max(total, 1)
