"""Fit names, texts and legends into the space that a figure has for them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

__all__ = ["fitting", "fitting_legend", "shortened", "text_width", "wrapped"]

_HANDLE = 4.8
"""Width of the line before a name in a legend, with the gaps around both, in letter sizes."""

_FRAME = 0.3
"""Width of the frame of a legend, in inches."""


def text_width(text: str, size: float) -> float:
    """Return the width in inches of the widest line of a text, at a size in points."""
    lines = [line for line in text.split("\n") if line.strip()]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")  # boxes have the same width
        return max((TextPath((0, 0), line, size=size).get_extents().width / 72 for line in lines),
                   default=0.0)  # fmt: skip


def shortened(name: str, longest: int) -> str:
    """Return a name of at most ``longest`` characters, as text and not as mathematics.

    It is cut in the middle, since names often differ in their last letters.
    """
    if len(name) > longest:
        name = f"{name[: longest - longest // 2]}…{name[len(name) - longest // 2 + 1 :]}"
    return _plain(name)


def fitting(name: str, size: float, inches: float) -> str:
    """Return a name whose lines are at most ``inches`` wide at a size in points, as text and not as
    mathematics.

    Lines are cut in the middle, since names often differ in their last letters.
    """
    return "\n".join(_cut(line, size, inches) for line in name.split("\n"))


def wrapped(text: str, size: float, inches: float) -> str:
    """Return a text broken into lines of at most ``inches`` at a size in points.

    Lines break between words; a word that is too wide itself is cut in the middle.
    """
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(_plain(longer), size) <= inches:
            lines[-1] = longer
        else:
            lines.append(word)
    return fitting("\n".join(lines), size, inches)


def _cut(line: str, size: float, inches: float) -> str:
    short, kept = line, len(line)
    while kept > 1 and (wide := text_width(_plain(short), size)) > inches:
        kept = min(kept - 1, max(1, int(kept * inches / wide)))
        start, end = line[: kept - kept // 2], line[len(line) - kept // 2 :]
        short = f"{start.rstrip(' .')}…{end.lstrip(' .')}"
    return _plain(short)


def _plain(text: str) -> str:
    return text.replace("$", r"\$")


def fitting_legend(
    figure: Figure, handles: Sequence[Any], *, loc: str, size: float = 8, **more: Any
) -> int:
    """Draw a legend outside the axes, with as many columns as fit into the figure.

    Return the number of its lines.
    """
    widest = max(text_width(handle.get_label(), size) for handle in handles)
    room = (figure.get_figwidth() - _FRAME) / (widest + _HANDLE * size / 72)
    columns = max(1, min(len(handles), int(room)))
    figure.legend(handles=list(handles), loc=loc, ncols=columns, fontsize=size, **more)  # pyright: ignore[reportArgumentType, reportCallIssue] -- matplotlib's list of places lacks those outside
    return -(-len(handles) // columns)
