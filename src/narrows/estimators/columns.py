"""Check that rows have the columns of the fit: the same number, names and order."""

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
    "fitted_net",
    "listed",
]

_SHOWN = 5


def check_same_columns(source: Source, estimator: Any) -> None:
    """Refuse rows whose columns differ from those that the estimator was fitted to.

    Columns are never reordered or dropped by name: the message names the missing and the unknown
    columns, and says how to leave columns out.

    Raises
    ------
    InvalidData
    """
    check_same_shape(source.image_shape, source.n_features, estimator, origin=source.origin)
    fitted, n = getattr(estimator, "feature_names_in_", None), estimator.n_features_in_
    check_same_names(source.names, fitted, origin=source.origin)
    if source.n_features != n:
        raise InvalidData(
            f"{source.origin}: has {source.n_features} columns{_in_brackets(source.names)}, the "
            f"model was fitted to {n}{_in_brackets(fitted)}.{_hint_for_svmlight(source, n)}"
        )


def check_same_names(given: Any, fitted: Any, *, origin: str = "X") -> None:
    """Refuse column names or an order that differ from the fit's; None matches any."""
    if fitted is None or given is None or list(given) == list(fitted):
        return
    missing, unknown = _without(fitted, given), _without(given, fitted)
    if missing or unknown:
        differences = [f"missing: {listed(missing)}"] if missing else []
        differences += [f"not known: {listed(unknown)}"] if unknown else []
        raise InvalidData(
            f"{origin}: does not have the columns that the model was fitted to; "
            f"{'; '.join(differences)}. "
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
    """Refuse images whose shape differs from the fit's; None matches any.

    If the estimator has an argument ``image_shape``, it applies to all images with as many values.
    """
    net = fitted_net(estimator)
    model = getattr(net, "model_", None)
    fitted = None if model is None else model.schema.image_shape
    if fitted is None or given is None or (*fitted, 1)[:3] == (*given, 1)[:3]:
        return
    same_size = n_features == estimator.n_features_in_
    if same_size and getattr(net, "image_shape", None) is not None:
        return
    raise InvalidData(
        f"{origin}: images of shape {by_sides(given)}, the model was fitted to {by_sides(fitted)}; "
        + (
            "give height, width and channels in that order, or flat rows."
            if same_size
            else f"give {'gray' if len((*fitted, 1)) < 4 else 'color'} images of that size."
        )
    )


def fitted_net(estimator: Any) -> Any:
    """Return the autoencoder of a head or an imputer, or the first one of a detector; of any other
    estimator, itself."""
    members = getattr(estimator, "members_", ())
    return getattr(estimator, "autoencoder_", None) or next(iter(members), estimator)


def keep_names(estimator: Any, names: Any) -> None:
    """Set an estimator's column names from a model file; None sets none.

    Raises
    ------
    ValueError
        If there is not one name for each feature.
    """
    if names is None:
        return
    estimator.feature_names_in_ = np.array(names, dtype=object)
    if estimator.feature_names_in_.shape != (estimator.n_features_in_,):
        raise ValueError("the names are not one for each feature")


def by_sides(shape: Sequence[int]) -> str:
    """Return an image shape as text, such as 8 x 8 x 3."""
    return " x ".join(map(str, shape))


def _without(names: Iterable[Any], others: Iterable[Any]) -> list[str]:
    excluded = set(others)
    return [str(name) for name in names if name not in excluded]


def listed(names: Iterable[Any]) -> str:
    """Return the first five names, and how many more there are."""
    texts = [repr(str(name)) for name in names]
    more = [f"and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return ", ".join(texts[:_SHOWN] + more)


def _in_brackets(names: Any) -> str:
    return "" if names is None else f" ({listed(names)})"


def _way_out(origin: str, missing: list[str], unknown: list[str]) -> str:
    """Return how to leave out unknown columns, and how to add missing ones."""
    give = "Give every column of the fit under its name" if missing else ""
    if not unknown:
        return f"{give}."
    leave = f"{'leave' if missing else 'Leave'} out the unknown columns"
    if Path(origin).suffix:
        parts = StringIO()
        csv.writer(parts).writerow([f"drop={name}" for name in unknown[:_SHOWN]])
        more = ",drop=..." if len(unknown) > _SHOWN else ""
        columns = quote(f"{origin}:{parts.getvalue().rstrip()}{more}")
        leave += (
            f": {columns} (id=COLUMN if it names the rows, label=COLUMN if it holds their labels)"
        )
    return f"{give}, and {leave}." if give else f"{leave}."


def _hint_for_svmlight(source: Source, expected: int) -> str:
    """Return how to declare the width of a svmlight file whose last columns may all be 0."""
    if source.n_features > expected or not is_svmlight(Path(source.origin)):
        return ""
    return (
        f" If its last columns do not occur, give the number of columns: {source.origin}:features="
        f"{expected}, in Python read(path, n_features={expected})."
    )
