"""Validate the settings of an index, given as arguments or read from a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from narrows.core.checks import check_number
from narrows.errors import ModelFileError, UsageError, unknown_name
from narrows.indexing.kinds import KINDS, choose_kind
from narrows.indexing.protocol import MAX_BITS, check_width

__all__ = ["Settings", "is_whole", "new_settings", "read_settings"]

_MAX_WIDTH = 65_536
_REMOVED_KINDS = ("ivf",)


@dataclass(frozen=True)
class Settings:
    """The settings of an index, which never change after it is created.

    ``metric`` is "hamming" (``width`` in bits) or "cosine" (``width`` in numbers). ``model_path``
    is the path of the model relative to the index, so that a search needs only the index file.
    """

    metric: str
    width: int
    kind: str
    model_digest: str = ""
    vector_width: int = 0
    model_path: str = ""


def new_settings(
    n_bits: int | None,
    n_components: int | None,
    kind: str,
    model_digest: str,
    vector_width: int,
    model_path: str = "",
) -> Settings:
    """Return the settings for these arguments; raise UsageError if a value is invalid."""
    strings = {"kind": kind, "model_digest": model_digest, "model_path": model_path}
    for name, value in strings.items():
        if not isinstance(value, str):
            raise UsageError(f"{name}: must be a text, got {value!r}.")
    check_number("vector_width", vector_width, low=0, high=_MAX_WIDTH, integer=True)
    rest = model_digest, int(vector_width), model_path
    if n_bits is not None and n_components is None:
        check_width(n_bits)
        kind = choose_kind(n_bits) if kind == "auto" else kind
        if kind not in KINDS:
            raise unknown_name("kind of index", kind, [*KINDS, "auto"])
        return Settings("hamming", int(n_bits), kind, *rest)
    if n_components is None or n_bits is not None:
        raise UsageError("Index: give n_bits for binary codes, or n_components for floats.")
    check_number("n_components", n_components, low=1, high=_MAX_WIDTH, integer=True)
    if kind not in ("auto", "flat"):
        raise UsageError(f"kind: an index of floats must be 'flat', got {kind!r}.")
    return Settings("cosine", int(n_components), "flat", *rest)


def read_settings(spec: dict[str, Any]) -> Settings:
    """Return the settings in a file's spec; raise ModelFileError if a value is invalid."""
    known = set(Settings.__dataclass_fields__)
    if set(spec) != known:
        raise ModelFileError(f"the spec must have the fields {', '.join(sorted(known))}.")
    metric, width, kind = spec["metric"], spec["width"], spec["kind"]
    if metric not in ("hamming", "cosine"):
        raise ModelFileError(f"metric: must be 'hamming' or 'cosine', got {metric!r}.")
    limit = MAX_BITS if metric == "hamming" else _MAX_WIDTH
    if not is_whole(width, 1, limit) or (metric == "hamming" and width % 8):
        raise ModelFileError(f"width: {width!r} is invalid for {metric}.")
    if kind in _REMOVED_KINDS:
        raise ModelFileError(
            f"kind: this version does not read indexes of kind {kind!r}; index the data again "
            "with another kind, such as 'hnsw'."
        )
    if not isinstance(kind, str) or kind not in (KINDS if metric == "hamming" else ("flat",)):
        raise ModelFileError(f"kind: {kind!r} is unknown; a later Narrows may know it.")
    for name in ("model_digest", "model_path"):
        if not isinstance(spec[name], str):
            raise ModelFileError(f"{name}: must be a text, got {spec[name]!r}.")
    if not is_whole(spec["vector_width"], 0, _MAX_WIDTH):
        raise ModelFileError(f"vector_width: {spec['vector_width']!r} is invalid.")
    return Settings(**spec)


def is_whole(value: Any, low: int, high: int) -> bool:
    """Return whether a JSON value is a whole number in [low, high]."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
