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
    "first_texts",
    "unspaced_share",
    "word_splitter",
    "word_ngrams",
]

WORDS = r"(?u)\b\w\w+\b"
"""Runs of two or more letters, digits and underscores, as in scikit-learn."""

Tokens = Callable[[str], Iterator[list[str]]]

_PIECE = 1 << 20  # characters; limits the words of a long document in memory
_RUN = re.compile(r"\w\w+")  # finds the same words as WORDS, but faster
_BETWEEN = re.compile(r"\W")
_LONG = re.compile(r"\S{1000}(?=\S)")  # longer than any word: split, to bound the length of matches
_WORD_BYTES = (string.ascii_letters + string.digits + "_").encode()


def composed(text: str, *, lowercase: bool) -> str:
    """Return a text in composed form (NFC), optionally in lower case."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    # lowercase the whole text: the form of a sigma depends on what follows
    return text.lower() if lowercase else text


def word_splitter(pattern: str, *, lowercase: bool) -> Tokens:
    """Return a function from a text to lists of its words, in composed form (NFC).

    For ``WORDS``, ASCII text is split with a table of bytes, 4 times as fast as with the regular
    expression; the result then includes words of one letter.

    Raises
    ------
    UsageError
        See ``check_pattern``.
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
    """Return the table of 256 bytes that replaces all characters between words by spaces."""
    kept = (chr(byte) if byte in _WORD_BYTES else " " for byte in range(256))
    return "".join(map(methodcaller("lower"), kept) if lowercase else kept).encode("ascii")


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces of about ``_PIECE`` characters, split between words."""
    start = 0
    while len(text) - start > _PIECE:
        between = _BETWEEN.search(text, start + _PIECE)
        if between is None:
            break
        yield text[start : between.start()]
        start = between.start()
    yield text[start:] if start else text


_MOST = 10
_AT_ONCE = 1 << 16  # limits the n-grams of a long document in memory
_SPACES = re.compile(r"\s\s+")


def check_range(ngram_range: Any) -> tuple[int, int]:
    """Return the least and greatest n; raise UsageError unless 1 <= least <= greatest <= 10."""
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
    """Yield n-grams of words, joined by spaces, for each n."""
    for n in range(low, high + 1):
        for i in range(len(words) - n + 1):
            yield " ".join(words[i : i + n])


def character_ngrams(text: str, low: int, high: int) -> Iterator[str]:
    """Yield n-grams of characters for each n; repeated spaces count as one."""
    text = _SPACES.sub(" ", text)
    for n in range(low, min(high, len(text)) + 1):
        for i in range(len(text) - n + 1):
            yield text[i : i + n]


def inner_ngrams(text: str, low: int, high: int) -> Iterator[str]:
    """Yield n-grams of characters inside of words, which are padded by a space at both ends.

    A padded word shorter than n is yielded once, as a whole.
    """
    for word in text.split():
        padded = f" {word} "
        for n in range(low, high + 1):
            yield padded[:n]
            for i in range(1, len(padded) - n + 1):
                yield padded[i : i + n]
            if n >= len(padded):
                break


def in_lists(ngrams: Iterable[str]) -> Iterator[list[str]]:
    """Yield n-grams in lists of limited length."""
    rest = iter(ngrams)
    while some := list(islice(rest, _AT_ONCE)):
        yield some


UNSPACED_SHARE = 0.2
"""Texts are read by characters if at least this share of non-space characters is unspaced."""

_DOCUMENTS, _CHARACTERS = 1000, 200_000

# Thai, Lao, Myanmar, Khmer, kana, Han with its extensions, and their further blocks
_UNSPACED = re.compile(
    "[\u0e01-\u0e3a\u0e40-\u0eff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff\u3005-\u3007\u3041-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f\uf900-\ufaff\uff66-\uff9d"
    "\U00020000-\U0003ffff]"
)


def first_texts(texts: Iterable[str]) -> tuple[list[str], Iterator[str]]:
    """Return the first texts, up to 1,000 or 200,000 characters, and an iterator of all texts."""
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
    """Return the share of letters of unspaced scripts among all non-space characters.

    These scripts are Chinese, Japanese, Thai, Lao, Khmer and Burmese.
    """
    unspaced = total = 0
    for text in texts:
        text = text[:_CHARACTERS]
        if not text.isascii():
            unspaced += len(_UNSPACED.findall(text))
        total += sum(map(len, text.split()))
    return unspaced / max(total, 1)
