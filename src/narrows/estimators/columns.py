"""Whether rows have the columns of a fit: as many, of the same names, in the same order."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np

from narrows.data.readers.svmlight import is_svmlight
from narrows.data.source import Source
from narrows.errors import InvalidData

__all__ = [
    "keep_names",
    "by_sides",
    "check_same_columns",
    "check_same_names",
    "check_same_shape",
    "listed",
]

_SHOWN = 5


def check_same_columns(source: Source, estimator: Any) -> None:
    """Refuse rows of other columns than those that the estimator was fitted to.

    Columns are never put in order, nor left out, by their names: the message names those that
    are missing and those that are not known, and says how to leave columns out.

    Raises
    ------
    InvalidData
    """
    check_same_shape(source.image_shape, source.n_features, estimator, origin=source.origin)
    fitted, n = getattr(estimator, "feature_names_in_", None), estimator.n_features_in_
    check_same_names(source.names, fitted, origin=source.origin)
    if source.n_features != n:
        raise InvalidData(
            f"{source.origin}: has {source.n_features} columns{_called(source.names)}, the model "
            f"was fitted to {n}{_called(fitted)}.{_way_to_width(source, n)}"
        )


def check_same_names(given: Any, fitted: Any, *, origin: str = "X") -> None:
    """Refuse other names of columns than those of a fit, or another order; None says nothing."""
    if fitted is None or given is None or list(given) == list(fitted):
        return
    missing, unknown = _without(fitted, given), _without(given, fitted)
    if missing or unknown:
        told = [f"missing: {listed(missing)}"] if missing else []
        told += [f"not known: {listed(unknown)}"] if unknown else []
        raise InvalidData(
            f"{origin}: has not the columns that the model was fitted to; {'; '.join(told)}. "
            f"{_way_out(origin, missing, unknown)}"
        )
    i = next(i for i, (a, b) in enumerate(zip(fitted, given, strict=True)) if a != b)
    raise InvalidData(
        f"{origin}: column {i} is {str(given[i])!r}, the model was fitted with "
        f"{str(fitted[i])!r} there; give the columns in the order of the fit: {listed(fitted)}."
    )


def check_same_shape(
    given: Sequence[int] | None, n_features: int, estimator: Any, *, origin: str = "X"
) -> None:
    """Refuse images of another shape than those of a fit; None says nothing.

    Where an argument of the estimator says the shape, it holds for images of as many numbers.
    """
    net = getattr(estimator, "autoencoder_", None) or next(iter(_members(estimator)), estimator)
    model = getattr(net, "model_", None)
    fitted = None if model is None else model.schema.image_shape
    if fitted is None or given is None or (*fitted, 1)[:3] == (*given, 1)[:3]:
        return
    as_many = n_features == estimator.n_features_in_
    if as_many and getattr(net, "image_shape", None) is not None:
        return
    raise InvalidData(
        f"{origin}: images of shape {by_sides(given)}, the model was fitted to {by_sides(fitted)}; "
        + (
            "give height, width and channels in that order, or flat rows."
            if as_many
            else f"give {'gray' if len((*fitted, 1)) < 4 else 'color'} images of that size."
        )
    )


def _members(estimator: Any) -> Iterable[Any]:
    return getattr(estimator, "members_", ())


def keep_names(estimator: Any, names: Any) -> None:
    """Set the names of an estimator's columns from a model file, None for none.

    Raises
    ------
    ValueError
        If they are not one for each feature.
    """
    if names is None:
        return
    estimator.feature_names_in_ = np.array(names, dtype=object)
    if estimator.feature_names_in_.shape != (estimator.n_features_in_,):
        raise ValueError("the names are not one for each feature")


def by_sides(shape: Sequence[int]) -> str:
    """Return the shape of images as a text, such as 8 x 8 x 3."""
    return " x ".join(map(str, shape))


def _without(names: Iterable[Any], others: Iterable[Any]) -> list[str]:
    there = set(others)
    return [str(name) for name in names if name not in there]


def listed(names: Iterable[Any]) -> str:
    """Return at most five names, and how many more there are."""
    texts = [repr(str(name)) for name in names]
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return ", ".join(texts[:_SHOWN] + more)


def _called(names: Any) -> str:
    return "" if names is None else f" ({listed(names)})"


def _way_out(origin: str, missing: list[str], unknown: list[str]) -> str:
    """Return how to leave out what is no feature, and what to do about the rest."""
    give = "Give every column of the fit under its name" if missing else ""
    if not unknown:
        return f"{give}."
    leave = "leave out what is no feature" if missing else "Leave out what is no feature"
    if Path(origin).suffix:
        parts = StringIO()
        csv.writer(parts).writerow([f"drop={name}" for name in unknown[:_SHOWN]])
        more = ",drop=..." if len(unknown) > _SHOWN else ""
        columns = quote(f"{origin}:{parts.getvalue().rstrip()}{more}")
        leave += (
            f": {columns} (id=COLUMN if it names the rows, label=COLUMN if it says what they are)"
        )
    return f"{give}, and {leave}." if give else f"{leave}."


def _way_to_width(source: Source, expected: int) -> str:
    """Return what to say where the columns that are missing may be those that no row has."""
    if source.n_features > expected or not is_svmlight(Path(source.origin)):
        return ""
    return (
        f" If its last columns do not occur, say how many there are: {source.origin}:features="
        f"{expected}, in Python read(path, n_features={expected})."
    )
