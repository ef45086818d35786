"""Parse JSON from untrusted files."""

from __future__ import annotations

import json
import re
from typing import Any

from narrows.errors import ModelFileError

__all__ = ["json_object"]

_MAX_DEPTH = 32
_BRACKET = re.compile(r'[][{}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)
"""A bracket, or a whole string, so that brackets inside of strings are ignored."""


def json_object(data: bytes | str, what: str) -> dict[str, Any]:
    """Return the JSON object in ``data``, which errors call ``what``.

    Raises
    ------
    ModelFileError
        If it is not a JSON object, has a repeated key or NaN, or is nested deeper than 32 brackets.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a key is repeated")
        return dict(pairs)

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        text = data if isinstance(data, str) else data.decode()
        depth = 0
        for token in _BRACKET.finditer(text):
            depth += (token[0] in "[{") - (token[0] in "]}")
            if depth > _MAX_DEPTH:
                raise ModelFileError(f"the {what} is nested too deeply.")
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except ModelFileError:
        raise
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the {what} is not valid JSON: {error}.") from None
    if not isinstance(value, dict):
        raise ModelFileError(f"the {what} is not a JSON object.")
    return value
