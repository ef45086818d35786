"""Measure how well the missing cells of a table are filled in, on known cells that are hidden."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 -- makes the next import work
from sklearn.impute import IterativeImputer, KNNImputer
from torch import Generator

from narrows.applications.filling.linear_fill import ColumnScale, fit_linear_fill, hide_cells
from narrows.applications.printing import shown_as_table
from narrows.errors import InvalidData, first_names

__all__ = ["ImputationCheck", "baseline_imputers", "check_imputation"]

HIDDEN = 0.1
"""Share of the known cells that is hidden."""

_NEIGHBORS = 20
_KNN_ROWS = 10_000
_ITERATIVE_COLUMNS = 100
"""Above these sizes scikit-learn's imputers take minutes, and are left out."""

Impute = Callable[[np.ndarray], np.ndarray]


@shown_as_table
@dataclass(frozen=True, repr=False)
class ImputationCheck:
    """Root mean squared error of hidden cells, in standard deviations of their columns.

    Attributes
    ----------
    errors : dict of str to dict of str to float
        By imputer, then by column; NaN if no cell of a column was hidden.
    overall : dict of str to float
        By imputer, over all hidden cells.
    n_hidden : int
    left_out : list of str
        Imputers that would take too long.
    """

    errors: dict[str, dict[str, float]]
    overall: dict[str, float]
    n_hidden: int
    left_out: list[str]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def table(self) -> str:
        """Return lines to print."""
        imputers = [*self.overall]
        columns = [*next(iter(self.errors.values()))]
        first = min(40, max(12, *(len(column) for column in columns)))
        lines = [" " * first + "".join(f"{name:>18}" for name in imputers)]
        for column in columns:
            cells = [self.errors[name][column] for name in imputers]
            lines.append(_line(column, cells, first))
        lines.append(_line("all columns", list(self.overall.values()), first))
        lines.append(
            f"RMSE of {self.n_hidden} hidden cells, a tenth of the known ones, in standard "
            "deviations of their columns"
        )
        if self.left_out:
            lines.append(f"left out, because the table is too large: {', '.join(self.left_out)}")
        return "\n".join(lines)


def _line(name: str, errors: Sequence[float], width: int) -> str:
    cells = ("-" if math.isnan(error) else f"{error:.3f}" for error in errors)
    return f"{name[:width]:<{width}}" + "".join(f"{cell:>18}" for cell in cells)


def baseline_imputers(
    n_rows: int, n_features: int, *, seed: int
) -> tuple[dict[str, Impute], list[str]]:
    """Return imputers without a net, by name, and the names of those that would take too long.

    20-NN is of standardized columns.
    """
    imputers: dict[str, Impute] = {
        "linear": lambda X: _by_linear_fill(X, seed),
        "mean": lambda X: np.where(np.isnan(X), _scale(X).mean.numpy(), X),
    }
    knn, iterative = f"{_NEIGHBORS}-NN", "IterativeImputer"
    if n_rows <= _KNN_ROWS:
        imputers[knn] = _by_neighbors
    if n_features <= _ITERATIVE_COLUMNS:
        imputers[iterative] = lambda X: _by_regressions(X, seed)
    return imputers, [name for name in (knn, iterative) if name not in imputers]


def check_imputation(
    X: np.ndarray,
    names: Sequence[str],
    imputers: Mapping[str, Impute],
    *,
    left_out: Sequence[str] = (),
    seed: int,
) -> ImputationCheck:
    """Hide a tenth of the known cells of X (rows, features), and fill them in by every imputer.

    Imputers see X without the hidden cells, and return it filled in. ``left_out`` are the names of
    those that would take too long.

    Raises
    ------
    InvalidData
        If there are too few known cells to hide any.
    """
    X = X.astype(np.float64)
    generator = Generator().manual_seed(seed)
    hidden = hide_cells(torch.from_numpy(X), HIDDEN, generator=generator).numpy()
    if not hidden.any():
        raise InvalidData(
            f"X: {int((~np.isnan(X)).sum())} known cells in columns "
            f"{first_names([repr(name) for name in names])} are too few to hide a tenth of them; "
            "give more rows."
        )
    std = _scale(X).std.numpy()
    holed = np.where(hidden, np.nan, X)
    errors, overall = {}, {}
    for name, impute in imputers.items():
        squares = np.square(np.where(hidden, (impute(holed) - X) / std, 0.0))
        n_hidden = hidden.sum(axis=0)
        with np.errstate(invalid="ignore"):
            each = np.sqrt(squares.sum(axis=0) / n_hidden)
        errors[name] = dict(zip(names, each.tolist(), strict=True))
        overall[name] = float(np.sqrt(squares.sum() / n_hidden.sum()))
    return ImputationCheck(errors, overall, int(hidden.sum()), [*left_out])


def _scale(X: np.ndarray) -> ColumnScale:
    return ColumnScale.of(torch.from_numpy(X))


def _by_linear_fill(X: np.ndarray, seed: int) -> np.ndarray:
    x = torch.from_numpy(X)
    fill = fit_linear_fill(x, generator=Generator().manual_seed(seed))
    filled = fill.scale.inverse(fill.fill(fill.scale.forward(x))).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a column without a known cell
        return np.clip(filled, np.nanmin(X, axis=0), np.nanmax(X, axis=0))


def _by_neighbors(X: np.ndarray) -> np.ndarray:
    scale = _scale(X)
    z: np.ndarray = scale.forward(torch.from_numpy(X)).numpy()
    filled = KNNImputer(n_neighbors=_NEIGHBORS, keep_empty_features=True).fit_transform(z)
    return scale.inverse(torch.from_numpy(np.asarray(filled))).numpy()


def _by_regressions(X: np.ndarray, seed: int) -> np.ndarray:
    imputer = IterativeImputer(random_state=seed % 2**32, keep_empty_features=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of its defaults
        return np.asarray(imputer.fit_transform(X))
