"""Bring the spec of an older model file to today's names."""

from __future__ import annotations

from typing import Any

__all__ = ["upgraded"]

_KEYS = {
    "neighbours": "n_neighbors",
    "neighbours_by": "neighbors_by",
    "spread_neighbors": "n_neighbors",
    "binarisation": "binarization",
    "teacher": "neighbor_model",
}
"""Arguments, parameters and records that have another name today."""

_NAMES = {
    "vector_quantised": "vector_quantized",
    "VectorQuantisedAutoencoder": "VectorQuantizedAutoencoder",
}
"""Variants and estimators that have another name today."""

_NAMED = ("variant", "estimator")
_PARTS = ("arguments", "parameters", "record", "head")


def upgraded(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a model's spec under today's names; what the user named stays as it is.

    Examples
    --------
    >>> upgraded({"variant": "vector_quantised", "arguments": {"neighbours": 5}})
    {'variant': 'vector_quantized', 'arguments': {'n_neighbors': 5}}
    """
    new = dict(spec)
    for key in _NAMED:
        if isinstance(new.get(key), str):
            new[key] = _NAMES.get(new[key], new[key])
    for key in _PARTS:
        if isinstance(new.get(key), dict):
            new[key] = {_KEYS.get(k, k): v for k, v in new[key].items()}
    if isinstance(new.get("head"), dict):
        new["head"] = upgraded(new["head"])
    if isinstance(new.get("members"), list):
        new["members"] = [upgraded(m) if isinstance(m, dict) else m for m in new["members"]]
    return new
