"""Store, resolve, serialize and compare constructor arguments."""

from __future__ import annotations

import inspect
import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from narrows.augmentations import AUGMENTATIONS
from narrows.core.checks import check_number
from narrows.core.custom_pieces import adapted
from narrows.core.custom_specs import SLOTS, is_custom_spec, json_pieces
from narrows.core.isolation import isolate_methods, out_of_inference
from narrows.core.pieces import piece_from_spec, piece_to_spec
from narrows.core.slots import Loss
from narrows.corruptions import CORRUPTIONS
from narrows.errors import UsageError
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES

__all__ = [
    "NarrowsEstimator",
    "check_same_net",
    "check_training_arguments",
    "corruption_spec",
    "forget",
    "json_parameters",
    "keep",
    "known_arguments",
    "parameter_names",
    "seed_from",
    "spec_of",
    "specs_of",
    "widths_of",
]


def keep(estimator: Any, arguments: Mapping[str, Any]) -> None:
    """Set constructor arguments as attributes, unchanged, as scikit-learn requires."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def forget(estimator: Any) -> None:
    """Delete everything that ``fit`` set, so that a failing fit does not mix old and new.

    The names of all such attributes end in an underscore, those of private ones included.
    """
    for name in [*vars(estimator)]:
        if name.endswith("_") and not name.startswith("__"):
            delattr(estimator, name)


def parameter_names(estimator: type[BaseEstimator]) -> list[str]:
    """Return the names of an estimator's constructor arguments, sorted."""
    return estimator._get_param_names()


_TRAINING_RULES: Mapping[str, Any] = {
    "max_epochs": {"low": 1, "integer": True},
    "learning_rate": {"low": 0, "low_open": True},
    "weight_decay": {"low": 0},
    "validation_fraction": {"low": 0, "high": 1, "high_open": True},
    "patience": {"low": 1, "integer": True},
}


def check_training_arguments(estimator: Any, *, optional: Container[str] = ("patience",)) -> None:
    """Check the switches of an estimator, and the arguments of training that all share.

    ``optional`` names those that may be None.

    Raises
    ------
    UsageError
    """
    signature = inspect.signature(type(estimator).__init__).parameters
    for name, parameter in signature.items():
        value = getattr(estimator, name, None)
        if isinstance(parameter.default, bool) and not isinstance(value, bool | np.bool_):
            raise UsageError(f"{name}: must be True or False, got {value!r}.")
    for name, rule in _TRAINING_RULES.items():
        value = getattr(estimator, name)
        if value is not None or name not in optional:
            _check_or_auto(name, value, rule, signature)


def _check_or_auto(name: str, value: Any, rule: Mapping[str, Any], signature: Any) -> None:
    """Check a number, or "auto" where this is the default."""
    if not isinstance(value, str):
        check_number(name, value, **rule)
    elif value != "auto" or signature[name].default != "auto":
        kind = "'auto' or a number" if signature[name].default == "auto" else "a number"
        raise UsageError(f"{name}: must be {kind}, got {value!r}.")


def seed_from(random_state: Any) -> int:
    """Return an integer seed; None draws one from NumPy's global state, as in scikit-learn."""
    try:
        return int(check_random_state(random_state).randint(2**31 - 2))
    except ValueError as error:
        raise UsageError(f"random_state: {error}.") from None


def spec_of(table: Mapping[str, Any], value: Any, *, slot: str) -> Any:
    """Return the spec of a piece that is given as a name, a spec or an instance, and check it.

    A user-defined piece is checked for the slot and returned as it is.
    """
    if isinstance(value, str | Mapping):
        value = piece_from_spec(table, value, slot=slot)
    if type(value) in table.values():
        return piece_to_spec(table, value)
    if not (callable(value) or isinstance(value, Loss)):
        known = ", ".join(kind.__name__ for kind in table.values())
        raise UsageError(f"{slot}: expected one of {known}, or a piece of your own, got {value!r}.")
    adapted(slot, value)
    return value


def corruption_spec(value: Any) -> Any:
    """Return the spec of a corruption as ``spec_of`` does; None and "none" mean "identity"."""
    none = value is None or (isinstance(value, str) and value == "none")
    return spec_of(CORRUPTIONS, "identity" if none else value, slot="corruption")


