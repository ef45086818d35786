"""Bring the spec of an older model file to today's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from narrows.errors import ModelFileError

__all__ = ["fingerprinted", "upgraded"]

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

    Raises
    ------
    ModelFileError
        If the model was trained with the penalty ``balance``, which no longer exists.

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
        values: Any = new.get(key)
        if isinstance(values, dict):
            new[key] = _without_balance(
                {_KEYS[k] if k in _KEYS else k: v for k, v in values.items()}
            )
    if isinstance(new.get("head"), dict):
        new["head"] = upgraded(new["head"])
    if isinstance(new.get("members"), list):
        new["members"] = [upgraded(m) if isinstance(m, dict) else m for m in new["members"]]
    return new


def _without_balance(values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop a ``balance`` of 0, the default that hashers had; refuse any other, and the penalty."""
    weights = [values["balance"]] if "balance" in values else []
    penalties = values.get("penalties")
    for spec in penalties if isinstance(penalties, list) else ():
        name = spec.get("name") if isinstance(spec, Mapping) else str(spec).partition(":")[0]
        if name == "balance":
            weights.append(spec)
    for weight in weights:
        if weight != 0:
            raise ModelFileError(
                f"balance: the model was trained with this penalty ({weight!r}), which no longer "
                "exists; train a new one without it."
            )
    return {key: value for key, value in values.items() if key != "balance"}


def fingerprinted(variant: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return variant and parameters as the first version wrote them.

    Fingerprints are taken of these, so that an index made then still belongs to its model.

    Examples
    --------
    >>> fingerprinted("hashing", {"binarization": "noise"})
    ('hashing', {'binarisation': 'noise', 'balance': 0.0})
    """
    named_then = {"binarization": "binarisation"}
    then = {named_then.get(key, key): value for key, value in parameters.items()}
    if variant == "hashing":
        then["balance"] = 0.0
    return "vector_quantised" if variant == "vector_quantized" else variant, then
