"""Choose fonts for a figure: the machine's, for letters that matplotlib's own font lacks."""

from __future__ import annotations

import warnings

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.text import Text

from narrows.errors import MissingFontWarning

__all__ = ["set_fonts"]

_OWN = "DejaVu Sans"
_WIDE = (
    "Noto Sans CJK", "Source Han Sans", "WenQuanYi", "Droid Sans Fallback", "IPA", "Noto Sans",
    "Nanum", "Arial Unicode MS", "PingFang", "Hiragino", "Heiti", "Apple SD Gothic", "Microsoft",
    "SimHei", "SimSun", "MS Gothic", "Yu Gothic", "Malgun Gothic", "Leelawadee", "Thonburi",
    "Loma", "Garuda", "Noto Emoji", "Symbola", "Segoe UI",
)  # fmt: skip
"""Prefixes of the names of fonts that cover many scripts."""


def set_fonts(figure: Figure) -> None:
    """Give every text of a figure a font for each of its letters, if the machine has one.

    Warns
    -----
    MissingFontWarning
        If no font has one of the letters; it is drawn as a box.
    """
    texts = figure.findobj(lambda artist: isinstance(artist, Text))
    letters = {c for text in texts for c in text.get_text() if not c.isspace()}  # pyright: ignore[reportAttributeAccessIssue] -- all are texts
    lacking = letters - _letters(font_manager.findfont(_OWN))
    if not lacking:
        return
    families = [_OWN]
    for entry in font_manager.fontManager.ttflist:
        if not lacking:
            break
        if entry.name not in families and entry.name.startswith(_WIDE):
            has = lacking & _letters(entry.fname)
            if has:
                families.append(entry.name)
                lacking -= has
    for text in texts:
        text.set_fontfamily(families)  # pyright: ignore[reportAttributeAccessIssue] -- all are texts
    if lacking:
        shown = "".join(sorted(lacking)[:10])
        warnings.warn(
            f"figure: no font on this machine has the letters {shown!r}, which are drawn as boxes; "
            "install one that has, such as Noto Sans CJK.",
            MissingFontWarning,
            stacklevel=3,
        )


def _letters(path: str) -> set[str]:
    try:
        return {chr(code) for code in font_manager.get_font(path).get_charmap()}
    except (OSError, RuntimeError, ValueError):  # a font that cannot be read has none
        return set()
