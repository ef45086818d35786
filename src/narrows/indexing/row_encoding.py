"""Validate names, metadata and vectors of rows, and encode them for an index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import ModelFileError, UsageError
from narrows.indexing.float_index import check_vectors, unit_codes
from narrows.indexing.settings import Settings

__all__ = [
    "VECTOR_DTYPE",
    "check_names",
    "decode_metadata",
    "encode_metadata",
    "encode_names",
    "encode_vectors",
    "next_number",
]

VECTOR_DTYPE = "float16"
_MAX_NAME = 65_535
_DIGITS = 18
_MAX_METADATA = 1 << 20


def check_names(names: Any) -> Sequence[str]:
    """Return names; raise UsageError unless they are unique strings."""
    if isinstance(names, str):
        raise UsageError(f"names: must be a sequence of strings, got the string {names!r}.")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"names: must be strings, got {name!r}.")
        if name in seen:
            raise UsageError(f"names: {name!r} is repeated; every row needs a unique name.")
        seen.add(name)
    return names


def next_number(names: Iterable[str]) -> int:
    """Return the largest number among the names plus 1, or 0 if no name is a number.

    Names of more than 18 digits do not count as numbers.
    """
    numbers = (int(name) for name in names if len(name) <= _DIGITS and name.isdecimal())
    return max(numbers, default=-1) + 1


def encode_names(names: Any, n: int) -> list[bytes]:
    """Return n names encoded in UTF-8.

    Raises
    ------
    UsageError
        If they are not n names, or a name is not a string, is repeated, is empty, is longer than
        65,535 bytes, or contains a lone surrogate.
    """
    names = check_names(names)
    if len(names) != n:
        raise UsageError(f"names: expected one per code, got {len(names)} for {n} codes.")
    encoded = []
    for name in names:
        try:
            data = name.encode()
        except UnicodeEncodeError:
            raise UsageError(f"names: {name!r} cannot be encoded in UTF-8.") from None
        if not 0 < len(data) <= _MAX_NAME:
            raise UsageError(f"names: must have 1 to {_MAX_NAME:,} bytes, got {len(data):,}.")
        encoded.append(data)
    return encoded


def encode_metadata(metadata: Any, n: int) -> list[bytes]:
    """Return the metadata of n rows encoded as JSON, empty for rows without metadata.

    Raises
    ------
    UsageError
        If they are not n, or one is not a dictionary of JSON values of at most 1 MiB.
    """
    if metadata is None:
        return [b""] * n
    if len(metadata) != n:
        raise UsageError(f"metadata: expected one per code, got {len(metadata)} for {n} codes.")
    encoded = []
    for row, values in enumerate(metadata):
        if values is not None and not isinstance(values, dict):
            raise UsageError(f"metadata: row {row} must be a dictionary, got {values!r}.")
        data = _to_json(values, row) if values else b""
        if len(data) > _MAX_METADATA:
            raise UsageError(
                f"metadata: row {row} has {len(data):,} bytes, the limit is {_MAX_METADATA:,}; "
                "store a snippet, not the document."
            )
        encoded.append(data)
    return encoded


def decode_metadata(text: str, name: str) -> dict[str, Any]:
    """Return the metadata of a row; raise ModelFileError if they are not a JSON object."""
    if not text:
        return {}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the metadata of {name!r} are not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise ModelFileError(f"the metadata of {name!r} are not a JSON object.")
    return values


def _to_json(values: dict[str, Any], row: int) -> bytes:
    try:
        text = json.dumps(values, allow_nan=False, ensure_ascii=False)
        try:
            return text.encode()
        except UnicodeEncodeError:  # a lone surrogate survives as an escape
            return json.dumps(values, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"metadata: row {row} cannot be written as JSON: {error}.") from None


def encode_vectors(vectors: Any, n: int, settings: Settings) -> NDArray[Any]:
    """Return vectors (n, vector_width) scaled to length 1, as ``VECTOR_DTYPE``.

    Raises
    ------
    UsageError
        If they are missing, have another shape or are not finite, or the index stores none.
    """
    width = settings.vector_width
    if width == 0 and vectors is not None:
        raise UsageError(
            "vectors: this index stores none to re-rank by; make it with rerank (--rerank), or "
            "create it with vector_width."
        )
    if width == 0:
        return np.empty((n, 0), dtype=VECTOR_DTYPE)
    if vectors is None:
        raise UsageError(f"vectors: this index stores vectors of width {width}; give them.")
    table = check_vectors(vectors, width, "vectors")
    if len(table) != n:
        raise UsageError(f"vectors: expected one per code, got {len(table)} for {n} codes.")
    return unit_codes(table).astype(VECTOR_DTYPE)
