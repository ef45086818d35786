"""Keep finished runs in a JSON Lines file, so that an interrupted measurement continues."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["KEY", "Log"]

KEY = ("use", "set", "size", "seed", "condition", "method")


class Log:
    """Records by line; those with a "method" are runs, the others say what ran them.

    Args:
        path: The file. It is made at the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.runs: dict[tuple, dict[str, Any]] = {}
        self.starts: list[dict[str, Any]] = []
        self._cut = False
        if path.exists():
            text = path.read_text()
            self._cut = bool(text) and not text.endswith("\n")
            for line in text.splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            return  # the end of a line that an interruption cut; the run is repeated
        if "method" in record:
            self.runs[tuple(record[name] for name in KEY)] = record
        else:
            self.starts.append(record)

    def add(self, record: dict[str, Any]) -> None:
        """Append a record, and keep it."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps(_rounded(record), allow_nan=True)
        with self.path.open("a") as file:
            file.write(("\n" if self._cut else "") + line + "\n")
        self._cut = False
        self._take(line)

    def __contains__(self, key: Iterable[Any]) -> bool:
        return tuple(key) in self.runs


def _rounded(value: Any) -> Any:
    """Round to 7 digits: thousands of records with 20 groups each stay small."""
    if isinstance(value, float):
        return float(f"{value:.7g}") if math.isfinite(value) else value
    if isinstance(value, dict):
        return {name: _rounded(held) for name, held in value.items()}
    return [_rounded(held) for held in value] if isinstance(value, (list, tuple)) else value