def specs_of(table: Mapping[str, Any], values: Any, *, slot: str) -> list[Any]:
    """Return the specs of a sequence of pieces, of a single piece, or of None."""
    if values is None:
        return []
    if not isinstance(values, Sequence) or isinstance(values, str):
        values = [values]
    return [spec_of(table, value, slot=slot) for value in values]


def widths_of(widths: Any, name: str = "hidden") -> list[int]:
    """Return layer widths as a list of integers; errors call the argument ``name``."""
    if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
        raise UsageError(
            f"{name}: must be a sequence of widths, such as (512, 256), got {widths!r}."
        )
    for width in widths:
        check_number(name, width, low=1, integer=True)
    return [int(width) for width in widths]


_PIECES = {
    kind: table
    for table in (AUGMENTATIONS, CORRUPTIONS, LOSSES, PENALTIES)
    for kind in table.values()
}

_NAN = {"float": "nan"}
_PAIRS = "pairs"
"""Marks a dict stored as a list of pairs: JSON keys are strings, but class labels need not be."""


def json_parameters(parameters: Mapping[str, Any], *, strict: bool = False) -> dict[str, Any]:
    """Return constructor arguments as JSON values; a random state object becomes None.

    ``strict`` refuses user-defined pieces that a file cannot name.
    """
    specs = {
        name: _specs_in(value) if name in SLOTS else value for name, value in parameters.items()
    }
    plain = json_pieces(specs, strict=strict)
    return {name: _json(value) for name, value in plain.items()}


def _specs_in(value: Any) -> Any:
    """Return a value in which every built-in piece is replaced by its spec."""
    if type(value) in _PIECES:
        return piece_to_spec(_PIECES[type(value)], value)
    if isinstance(value, list | tuple):
        return [_specs_in(item) for item in value]
    return value


def _json(value: Any) -> Any:
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
    raise UsageError(f"{value!r} cannot be stored in a model file; use names and numbers.")


def known_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return constructor arguments from the JSON values of ``json_parameters``."""
    arguments = {k: math.nan if v == _NAN else v for k, v in arguments.items()}
    arguments = {
        k: dict(v[_PAIRS]) if isinstance(v, dict) and {*v} == {_PAIRS} else v
        for k, v in arguments.items()
    }
    return {
        k: tuple(v) if isinstance(v, list) and (k == "hidden" or not v) else v
        for k, v in arguments.items()
    }


class NarrowsEstimator(BaseEstimator):
    """Base class of all estimators: public methods ignore the caller's torch settings.

    Old pickles get defaults for newer parameters.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        isolate_methods(cls)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(out_of_inference(state))
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if name not in vars(self) and parameter.default is not parameter.empty:
                setattr(self, name, parameter.default)


_MAY_CHANGE = frozenset(
    "augmentation batch_size device learning_rate n_neighbors neighbors_by precision random_state "
    "sampled_words verbose weight_decay".split()
)
_ONLY_FIT_READS = frozenset(
    "cd_steps fine_tune max_epochs patience persistent pretrain pretrain_epochs "
    "pretrain_learning_rate validation_fraction".split()
)


def check_same_net(built_with: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Refuse changed constructor arguments that cannot take effect on the net as it was built.

    Parameters
    ----------
    built_with, current : mapping
        Arguments as JSON values, by name; only names in both are compared.

    Raises
    ------
    UsageError
        Naming the argument and both values.
    """
    for name in sorted(built_with.keys() & current.keys() - _MAY_CHANGE):
        before, now = _resolved(name, built_with[name]), _resolved(name, current[name])
        if before == now:
            continue
        if name in _ONLY_FIT_READS:
            raise UsageError(
                f"partial_fit: {name} is {now!r} now and was {before!r}; only fit reads it, and "
                "partial_fit passes once over X. Set it back, or call fit."
            )
        raise UsageError(
            f"partial_fit: {name} is {now!r}, the net was built with {before!r}; call fit, or "
            "set it back."
        )


def _resolved(name: str, value: Any) -> Any:
    """Return an argument in a canonical form, so that equal pieces compare equal."""
    if is_custom_spec(value):
        return value
    if name == "corruption":
        return corruption_spec(value)
    if name == "penalties":
        pieces = value if isinstance(value, list) else [] if value is None else [value]
        return [v if is_custom_spec(v) else spec_of(PENALTIES, v, slot=name) for v in pieces]
    if name == "loss" and value != "auto":
        return spec_of(LOSSES, value, slot=name)
    return value
