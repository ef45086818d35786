"""Validate y: classes, values, pairs, and tables of several targets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d
from torch import Tensor

from narrows.data.array_sources import plain_array
from narrows.errors import HeldOutClassWarning, InvalidData, warn

__all__ = [
    "classes_from_spec",
    "has_columns",
    "known_labels",
    "read_classes",
    "read_same",
    "read_several_values",
    "read_values",
    "spec_of_classes",
    "table_of_values",
    "target_names",
]


def read_classes(
    y: Any, n_rows: int, *, unknown: Any = None, classes: np.ndarray | None = None
) -> tuple[Tensor, np.ndarray]:
    """Return the class index of each row, int64, -1 where y is ``unknown``, and the classes.

    ``classes`` are the classes of an earlier call; by default those of y.

    Raises
    ------
    InvalidData
        If y differs in length from X, has fewer than two classes, or a class not in ``classes``.
    """
    values, known = known_labels(y, n_rows, unknown=unknown)
    if values.dtype.kind == "O":
        _check_one_type(values[known])
    if values.dtype.kind == "f":
        _check_finite(values, known)
    with _invalid_y():
        if known.any():
            _check_classes(values[known])
        present = np.unique(values[known])
    if classes is None:
        classes = present
        if len(classes) < 2:
            raise InvalidData(f"y: classification needs at least two classes, got {len(classes)}.")
    elif not np.isin(present, classes).all():
        new = present[~np.isin(present, classes)].tolist()[0]
        raise InvalidData(
            f"y: class {new!r} is not among the {len(classes)} classes of the rows that were "
            "fitted; call fit with rows of every class."
        )
    indices = np.searchsorted(classes, np.where(known, values, classes[0]))
    return torch.from_numpy(np.where(known, indices, -1)), classes


def spec_of_classes(classes: np.ndarray) -> dict[str, Any]:
    """Return classes as JSON values, for a model file."""
    return {"classes": classes.tolist(), "classes_dtype": classes.dtype.str}


def classes_from_spec(spec: Mapping[str, Any], n_outputs: int | None) -> np.ndarray:
    """Return the classes of a model file, (n_outputs,); None allows any number.

    Raises
    ------
    LookupError, TypeError, ValueError
        If there is not one for each output, or they are not sorted.
    """
    names, dtype = spec["classes"], np.dtype(spec["classes_dtype"])
    if dtype.kind not in "biufUO":
        raise ValueError(f"classes of {dtype}")
    # strings take the width that they need, not the one in the file
    classes = np.array(names, dtype=str if dtype.kind == "U" else dtype)
    if classes.tolist() != names or np.unique(classes).tolist() != names:
        raise ValueError("the classes are not sorted, or not of their type")
    if n_outputs is not None and classes.shape != (n_outputs,):
        raise ValueError(f"{len(classes)} classes for {n_outputs} outputs")
    return classes


def _check_classes(values: np.ndarray) -> None:
    try:
        check_classification_targets(values)
    except ValueError as error:
        raise InvalidData(
            f"y: {error} If y is a quantity, use CodeRegressor (--task regress)."
        ) from None


def known_labels(y: Any, n_rows: int, *, unknown: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return y as an array (n_rows,), and a mask of the rows whose label is known.

    Raises
    ------
    InvalidData
        If y differs in length from X, or is not a column of numbers or texts.
    """
    values = _column(y, n_rows)
    if unknown is None:
        return values, np.ones(n_rows, dtype=bool)
    return values, np.array([not _same(value, unknown) for value in values.tolist()], dtype=bool)


