"""Read JSON Lines of numbers: arrays of numbers, or objects of named numbers."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any

import numpy as np

from narrows.data.array_sources import array_source
from narrows.data.memory import check_memory
from narrows.data.readers.columns import Columns, LabelsAndIds
from narrows.data.readers.lines import json_value, lines
from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = ["read_jsonl"]


def read_jsonl(path: Path, columns: Columns = Columns()) -> Source:  # noqa: B008 -- frozen
    """Return the table in a JSON Lines file; null is a missing value, true is 1, false is 0.

    Raises
    ------
    InvalidData
        With the line number, for invalid JSON, rows of different lengths, different keys, or values
        that are not numbers; also if one of ``columns`` does not exist.
    """
    names: list[str] | None = None
    kept: list[str] = []
    values, numbers = array("d"), array("q")
    labels_and_ids = LabelsAndIds(columns, str(path), "line")
    n_rows = width = 0
    for line, text in lines(path):
        row = json_value(text, path, line)
        if not n_rows and isinstance(row, dict):
            names = list(row)
        if not n_rows:
            places = columns.features(names, str(path)) if columns else range(len(names or ()))
            kept = [names[i] for i in places] if names else []
        if isinstance(row, dict) and names is not None:
            if row.keys() != set(names):
                raise InvalidData(f"{path}, line {line}: keys differ from the first line's.")
            labels_and_ids.add(row, line)
            row = [row[name] for name in kept]
        elif not isinstance(row, list) or names is not None:
            kind = "an array or an object" if not n_rows else "an object" if names else "an array"
            raise InvalidData(f"{path}, line {line}: expected {kind}.")
        width = width or len(row)
        if not row or len(row) != width:
            raise InvalidData(f"{path}, line {line}: expected {width} numbers, got {len(row)}.")
        values.extend(_numbers(row, kept, path, line))
        n_rows += 1
        numbers.append(line)
        check_memory(n_rows, width, np.dtype(np.float64), str(path), stream=False)
    if not n_rows:
        raise InvalidData(f"{path}: no rows: the file is empty.")
    source = array_source(np.frombuffer(values).reshape(n_rows, width))
    source.names, source.origin = kept or None, str(path)
    source.lines = np.frombuffer(numbers, dtype=np.int64)
    return labels_and_ids.apply_to(source)


def _numbers(values: list[Any], names: list[str], path: Path, line: int) -> array[float]:
    for i, value in enumerate(values):
        if value is not None and not isinstance(value, int | float):  # a bool is an int
            where = f"key {names[i]!r}" if names else f"item {i}"
            raise InvalidData(
                f"{path}, line {line}, {where}: expected a number, got {value!r:.60}."
            )
    try:
        return array("d", [float("nan") if v is None else v for v in values])
    except OverflowError:
        raise InvalidData(f"{path}, line {line}: a number too large for float64.") from None
