"""JSON Lines of numbers: each line an array of numbers, or an object of named numbers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from narrows.data.arrays import array_source
from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = ["read_jsonl"]

_MAX_LINE = 64 << 20


def read_jsonl(path: Path) -> Source:
    """Return the table of a JSON Lines file; null is a missing value.

    Raises
    ------
    InvalidData
        With the line number, for bad JSON, ragged rows, other keys, or values that are no numbers.
    """
    names: list[str] | None = None
    rows: list[np.ndarray] = []
    opened = gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb")
    with opened as file:
        line = 0
        while text := file.readline(_MAX_LINE + 1):
            line += 1
            if len(text) > _MAX_LINE:
                raise InvalidData(f"{path}, line {line}: longer than {_MAX_LINE} bytes.")
            if not text.strip():
                continue
            value = _parse(text, path, line)
            if isinstance(value, dict):
                names = names or list(value)
                if set(value) != set(names):
                    raise InvalidData(f"{path}, line {line}: keys differ from the first line's.")
                value = [value[name] for name in names]
            if not isinstance(value, list):
                raise InvalidData(f"{path}, line {line}: expected an array or an object.")
            if rows and len(value) != len(rows[0]):
                raise InvalidData(
                    f"{path}, line {line}: expected {len(rows[0])} numbers, got {len(value)}."
                )
            rows.append(_numbers(value, path, line))
    if not rows:
        raise InvalidData(f"{path}: no rows.")
    source = array_source(np.stack(rows))
    source.names, source.origin = names, str(path)
    return source


def _parse(text: bytes, path: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidData(f"{path}, line {line}: bad JSON: {error}.") from None


def _numbers(values: list[Any], path: Path, line: int) -> np.ndarray:
    for i, value in enumerate(values):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise InvalidData(
                f"{path}, line {line}, item {i}: expected a number, got {value!r:.60}."
            )
    try:
        return np.array([float("nan") if v is None else v for v in values], dtype=np.float64)
    except OverflowError:
        raise InvalidData(f"{path}, line {line}: a number too large for float64.") from None
