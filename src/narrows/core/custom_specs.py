"""Name user-defined pieces in model files, and find them again among the pieces given to ``load``.

A file names the class of a piece, ``module:class``, and its arguments: the fields of a dataclass,
or what ``to_spec`` returns. Of other pieces it keeps the public attributes, to distinguish
instances of one class. Nothing that a file names is ever imported.
"""

from __future__ import annotations

import hashlib
import inspect
import math
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from torch import nn

from narrows.errors import ModelFileError, UsageError

__all__ = ["SLOTS", "is_custom_spec", "json_pieces", "with_pieces"]

SLOTS = ("augmentation", "corruption", "decoder", "encoder", "loss", "penalties")
"""The parameters that may hold pieces."""

_MODULE_STATE = ("training",)
"""Public attributes of every nn.Module, which are not the user's."""


def is_custom_spec(value: Any) -> bool:
    """Return whether a JSON value names a user's piece."""
    return isinstance(value, Mapping) and ":" in str(value.get("name", ""))


def json_pieces(
    parameters: Mapping[str, Any], *, strict: bool = True, qualified: bool = True
) -> dict[str, Any]:
    """Return parameters in which users' pieces are replaced by their specs.

    ``strict`` refuses pieces that a file cannot name. Without ``qualified``, a name is that of
    the class alone, since the class may be in another module in another program.

    Raises
    ------
    UsageError
    """

    def to_json(value: Any) -> Any:
        if value is None or isinstance(value, str | int | float | bool | Mapping):
            return value
        spec = _spec_of(value, strict=strict)
        return spec if qualified else {**spec, "name": spec["name"].rpartition(":")[2]}

    return _in_slots(parameters, to_json)


def with_pieces(spec: Mapping[str, Any], pieces: Any) -> dict[str, Any]:
    """Return a model file's spec in which specs of users' pieces are replaced by pieces.

    Parameters
    ----------
    pieces : sequence of classes, functions or instances, a single one, or None

    Raises
    ------
    ModelFileError
        If a piece was not given, or cannot be constructed from its arguments.
    """
    if pieces is None:
        given = []
    elif isinstance(pieces, Iterable) and not isinstance(pieces, nn.Module | type):
        given = list(pieces)
    else:
        given = [pieces]
    return _rebuilt(spec, given)


def _rebuilt(spec: Mapping[str, Any], given: list[Any]) -> dict[str, Any]:
    def piece(value: Any) -> Any:
        return _piece_of(value, given) if is_custom_spec(value) else value

    new = dict(spec)
    for part in ("parameters", "arguments"):
        if isinstance(new.get(part), dict):
            new[part] = _in_slots(new[part], piece)
    if isinstance(new.get("head"), dict):
        new["head"] = _rebuilt(new["head"], given)
    if isinstance(new.get("members"), list):
        new["members"] = [_rebuilt(m, given) if isinstance(m, dict) else m for m in new["members"]]
    return new


def _in_slots(parameters: Mapping[str, Any], change: Any) -> dict[str, Any]:
    """Return parameters in which the values of slots are changed, one by one in sequences."""
    found = dict(parameters)
    for slot in SLOTS:
        value = found.get(slot)
        if isinstance(value, list | tuple):
            found[slot] = [change(item) for item in value]
        elif slot in found:
            found[slot] = change(value)
    return found


def _spec_of(piece: Any, *, strict: bool) -> dict[str, Any]:
    """Return the name of a user's piece with its arguments or its public attributes, as JSON."""
    kind = _kind(piece)
    name = f"{kind.__module__}:{kind.__qualname__}"
    unnamed = inspect.isroutine(piece) or type(piece).__module__ == "functools"
    if strict and ("<" in name or (unnamed and kind is not piece)):
        raise UsageError(
            f"save: {kind.__qualname__} has no name to find it by: it is a lambda, bound method or "
            "partial, or defined inside a function; define it at the top level of a module."
        )
    values = _arguments(piece)
    if values is None:
        return {"name": name, **_state(piece)} if kind is not piece else {"name": name}
    arguments = {}
    for key, value in values.items():
        try:
            arguments[key] = _to_json(value)
        except TypeError:
            if strict:
                raise UsageError(
                    f"save: {kind.__qualname__}.{key} is {value!r}, not a JSON value; keep "
                    "numbers, texts and lists as fields, or define to_spec()."
                ) from None
            arguments[key] = repr(value)
    return {"name": name, "arguments": arguments}


