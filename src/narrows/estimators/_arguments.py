"""Constructor arguments as JSON values, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from narrows.augmentations import AUGMENTATIONS
from narrows.corruptions import CORRUPTIONS
from narrows.errors import UsageError
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES
from narrows.slots import piece_to_spec

__all__ = ["json_parameters", "known_arguments"]

_PIECES = {
    kind: table
    for table in (AUGMENTATIONS, CORRUPTIONS, LOSSES, PENALTIES)
    for kind in table.values()
}

_NAN = {"float": "nan"}
_PAIRS = "pairs"
"""Key of a dict that is stored as a list of pairs: JSON keys are strings, class labels need not."""


def json_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return constructor arguments as JSON values; a live random state becomes None."""
    return {name: _json(value) for name, value in parameters.items()}


def _json(value: Any) -> Any:
    if type(value) in _PIECES:
        return piece_to_spec(_PIECES[type(value)], value)
    if isinstance(value, np.generic):
        # item() leaves a longdouble as it is
        return _json(float(value) if value.dtype.char == "g" else value.item())
    if isinstance(value, np.ndarray | range):
        return [_json(item) for item in value]
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, set | frozenset) and all(isinstance(item, str) for item in value):
        return sorted(value)
    if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
        return {_PAIRS: [[_json(key), _json(item)] for key, item in value.items()]}
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, np.random.RandomState | np.random.Generator) or value is np.random:
        return None
    if isinstance(value, float) and math.isnan(value):
        return dict(_NAN)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise UsageError(f"{value!r} has no place in a model file; use names and numbers.")


def known_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor from JSON values, which have no tuples and no NaN."""
    arguments = {k: math.nan if v == _NAN else v for k, v in arguments.items()}
    arguments = {
        k: dict(v[_PAIRS]) if isinstance(v, dict) and {*v} == {_PAIRS} else v
        for k, v in arguments.items()
    }
    return {k: tuple(v) if k == "hidden" else v for k, v in arguments.items()}
