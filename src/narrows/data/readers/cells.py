"""Parse the cells of text tables: numbers, booleans and missing values."""

from __future__ import annotations

import math
import re
from pathlib import Path

from narrows.data.readers.csv_rows import DECIMAL_COMMA
from narrows.errors import InvalidData

__all__ = ["as_number", "is_missing", "is_number", "is_text", "number", "with_commas"]

_THOUSANDS = re.compile(r"\s*[-+]?\d{1,3}(,\d{3})+(\.\d+)?\s*")
_MISSING = {"", "na", "nan", "null", "none", "?"}
_BOOLEANS = {"true": 1.0, "false": 0.0}


def number(text: str, path: Path, line: int, column: str) -> float:
    """Return the number in a cell, NaN for the usual words for a missing value.

    Raises
    ------
    InvalidData
        If it is not a number, naming the line and the column.
    """
    value = as_number(text)
    if value is None:
        hint = ""
        if _THOUSANDS.fullmatch(text):
            hint = (
                " Thousands separators are not read: leave the commas out; if it is a decimal "
                "comma, write a point."
            )
        elif DECIMAL_COMMA.fullmatch(text):
            hint = " Decimal commas are not read; write points."
        raise InvalidData(
            f"{path}, line {line}, column {column}: expected a number, got {text[:40]!r}.{hint}"
        )
    return value


def as_number(text: str) -> float | None:
    """Return a cell as a number: 1 for true, 0 for false, NaN for no value, None for text."""
    try:
        return float(text) if "_" not in text else None  # only Python reads 1_0 as ten
    except ValueError:
        word = text.strip().lower()
        return float("nan") if word in _MISSING else _BOOLEANS.get(word)


def is_text(text: str) -> bool:
    """Return whether a cell is neither a number nor a word for a missing value."""
    return as_number(text) is None


def is_number(text: str) -> bool:
    """Return whether a string is a number other than NaN; true and false are not."""
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def is_missing(text: str) -> bool:
    """Return whether a cell is empty or a word for a missing value."""
    return text.strip().lower() in _MISSING


def with_commas(text: str) -> bool:
    """Return whether a cell is a number with commas, which are not supported."""
    return bool(DECIMAL_COMMA.fullmatch(text) or _THOUSANDS.fullmatch(text))