def read_values(
    y: Any,
    n_rows: int,
    *,
    missing: bool,
    counted: np.ndarray | None = None,
    weights: np.ndarray | None = None,
    moments: tuple[float, float] | None = None,
) -> tuple[Tensor, float, float]:
    """Return y standardized, float32, with its mean and standard deviation.

    They are computed over the rows of the mask ``counted``, bool (n_rows,), or all, weighted by
    ``weights`` (n_rows,); ``moments`` of an earlier call replace them. NaN stays NaN if ``missing``
    values are allowed.

    Raises
    ------
    InvalidData
        If y differs in length from X, is infinite or too large, or no value is known.
    """
    column = _column(y, n_rows)
    try:
        wide = column.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidData(
            f"y: {error}; give numbers, or use CodeClassifier (--task classify) for words."
        ) from None
    known = ~np.isnan(wide) if missing else np.ones(n_rows, dtype=bool)
    if not known.any():
        raise InvalidData("y: no value is known.")
    _check_finite(wide, known)
    some = known if counted is None or not (known & counted).any() else known & counted
    with np.errstate(over="ignore", invalid="ignore"):
        if weights is None:
            mean, deviation = float(wide[some].mean()), float(wide[some].std()) or 1.0
        else:
            mean = float(np.average(wide[some], weights=weights[some]))
            squares = np.average((wide[some] - mean) ** 2, weights=weights[some])
            deviation = float(np.sqrt(squares)) or 1.0
    if moments is not None:
        mean, deviation = moments
    if not math.isfinite(mean + deviation):
        largest = float(np.abs(wide[known]).max())
        raise InvalidData(
            f"y: the mean and deviation of values up to {largest:g} overflow; rescale y."
        )
    return torch.from_numpy((wide - mean) / deviation).float(), mean, deviation


def read_same(same: Any, n_rows: int) -> Tensor:
    """Return ``same`` as int64 (n_rows,): 1 for pairs of the same thing, 0 for others.

    Raises
    ------
    InvalidData
        If there is not one label for each pair, one is neither 0 nor 1, or all are equal.
    """
    if same is None:
        raise InvalidData("same: must not be None; give 1 or 0 for every pair.")
    try:
        values = column_or_1d(same, warn=True)
    except (TypeError, ValueError) as error:
        raise InvalidData(f"same: {error}") from None
    if len(values) != n_rows:
        raise InvalidData(f"same: {len(values)} labels for {n_rows} pairs.")
    valid = np.array([_same(v, 0) or _same(v, 1) for v in values.tolist()], dtype=bool)
    if not valid.all():
        row = int((~valid).argmax())
        raise InvalidData(f"same: must be 0 or 1, got {values[row]!r} in row {row}.")
    labels = values.astype(np.int64)
    if not 0 < labels.sum() < n_rows:
        raise InvalidData(
            f"same: {int(labels.sum())} of {n_rows} pairs are the same thing; pairs of both kinds "
            "are needed."
        )
    return torch.from_numpy(labels)


def has_columns(y: Any) -> bool:
    """Return whether y is two-dimensional, (n_samples, n_targets), even with one column."""
    shape = getattr(y, "shape", None)
    if shape is None:
        try:
            shape = np.asarray(y).shape
        except ValueError:  # rows of several lengths
            return False
    return len(shape) == 2


def _column(y: Any, n_rows: int) -> np.ndarray:
    if y is None:
        raise InvalidData("y: requires y to be passed, but the target y is None.")
    with _invalid_y():
        if has_columns(y) and (n := np.asarray(y).shape[-1]) > 1:
            raise InvalidData(
                f"y: has {n} columns, but must have one; fit one head for each column, y[:, 0] "
                "and so on. Only CodeRegressor takes several columns, of numbers."
            )
        values: Any = column_or_1d(y, warn=True)
    if len(values) != n_rows:
        raise InvalidData(f"y: {len(values)} values for {n_rows} rows of X.")
    if values.dtype.kind in "mMSV":
        raise InvalidData(f"y: holds {values.dtype}; give numbers or texts.")
    if values.dtype.char == "g":  # longdouble cannot be stored in files or JSON
        with np.errstate(over="ignore"):  # overflow is reported as infinity below
            values = values.astype(np.float64)
    return values


def _check_one_type(values: np.ndarray) -> None:
    examples = {type(value) if value is None else isinstance(value, str): value for value in values}
    if len(examples) > 1:
        shown = " beside ".join(repr(value) for value in examples.values())
        raise InvalidData(
            f"y: holds values of several types, such as {shown}, which cannot be sorted; use "
            "one type, and give the value for unknown labels as missing_label."
        )


