"""Constructor arguments: kept as given, resolved, as JSON values, and compared."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from narrows.augmentations import AUGMENTATIONS
from narrows.core.checks import check_number
from narrows.core.isolation import isolate_methods, out_of_inference
from narrows.core.own_pieces import SLOTS, adapted, is_own, json_pieces
from narrows.core.pieces import piece_from_spec, piece_to_spec
from narrows.core.slots import Loss
from narrows.corruptions import CORRUPTIONS
from narrows.errors import UsageError
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES

__all__ = [
    "NarrowsEstimator",
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
    """Set what a constructor was given, as it was given: scikit-learn's rule for constructors."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def forget(estimator: Any) -> None:
    """Drop what an earlier fit set: a fit that fails leaves nothing half replaced."""
    for name in [*vars(estimator)]:
        if name == "_trainer" or (name.endswith("_") and not name.startswith("_")):
            delattr(estimator, name)


def parameter_names(estimator: type[BaseEstimator]) -> list[str]:
    """Return the names of an estimator's constructor arguments, sorted."""
    return estimator._get_param_names()


def seed_from(random_state: Any) -> int:
    """Return a seed; None draws one from NumPy's global state, as in scikit-learn."""
    try:
        return int(check_random_state(random_state).randint(2**31 - 2))
    except ValueError as error:
        raise UsageError(f"random_state: {error}.") from None


def spec_of(table: Mapping[str, Any], value: Any, *, slot: str) -> Any:
    """Return the spec of a piece given as a name, a spec or an instance; check its values.

    A user's own piece is returned as it is, checked for the slot.
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
    """Return the spec of a corruption given as ``spec_of`` takes it; None and "none" mean none."""
    none = value is None or (isinstance(value, str) and value == "none")
    return spec_of(CORRUPTIONS, "identity" if none else value, slot="corruption")


def specs_of(table: Mapping[str, Any], values: Any, *, slot: str) -> list[Any]:
    """Return the specs of a sequence of pieces, of one piece, or of None."""
    if values is None:
        return []
    if not isinstance(values, Sequence) or isinstance(values, str):
        values = [values]
    return [spec_of(table, value, slot=slot) for value in values]


def widths_of(widths: Any, name: str = "hidden") -> list[int]:
    """Return widths as a list of integers; ``name`` is the argument's."""
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
"""Key of a dict that is stored as a list of pairs: JSON keys are strings, class labels need not."""


def json_parameters(parameters: Mapping[str, Any], *, strict: bool = False) -> dict[str, Any]:
    """Return constructor arguments as JSON values; a live random state becomes None.

    ``strict`` refuses users' own pieces that no file can name.
    """
    known = {
        name: _known_piece(value) if name in SLOTS else value for name, value in parameters.items()
    }
    plain = json_pieces(known, strict=strict)
    return {name: _json(value) for name, value in plain.items()}


def _known_piece(value: Any) -> Any:
    """Return a known piece, or a sequence of pieces, with known ones as their specs."""
    if type(value) in _PIECES:
        return piece_to_spec(_PIECES[type(value)], value)
    if isinstance(value, list | tuple):
        return [_known_piece(item) for item in value]
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
    raise UsageError(f"{value!r} has no place in a model file; use names and numbers.")


def known_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor from JSON values, which have no tuples and no NaN."""
    arguments = {k: math.nan if v == _NAN else v for k, v in arguments.items()}
    arguments = {
        k: dict(v[_PAIRS]) if isinstance(v, dict) and {*v} == {_PAIRS} else v
        for k, v in arguments.items()
    }
    sequences = ("hidden", "penalties")
    return {
        k: tuple(v) if k in sequences and isinstance(v, list) else v for k, v in arguments.items()
    }


class NarrowsEstimator(BaseEstimator):
    """An estimator whose public methods run isolated from the caller's settings of torch.

    Unpickled, it has the default of every parameter that came after it.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        isolate_methods(cls)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(out_of_inference(state))
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if name not in vars(self) and parameter.default is not parameter.empty:
                setattr(self, name, parameter.default)


_TAKE_EFFECT = frozenset(
    "augmentation batch_size device learning_rate n_neighbors neighbors_by precision random_state "
    "sampled_words verbose weight_decay".split()
)
_OF_FIT = frozenset(
    "cd_steps fine_tune max_epochs patience persistent pretrain pretrain_epochs "
    "pretrain_learning_rate validation_fraction".split()
)


def check_same_net(was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse constructor arguments that changed since the net was built, and cannot take effect.

    Parameters
    ----------
    was, now : mapping
        Arguments as JSON values, by name; those that ``was`` lacks are not compared.

    Raises
    ------
    UsageError
        Naming the argument and both values.
    """
    for name in sorted(was.keys() & now.keys() - _TAKE_EFFECT):
        before, asked = _resolved(name, was[name]), _resolved(name, now[name])
        if before == asked:
            continue
        if name in _OF_FIT:
            raise UsageError(
                f"partial_fit: {name} is {asked!r} now and was {before!r}; only fit reads it, and "
                "partial_fit passes once over X. Set it back, or call fit."
            )
        raise UsageError(
            f"partial_fit: {name} is {asked!r}, the net was built with {before!r}; call fit, or "
            "set it back."
        )


def _resolved(name: str, value: Any) -> Any:
    """Return an argument in one form, so that equal pieces compare equal however they are given."""
    if is_own(value):
        return value
    if name == "corruption":
        return corruption_spec(value)
    if name == "penalties":
        given = value if isinstance(value, list) else [] if value is None else [value]
        return [v if is_own(v) else spec_of(PENALTIES, v, slot=name) for v in given]
    if name == "loss" and value != "auto":
        return spec_of(LOSSES, value, slot=name)
    return value
