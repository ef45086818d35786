"""Write a figure to a file, in fonts that have all of its letters."""

from __future__ import annotations

import warnings
from pathlib import Path

from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from narrows.errors import MissingFontWarning, ResourceError, UsageError, warn

__all__ = ["check_figure_name", "save_figure", "set_fonts"]

_OWN = "DejaVu Sans"
_WIDE = (
    "Noto Sans CJK", "Source Han Sans", "WenQuanYi", "Droid Sans Fallback", "IPA", "Noto Sans",
    "Nanum", "Arial Unicode MS", "PingFang", "Hiragino", "Heiti", "Apple SD Gothic", "Microsoft",
    "SimHei", "SimSun", "MS Gothic", "Yu Gothic", "Malgun Gothic", "Leelawadee", "Thonburi",
    "Loma", "Garuda", "Noto Emoji", "Symbola", "Segoe UI",
)  # fmt: skip
"""Prefixes of the names of fonts that cover many scripts."""


def check_figure_name(path: Path) -> None:
    """Raise UsageError if matplotlib cannot write files with this suffix."""
    kinds = FigureCanvasAgg(Figure()).get_supported_filetypes()
    if path.suffix.lstrip(".").lower() not in kinds:
        raise UsageError(f"{path}: figures are written as {', '.join(sorted(kinds))}.")


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its suffix, in fonts that have all of its letters.

    Raises
    ------
    ResourceError
        If it cannot be written, or matplotlib does not know the suffix.
    """
    set_fonts(figure)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")  # set_fonts warns of it
            figure.savefig(path)
    except (OSError, ValueError, RuntimeError) as error:
        raise ResourceError(f"{path}: cannot be written: {error}.") from error


def set_fonts(figure: Figure) -> None:
    """Set fonts that together have all letters of a figure, if the machine has them.

    Warns
    -----
    MissingFontWarning
        If no font has one of the letters, which is then drawn as a box.
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
        warn(
            f"figure: no font on this machine has the letters {shown!r}, which are drawn as boxes; "
            "install one that has them, such as Noto Sans CJK.",
            MissingFontWarning,
        )


def _letters(path: str) -> set[str]:
    try:
        return {chr(code) for code in font_manager.get_font(path).get_charmap()}
    except (OSError, RuntimeError, ValueError):  # the font cannot be read
        return set()