@contextmanager
def _invalid_y() -> Iterator[None]:
    """Turn errors of scikit-learn and NumPy about y into InvalidData that names y."""
    try:
        yield
    except InvalidData:
        raise
    except (TypeError, ValueError) as error:
        raise InvalidData(f"y: {error}") from None


def check_known_classes(new: list[Any]) -> None:
    """Refuse classes of ``validation_data`` that the y of fit does not have, if there are any.

    Raises
    ------
    InvalidData
    """
    if new:
        raise InvalidData(
            f"validation_data: its y has classes that the y of fit lacks, {new[:10]!r}; leave "
            "these rows out, or train on some of them."
        )


def warn_of_held_out_classes(classes: np.ndarray, what: str) -> None:
    """Warn if all rows of some classes are held out; ``what`` is "rows of" or "masks with".

    Warns
    -----
    HeldOutClassWarning
    """
    if len(classes):
        warn(
            f"y: all {what} class {classes.tolist()[:10]} are held out, so the head does not "
            "learn it; give another random_state, or validation_data.",
            HeldOutClassWarning,
        )


def _check_finite(values: np.ndarray, known: np.ndarray) -> None:
    bad = known & ~np.isfinite(values)
    if bad.any():
        row = int(bad.argmax())
        what = "NaN" if np.isnan(values[row]) else "infinity"
        raise InvalidData(f"y: contains {what} in row {row}; leave such rows out, or mark them.")


def _same(value: Any, label: Any) -> bool:
    """Return whether a value of y equals a label; NaN equals NaN."""
    try:
        return value is label or bool(value == label) or bool(value != value and label != label)
    except TypeError:  # pandas' NA is neither equal nor unequal to anything
        return False


def target_names(y: Any) -> list[str] | None:
    """Return the column names of y; None if y has none, or not all are strings."""
    if not has_columns(y):
        return None
    # an Arrow table's ``columns`` are its arrays, not their names
    names = getattr(y, "column_names", None)
    names = [*(getattr(y, "columns", ()) if names is None else names)]
    return names if names and all(isinstance(name, str) for name in names) else None


def read_several_values(
    y: Any,
    n_rows: int,
    *,
    counted: np.ndarray,
    weights: np.ndarray | None = None,
    names: list[str] | None = None,
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Return y (n_rows, n_targets), each target standardized, float32, with the targets' means and
    standard deviations, float64 (n_targets,). NaN marks an unknown value and stays NaN.

    Means and deviations are computed over the rows of the mask ``counted``, bool (n_rows,), with
    ``weights`` (n_rows,).

    Raises
    ------
    InvalidData
        As in ``read_values``, naming the column; or if no training row has a value of a target.
    """
    table = _table(y)
    columns, means, deviations = [], [], []
    for j in range(table.shape[1]):
        name = repr(names[j]) if names else str(j)
        try:
            column, mean, deviation = read_values(
                table[:, j], n_rows, missing=True, counted=counted, weights=weights
            )
        except InvalidData as error:
            raise InvalidData(f"y: column {name}: {str(error).removeprefix('y: ')}") from None
        if bool(column[torch.from_numpy(counted)].isnan().all()):
            raise InvalidData(
                f"y: column {name}: no value is known in the rows to train on; leave the column "
                "out, or hold out other rows (random_state)."
            )
        columns.append(column)
        means.append(mean)
        deviations.append(deviation)
    return torch.stack(columns, dim=1), np.array(means), np.array(deviations)


def table_of_values(y: Any) -> np.ndarray:
    """Return y of several columns as float64, NaN where a value is unknown.

    Raises
    ------
    InvalidData
        If a value is not a number.
    """
    try:
        return _table(y).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidData(f"y: {error}; give numbers.") from None


def _table(y: Any) -> np.ndarray:
    if sp.issparse(y):
        raise InvalidData("y: is sparse; give y.toarray().")
    table = np.asarray(plain_array(y))
    if table.shape[1] == 0:
        raise InvalidData("y: has no column.")
    return table
