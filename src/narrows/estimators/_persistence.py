"""Constructor arguments as JSON, and a model file back to a fitted estimator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from narrows.artefact import read_artefact
from narrows.augmentations import AUGMENTATIONS
from narrows.corruptions import CORRUPTIONS
from narrows.errors import ModelFileError, UsageError
from narrows.losses import LOSSES
from narrows.model import Model
from narrows.penalties import PENALTIES
from narrows.slots import piece_to_spec

__all__ = ["estimator_from_file", "json_parameters"]

_PIECES = {
    kind: table
    for table in (AUGMENTATIONS, CORRUPTIONS, LOSSES, PENALTIES)
    for kind in table.values()
}


def json_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return constructor arguments as JSON values; a live random state becomes None."""
    return {name: _json(value) for name, value in parameters.items()}


def _json(value: Any) -> Any:
    if type(value) in _PIECES:
        return piece_to_spec(_PIECES[type(value)], value)
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | range):
        return [_json(item) for item in value]
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, np.random.RandomState | np.random.Generator) or value is np.random:
        return None
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise UsageError(f"{value!r} has no place in a model file; use names and numbers.")


def estimator_from_file(path: str | Path, classes: Mapping[str, type]) -> Any:
    """Return the fitted estimator of a model file.

    Raises
    ------
    ModelFileError
        If the file is damaged, foreign, or its parts do not fit each other.
    """
    artefact = read_artefact(path, kind="model")
    spec = artefact.spec
    try:
        cls = classes.get(spec.get("estimator", ""))
        if cls is None:
            raise ModelFileError(f"unknown estimator {spec.get('estimator')!r}.")
        model = Model.from_artefact(artefact)
        arguments = spec["arguments"]
        if "hidden" in arguments:
            arguments["hidden"] = tuple(arguments["hidden"])
        estimator = cls(**arguments)
        estimator._restore(model, spec, artefact.tensors)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (UsageError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"{path}: the estimator cannot be rebuilt: {error}.") from None
    return estimator
