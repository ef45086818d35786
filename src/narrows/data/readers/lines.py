"""Read lines of limited length, and JSON in them, from plain or gzipped files."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from narrows.data.readers.kinds import UTF16_MARKS, is_gzipped
from narrows.errors import InvalidData

__all__ = ["DAMAGED_GZIP", "MAX_LINE", "encoding_of", "json_value", "lines", "opened"]

MAX_LINE = 64 << 20
DAMAGED_GZIP = (gzip.BadGzipFile, EOFError, zlib.error)
_GZIP = b"\x1f\x8b"


def opened(path: Path, mode: str, **how: Any) -> Any:
    """Open a file for reading; decompress it if its name ends in .gz.

    Raises
    ------
    InvalidData
        If the file is gzipped but its name does not end in .gz.
    """
    if is_gzipped(path):
        return gzip.open(path, mode, **how)
    with open(path, "rb") as file:
        if file.read(2) == _GZIP:
            raise InvalidData(
                f"{path}: is compressed by gzip, which its name does not say; rename it to "
                f"{path.name}.gz."
            )
    return open(path, mode, **how)


def encoding_of(path: Path) -> str:
    """Return the encoding of a text file: UTF-16 if it has a byte-order mark, else UTF-8."""
    with opened(path, "rb") as file:
        try:
            mark = file.read(2)
        except DAMAGED_GZIP as error:
            raise InvalidData(f"{path}: damaged gzip: {error}.") from None
    return "utf-16" if mark in UTF16_MARKS else "utf-8-sig"


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the non-blank lines, each with its number, counted from 1.

    Raises
    ------
    InvalidData
        With the line number, for a line over ``MAX_LINE`` bytes or a damaged gzip.
    """
    with opened(path, "rb") as file:
        line = 0
        try:
            while text := file.readline(MAX_LINE + 1):
                line += 1
                if len(text) > MAX_LINE:
                    raise InvalidData(f"{path}, line {line}: longer than {MAX_LINE} bytes.")
                if text.strip():
                    yield line, text
        except DAMAGED_GZIP as error:
            raise InvalidData(f"{path}: damaged gzip after line {line}: {error}.") from None


def json_value(text: bytes, path: Path, line: int) -> Any:
    """Return the JSON value of a line; objects with repeated keys are refused.

    Raises
    ------
    InvalidData
        With the line number.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"{path}, line {line}: bad JSON: {error}.") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a key is repeated")
    return value