def _kind(piece: Any) -> Any:
    """Return the object that names a piece: a function or class itself, or an instance's class."""
    return piece if inspect.isfunction(piece) or isinstance(piece, type) else type(piece)


def _arguments(piece: Any) -> dict[str, Any] | None:
    """Return the constructor arguments that a piece declares; None if it declares none."""
    to_spec = getattr(piece, "to_spec", None)
    if to_spec is not None:
        return dict(to_spec())
    if is_dataclass(piece):
        return {f.name: getattr(piece, f.name) for f in fields(piece) if f.init}
    return None


def _state(piece: Any) -> dict[str, Any]:
    """Return the public attributes of a piece that are JSON values, and a module's structure."""
    state = {}
    for key, value in sorted(getattr(piece, "__dict__", {}).items()):
        if not key.startswith("_") and key not in _MODULE_STATE:
            try:
                state[key] = _to_json(value)
            except TypeError:
                continue
    if not isinstance(piece, nn.Module):
        return {"state": state}
    parts = [(name, type(part).__qualname__) for name, part in piece.named_modules()]
    shapes = [(name, tuple(value.shape)) for name, value in piece.state_dict().items()]
    structure = str([*parts, *shapes])
    return {"state": state, "structure": hashlib.sha256(structure.encode()).hexdigest()[:16]}


def _to_json(value: Any) -> Any:
    """Return a value as JSON; tuples, dicts, and numbers that are not finite are marked."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [_to_json(item) for item in value]}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {"dict": {key: _to_json(item) for key, item in value.items()}}
    raise TypeError(f"{value!r} is not a JSON value")


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "float" in value:
        return float(value["float"])
    if "tuple" in value:
        return tuple(_from_json(item) for item in value["tuple"])
    return {key: _from_json(item) for key, item in value["dict"].items()}


def _piece_of(spec: Mapping[str, Any], given: list[Any]) -> Any:
    """Return the piece that a spec names, of the classes, functions and instances given."""
    name = str(spec["name"])
    short = name.rpartition(":")[2]
    kinds = [(piece, _kind(piece)) for piece in given]
    found = [p for p, kind in kinds if f"{kind.__module__}:{kind.__qualname__}" == name]
    found = found or [p for p, kind in kinds if kind.__qualname__ == short]
    if not found:
        raise ModelFileError(
            f"holds a piece of your own, {name}; load it in Python, with the piece: "
            f"load(path, pieces=[{short}])."
        )
    wanted = {key: value for key, value in spec.items() if key != "name"}
    differences = []
    for piece in found:
        if inspect.isfunction(piece):
            return piece
        if isinstance(piece, type):
            piece = _made(piece, short, wanted)
            if "arguments" in wanted:
                return piece
        own = {key: v for key, v in _spec_of(piece, strict=False).items() if key != "name"}
        if own == wanted:
            return piece
        differences.append(_difference(wanted, own))
    raise ModelFileError(
        f"no {short} in pieces matches the file: {'; '.join(differences)}; give one that does: "
        f"load(path, pieces=[{short}(...)])."
    )


def _made(kind: Any, short: str, wanted: Mapping[str, Any]) -> Any:
    """Return an instance made from the file's arguments, or without any if it stores none."""
    arguments = {key: _from_json(value) for key, value in wanted.get("arguments", {}).items()}
    try:
        return kind(**arguments)
    except Exception as error:
        raise ModelFileError(
            f"{short}: {error}; give an instance: load(path, pieces=[{short}(...)])."
        ) from None


def _difference(wanted: Mapping[str, Any], own: Mapping[str, Any]) -> str:
    """Describe the first difference between a spec in a file and that of an instance."""
    for part in ("arguments", "state"):
        there, here = wanted.get(part, {}), own.get(part, {})
        for key in sorted({*there, *here}):
            if there.get(key) != here.get(key):
                return f"{key} is {there.get(key)!r} in the file and {here.get(key)!r} here"
    return "its layers differ"
