"""Validate the y of an autoencoder: clean rows to reconstruct, or one dimension, ignored."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_array

from narrows.data.array_sources import array_source, plain_array
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError
from narrows.estimators.columns import by_sides, listed
from narrows.estimators.inputs import FLOATS
from narrows.estimators.targets import target_names

__all__ = ["check_ignored", "clean_rows"]


def clean_rows(y: Any, source: Source) -> Source | None:
    """Return y as the clean rows of a source; None if y is one-dimensional, and thus ignored.

    Raises
    ------
    InvalidData
        If y differs from the source in its number of rows or columns, its column names, or the
        shape of its images.
    UsageError
        If either is streamed.
    """
    if y is None:
        return None
    if isinstance(y, Source):
        rows = y
    else:
        y = plain_array(y)
        shape = _shape(y)
        if len(shape) < 2 or (shape[1:] == (1,) and source.n_features > 1):
            check_ignored(y, source.n_rows)
            if source.vocabulary is not None and _are_texts(y):
                raise UsageError(
                    "y: holds texts, which no autoencoder reconstructs; give clean rows as counts, "
                    "or leave y out."
                )
            return None
        rows = _checked(y, shape)
    if (rows.n_rows, rows.n_features) != (source.n_rows, source.n_features):
        raise InvalidData(
            f"y: {rows.n_rows} rows of {rows.n_features}, for {source.n_rows} rows of "
            f"{source.n_features} in X: clean rows must have the shape of X. A y of one dimension "
            "is ignored."
        )
    _check_columns(rows, source)
    for part in (source, rows):
        if not part.holds_targets:
            raise UsageError(f"y: {part.origin} is streamed; pairs of rows need both in memory.")
    if rows.sparse != source.sparse:
        raise InvalidData("y: X and y must be both dense or both sparse; use toarray().")
    kind, origin = rows.kind, rows.origin
    rows = rows.labeled(None).copy_metadata(source)
    rows.kind, rows.origin = kind, "y" if origin == "X" else origin
    return rows


def check_ignored(y: Any, n_rows: int) -> None:
    """Refuse an ignored y that does not have one value for each row.

    Raises
    ------
    InvalidData
    """
    if y is None:
        return
    shape = _shape(y)
    if not shape or shape[0] != n_rows:
        raise InvalidData(
            f"y: {shape[0] if shape else repr(y)} values for {n_rows} rows of X; leave y out."
        )


def _are_texts(y: Any) -> bool:
    """Return whether y holds texts and not class names: most differ and contain spaces."""
    values = [value for value in np.asarray(y, dtype=object).ravel() if isinstance(value, str)]
    texts = {value for value in values if len(value.split()) > 1}
    return 2 * len(texts) > len(values)


def _shape(y: Any) -> tuple[int, ...]:
    if hasattr(y, "shape"):
        return tuple(y.shape)
    try:
        return np.asarray(y).shape  # np.shape fails on objects that only convert to an array
    except ValueError:  # ragged lists, such as several labels per document
        return (len(y),)


def _check_columns(rows: Source, source: Source) -> None:
    """Refuse clean rows whose column names, or image shape, differ from the source's."""
    origin = "y" if rows.origin == "X" else rows.origin
    given, wanted = rows.image_shape, source.image_shape
    if given and wanted and (*given, 1)[:3] != (*wanted, 1)[:3]:
        raise InvalidData(
            f"{origin}: clean images of shape {by_sides(given)}, for images of {by_sides(wanted)} "
            f"in {source.origin}: give height, width and channels in the same order."
        )
    if rows.names is None or source.names is None or [*rows.names] == [*source.names]:
        return
    i, (name, other) = next(
        (i, both)
        for i, both in enumerate(zip(rows.names, source.names, strict=True))
        if both[0] != both[1]
    )
    raise InvalidData(
        f"{origin}: column {i} is {str(name)!r}, but {str(other)!r} in {source.origin}; clean "
        f"rows must have the columns of X, in the same order: {listed(source.names)}."
    )


def _checked(y: Any, shape: tuple[int, ...]) -> Source:
    """Validate clean rows and return them as a source."""
    names = target_names(y)
    if len(shape) > 2:
        y = np.asarray(y).reshape(shape[0], -1)
    is_bytes = isinstance(y, np.ndarray) and y.dtype == np.uint8
    try:
        with np.errstate(over="ignore"):  # overflow is reported as infinity later
            rows: Any = check_array(
                y,
                accept_sparse="csr",  # pyright: ignore[reportArgumentType] -- typed by its default
                dtype=None if is_bytes else FLOATS,  # pyright: ignore[reportArgumentType] -- likewise
                ensure_all_finite=False,
                ensure_min_samples=0,
                input_name="y",
            )
    except (TypeError, ValueError) as error:
        raise InvalidData(f"y: {error}") from None
    source = array_source(sp.csr_array(rows) if sp.issparse(rows) else rows)
    source.names, source.image_shape = names, shape[1:] if len(shape) > 2 else None
    return source
