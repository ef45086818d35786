"""Texts on a terminal: on one line, with nothing in them that a terminal would obey."""

from __future__ import annotations

import unicodedata

__all__ = ["one_line"]


def one_line(text: str, length: int) -> str:
    """Return the beginning of a text in at most ``length`` characters, blanks single.

    Control and format characters, such as escapes and right-to-left overrides, are left out.
    """
    start = " ".join(text[: 4 * length].split())
    kept = "".join(c for c in start if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return kept if len(kept) <= length else kept[: length - 1].rstrip() + "…"
