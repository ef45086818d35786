"""Read a y of several columns into a tensor for the loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from torch import Tensor

from narrows.data.arrays import plain_array
from narrows.errors import InvalidData
from narrows.estimators._targets import has_columns, read_values

__all__ = ["read_several_values", "table_of_values", "target_names"]


def target_names(y: Any) -> list[str] | None:
    """Return the names of a frame's columns, None where y has none, or they are not all strings."""
    if not has_columns(y):
        return None
    # an arrow table's columns are no names
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
    """Return y (n_rows, n_targets), each target standardised, float32, with the targets' means and
    deviations, float64 (n_targets,). NaN, of a value that is not known, stays.

    Means and deviations are of the rows of the mask ``counted``, bool (n_rows,), by their
    ``weights`` (n_rows,).

    Raises
    ------
    InvalidData
        As ``read_values``, naming the column; or if no row to train on has a value of a target.
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
    """Return y of several columns as float64, NaN where a value is not known.

    Raises
    ------
    InvalidData
        If a value is no number.
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
