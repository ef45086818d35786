"""Validate X, in any form that users pass, and return it as a source of rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import validate_data as _validate_data_untyped

from narrows.data.array_sources import array_source, needs_float64, plain_array
from narrows.data.image_lists import stacked_images
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError
from narrows.estimators.columns import check_same_columns, check_same_shape, fitted_net
from narrows.model.model import Model
from narrows.text import Documents

__all__ = [
    "FLOATS",
    "called",
    "check_columns",
    "fit_source",
    "query_rows",
    "query_source",
    "rows_called",
    "with_resumed_names",
]

# scikit-learn annotates nothing, and its defaults mislead the type checker
_validate_data: Any = _validate_data_untyped
FLOATS: Any = [np.float32, np.float64]
_WIDE_FIRST: Any = [np.float64, np.float32]
"""scikit-learn casts an array of neither dtype to the first."""

_X = re.compile(r"\bX\b")
_TIMES = (date, time, timedelta, np.datetime64, np.timedelta64)


def fit_source(
    estimator: Any, X: Any, *, reset: bool = True, min_samples: int = 2, argument: str = "X"
) -> Source:
    """Validate rows, set the estimator's feature attributes, and return a source.

    Infinity and NaN are checked later, in the pass that reads every value anyway. Errors and
    warnings call the rows ``argument``, unless they come from a file.
    """
    with rows_called(argument):
        source = _fit_source(estimator, X, reset=reset, min_samples=min_samples)
    return called(source, argument)


@contextmanager
def rows_called(argument: str) -> Iterator[None]:
    """Replace X by ``argument`` in the messages of errors that are raised in the block."""
    try:
        yield
    except (UsageError, NotFittedError):
        raise
    except ValueError as error:
        if argument == "X":
            raise
        message, n = _X.subn(argument, str(error), count=1)
        raise InvalidData(message if n else f"{argument}: {error}") from None


def called(source: Source, argument: str) -> Source:
    """Return a source that errors and warnings call ``argument``, unless it is a file."""
    if source.origin != "X" or argument == "X":
        return source
    source = copy(source)
    source.origin = argument
    return source


def with_resumed_names(estimator: Any, source: Source, names: Sequence[str]) -> Source:
    """Give unnamed columns the names of the fit that is resumed, and set them on the estimator;
    return rows that have names unchanged."""
    if source.names is not None or len(names) != source.n_features:
        return source
    estimator.feature_names_in_ = np.array(names, dtype=object)
    source = copy(source)
    source.names = [*names]
    return source


def _fit_source(estimator: Any, X: Any, *, reset: bool, min_samples: int) -> Source:
    if isinstance(X, Source):
        return _checked_source(estimator, X, reset=reset, min_samples=min_samples)
    if isinstance(X, Documents):
        table = (
            " If it is a table of numbers, name the columns that hold texts: "
            f"{X.origin}:id=COLUMN,label=COLUMN,drop=COLUMN."
            if Path(X.origin).suffix
            else ""
        )
        raise InvalidData(
            f"{X.origin}: holds texts, which {type(estimator).__name__} cannot read; use "
            "DocumentAutoencoder (--variant document) or SemanticHasher (--variant hashing)."
            f"{table}"
        )
    X = plain_array(stacked_images(X))
    check_columns(X)
    image_shape = None
    if isinstance(X, np.ndarray) and X.ndim in (3, 4) and X.dtype != object:
        image_shape, X = X.shape[1:], X.reshape(len(X), -1)
        if not reset:
            check_same_shape(image_shape, X.shape[1], estimator)
    # bytes stay bytes: an eighth of float64's memory, and a sign that the rows are images
    is_bytes = isinstance(X, np.ndarray) and X.dtype == np.uint8
    with np.errstate(over="ignore"):  # overflow is reported as infinity later
        X = _validate_data(
            estimator,
            X,
            reset=reset,
            accept_sparse="csr",
            accept_large_sparse=True,
            dtype=None if is_bytes else _WIDE_FIRST if _is_wide(X) else FLOATS,
            ensure_all_finite=False,
            ensure_min_samples=min_samples,
        )
    if reset:
        _keep_row_shape(estimator, image_shape)
    source = array_source(X)
    names = getattr(estimator, "feature_names_in_", None)
    source.image_shape = image_shape
    source.names = None if names is None else [str(name) for name in names]
    return source


def _is_wide(X: Any) -> bool:
    """Return whether values of other dtypes become float64 instead of float32: those of lists and
    frames, objects, and integers that float32 would round."""
    if sp.issparse(X):
        return False
    return not isinstance(X, np.ndarray) or X.dtype == object or needs_float64(X)


def _keep_row_shape(
    estimator: Any, shape: tuple[int, ...] | None, resize: tuple[int, int] | None = None
) -> None:
    """Set ``row_shape_`` and, if images were resized on reading, ``resize_``; delete both for flat
    rows."""
    for name, value in (("row_shape_", shape), ("resize_", resize)):
        if value is not None:
            setattr(estimator, name, tuple(value))
        elif hasattr(estimator, name):
            delattr(estimator, name)


def check_columns(X: Any) -> None:
    """Refuse a frame, or an array of objects or texts, with a column that is not numeric.

    Raises
    ------
    InvalidData
        Naming the first such column, the row and the value.
    """
    for name, column in _columns_to_check(X):
        _check_no_times(name, column)
        with suppress(TypeError, ValueError):
            column.astype(np.float64)
            continue
        for i, value in enumerate(column):
            try:
                float(value)
            except TypeError:
                continue  # None, or an object that scikit-learn refuses
            except ValueError:
                raise InvalidData(
                    f"X: column {name!r} holds {str(value)!r} in row {i}: could not convert "
                    "string to float; encode or drop the column."
                ) from None


def _check_no_times(name: Any, column: np.ndarray) -> None:
    """Refuse dates, times and durations, which NumPy would turn into nanoseconds or days."""
    every = column.dtype.kind in "Mm"
    for i, value in enumerate(column if every or column.dtype == object else ()):
        if every or isinstance(value, _TIMES):
            raise InvalidData(
                f"X: column {name!r} holds {str(value)!r} in row {i}, a time; give numbers, such "
                "as days since a fixed date, or drop the column."
            )


def _columns_to_check(X: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """Yield the name and values of each column whose dtype is not numeric."""
    if isinstance(X, np.ndarray):
        if X.ndim == 2 and X.dtype.kind in "OUSMm":
            yield from enumerate(X.T)
        return
    # an Arrow table's ``columns`` are its arrays, not their names
    for name in getattr(X, "column_names", None) or getattr(X, "columns", ()):
        if not isinstance(name, str | int):
            return
        column = np.asarray(X[name])
        if column.dtype.kind in "OUSMm":
            yield name, column


def query_source(estimator: Any, X: Any, argument: str = "X") -> Source:
    """Validate query rows for a fitted estimator; values are checked as they are read.

    Warns
    -----
    RangeWarning
        If the rows appear to be in other units than at fit.
    """
    source = fit_source(estimator, X, reset=False, min_samples=1, argument=argument)
    model = getattr(fitted_net(estimator), "model_", None)
    if model is not None:
        model.check_units(source)
    return source


def query_rows(estimator: Any, X: Any, argument: str = "X") -> tuple[Model, Source]:
    """Validate query rows for a fitted autoencoder or detector; return its model and the rows.

    Errors call the rows ``argument``.

    Raises
    ------
    NotFittedError, InvalidData
    """
    return estimator._validated_query(X, argument)


def _checked_source(estimator: Any, source: Source, *, reset: bool, min_samples: int) -> Source:
    if source.n_rows < min_samples:
        raise InvalidData(
            f"Found {source.origin} with {source.n_rows} sample(s) while a minimum of "
            f"{min_samples} is required."
        )
    if source.n_features < 1:
        raise InvalidData(
            f"Found {source.origin} with 0 feature(s) while a minimum of 1 is required."
        )
    names = getattr(estimator, "feature_names_in_", None)
    if reset:
        estimator.n_features_in_ = source.n_features
        _keep_row_shape(estimator, source.image_shape, source.resize)
        if source.names is not None:
            estimator.feature_names_in_ = np.array(source.names, dtype=object)
        elif names is not None:
            del estimator.feature_names_in_
        return source
    check_same_columns(source, estimator)
    return source
