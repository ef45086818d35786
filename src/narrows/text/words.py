"""Cutting a text into words by a regular expression, the usual one by faster means."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from operator import methodcaller
from typing import Any

from narrows.errors import UsageError

__all__ = ["WORDS", "Tokens", "check_pattern", "word_cutter"]

WORDS = r"(?u)\b\w\w+\b"
"""Runs of two or more letters, digits and underscores, as scikit-learn."""

Tokens = Callable[[str], Iterator[list[str]]]

_MAX_PATTERN = 1000
_PIECE = 1 << 20  # characters; a long document's words are never in memory together
_RUN = re.compile(r"\w\w+")  # WORDS without its boundaries: the same words, found faster
_BETWEEN = re.compile(r"\W")
_WORD_BYTES = (string.ascii_letters + string.digits + "_").encode()


def check_pattern(pattern: Any) -> re.Pattern[str]:
    """Return the regular expression of a word, compiled.

    Raises
    ------
    UsageError
        If it is none, is longer than 1,000 characters, or has more than one group.
    """
    if not isinstance(pattern, str) or len(pattern) > _MAX_PATTERN:
        raise UsageError(
            f"token_pattern: must be a regular expression of at most {_MAX_PATTERN} characters, "
            f"got {pattern!r:.60}."
        )
    try:
        compiled = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"token_pattern: no regular expression: {error}, {pattern!r}.") from None
    if compiled.groups > 1:
        raise UsageError(
            f"token_pattern: one group at most, got {compiled.groups} in {pattern!r}; write the "
            "others as (?:...)."
        )
    return compiled


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
        text = unicodedata.normalize("NFC", text)
        if lowercase:
            text = text.lower()  # of the whole text: a sigma's form depends on what follows
        if usual:
            for piece in _pieces(text):
                yield _RUN.findall(piece)
        elif len(text) <= _PIECE:
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
