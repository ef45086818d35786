"""Cutting a text into words by a regular expression, the usual one by faster means."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from operator import methodcaller

from narrows.text.patterns import check_pattern

__all__ = ["WORDS", "Tokens", "composed", "word_cutter"]

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
