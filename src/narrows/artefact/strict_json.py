"""JSON from files that anyone may have written."""

from __future__ import annotations

import json
import re
from typing import Any

from narrows.errors import ModelFileError

__all__ = ["json_object"]

_MAX_DEPTH = 32
_BRACKET = re.compile(r'[][{}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""A bracket, or a whole string, so that the brackets in it are passed over."""


def json_object(data: bytes | str, what: str) -> dict[str, Any]:
    """Return what is written, which must be an object.

    Raises
    ------
    ModelFileError
        If it is none, says ``what``; also for a key that stands twice, NaN, and nesting deeper
        than 32 brackets.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    try:
        text = data if isinstance(data, str) else data.decode()
        depth = 0
        for token in _BRACKET.finditer(text):
            depth += (token[0] in "[{") - (token[0] in "]}")
            if depth > _MAX_DEPTH:
                raise ModelFileError(f"the {what} is nested too deep.")
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the {what} is no valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ModelFileError(f"the {what} is no JSON object.")
    return value
