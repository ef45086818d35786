"""Detect texts in scripts that put no spaces between words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

__all__ = ["UNSPACED_SHARE", "looked_into", "unspaced_share"]

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
