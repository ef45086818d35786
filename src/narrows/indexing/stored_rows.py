"""What an index keeps beside the codes: names, metadata and vectors."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from narrows.errors import ModelFileError, UsageError
from narrows.indexing.float_index import check_vectors, unit_rows
from narrows.indexing.settings import Settings

__all__ = [
    "by_cosine",
    "check_beside",
    "check_names",
    "decode_metadata",
    "encode_metadata",
    "encode_names",
    "next_number",
]

_MAX_NAME = 65_535
_DIGITS = 18
_MAX_METADATA = 1 << 20


def check_names(names: Any) -> Sequence[str]:
    """Return names if they are unique texts; UsageError otherwise, naming the first that is not."""
    if isinstance(names, str):
        raise UsageError(f"names: must be a sequence of texts, got the text {names!r}.")
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise UsageError(f"names: must be texts, got {name!r}.")
        if name in seen:
            raise UsageError(f"names: {name!r} stands twice; every row has a name of its own.")
        seen.add(name)
    return names


def next_number(names: Iterable[str]) -> int:
    """Return the number after the largest that is a name, 0 if none is; those of over 18 digits are
    no numbers."""
    numbers = (int(name) for name in names if len(name) <= _DIGITS and name.isdecimal())
    return max(numbers, default=-1) + 1


def encode_names(names: Any, n: int) -> list[bytes]:
    """Return n names as UTF-8.

    Raises
    ------
    UsageError
        If they are not n, or one is no text, stands twice, is empty, is longer than 65,535
        bytes, or has a lone surrogate.
    """
    names = check_names(names)
    if len(names) != n:
        raise UsageError(f"names: must be as many as codes, got {len(names)} for {n}.")
    encoded = []
    for name in names:
        try:
            data = name.encode()
        except UnicodeEncodeError:
            raise UsageError(f"names: {name!r} is no text that UTF-8 can hold.") from None
        if not 0 < len(data) <= _MAX_NAME:
            raise UsageError(f"names: must have 1 to {_MAX_NAME:,} bytes, got {len(data):,}.")
        encoded.append(data)
    return encoded


def encode_metadata(metadata: Any, n: int) -> list[bytes]:
    """Return n rows of JSON, empty where there is nothing.

    Raises
    ------
    UsageError
        If they are not n, or one is no dictionary of JSON values of 1 MiB at most.
    """
    if metadata is None:
        return [b""] * n
    if len(metadata) != n:
        raise UsageError(f"metadata: must be as many as codes, got {len(metadata)} for {n}.")
    encoded = []
    for row, values in enumerate(metadata):
        if values is not None and not isinstance(values, dict):
            raise UsageError(f"metadata: row {row} must be a dictionary, got {values!r}.")
        data = _to_json(values, row) if values else b""
        if len(data) > _MAX_METADATA:
            raise UsageError(
                f"metadata: row {row} has {len(data):,} bytes, at most {_MAX_METADATA:,}; "
                "keep a snippet, not the document."
            )
        encoded.append(data)
    return encoded


def decode_metadata(text: str, name: str) -> dict[str, Any]:
    """Return the values of a row; ModelFileError if what is kept is no JSON object."""
    if not text:
        return {}
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"the metadata of {name!r} are no JSON: {error}.") from None
    if not isinstance(values, dict):
        raise ModelFileError(f"the metadata of {name!r} are no JSON object.")
    return values


def _to_json(values: dict[str, Any], row: int) -> bytes:
    try:
        text = json.dumps(values, allow_nan=False, ensure_ascii=False)
        try:
            return text.encode()
        except UnicodeEncodeError:  # a lone surrogate: escaped, it comes back as it was
            return json.dumps(values, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"metadata: row {row} has what JSON cannot hold: {error}.") from None


def check_beside(vectors: Any, n: int, settings: Settings) -> NDArray[Any]:
    """Return vectors (n, vector_width) of length 1 in the dtype that is kept.

    Raises
    ------
    UsageError
        If they are missing, of another shape, not finite, or the index keeps none.
    """
    width, dtype = settings.vector_width, settings.vector_dtype
    if width == 0 and vectors is not None:
        raise UsageError(
            "vectors: this index keeps none to re-rank by; make it with rerank (--rerank), or "
            "create it with vector_width."
        )
    if width == 0:
        return np.empty((n, 0), dtype=dtype)
    if vectors is None:
        raise UsageError(f"vectors: this index keeps {width} numbers a row; give them.")
    table = check_vectors(vectors, width, "vectors")
    if len(table) != n:
        raise UsageError(f"vectors: must be as many as codes, got {len(table)} for {n}.")
    return unit_rows(table).astype(dtype)


def by_cosine(
    query: NDArray[Any], vectors: NDArray[Any], distances: NDArray[Any]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the order of ``vectors`` (n, width) by (cosine, distance, place), and the cosines.

    Sums are made row by row in float64, so equal vectors are tied, whatever stands beside them.
    """
    cosines = (vectors.astype(np.float64) * query.astype(np.float64)).sum(axis=1)
    return np.lexsort((np.arange(len(cosines)), distances, -cosines)), cosines
