"""The walks of narrows generate: perturbed, traversed and interpolated rows, and their pictures."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from narrows.applications.generation.walks import code_mean_and_root, steps_of
from narrows.cli._data import open_data
from narrows.cli._row_names import in_figure, row_names
from narrows.data.arrays import array_source
from narrows.data.source import evenly_spaced
from narrows.errors import InvalidData, UsageError
from narrows.figures.generation import walk_figure
from narrows.figures.lettering import fitting
from narrows.writers.images import write_model_rows

if TYPE_CHECKING:
    from narrows.estimators import AbstractAutoencoder
    from narrows.writers.images import ImageFolder

__all__ = ["WALKS", "check_options", "write_walk"]

_IN_FIGURE = 32
_NAME = 1.3  # inches


@dataclass(frozen=True)
class _Walk:
    """A grid of generated rows, and how it is drawn: with data before it or behind it."""

    grid: np.ndarray
    lines: list[str]
    columns: list[str]
    before: np.ndarray
    title: str
    behind: np.ndarray | None = None
    drawn: np.ndarray | None = None


def perturb(estimator: AbstractAutoencoder, data: str, options: dict[str, Any]) -> _Walk:
    """Take some rows of the data, and each amount a line."""
    n, amounts = 8 if options["n"] is None else options["n"], options["amount"] or (0.5,)
    rows, names = _evenly(estimator, data, options["rows"])
    grids = [
        estimator.perturb(
            array_source(rows),
            amount=amount,
            n_samples=n,
            noise=options["noise"],
            random_state=options["seed"],
        )
        for amount in amounts
    ]
    # the lines of a row stand together
    grid = np.stack(grids, axis=1).reshape(len(rows) * len(amounts), n, -1)
    return _Walk(
        grid,
        [f"{name}, amount {amount:g}" for name in names for amount in amounts],
        [str(i) for i in range(1, n + 1)],
        rows.repeat(len(amounts), axis=0),
        "rows, and what their codes with noise decode to; amounts in standard deviations",
    )


def traverse(estimator: AbstractAutoencoder, data: str, options: dict[str, Any]) -> _Walk:
    """Take one row of the data, and each component a line."""
    from narrows.data.source import rows_at

    opened = open_data(data, estimator)
    model, source = estimator._validated_query(opened)
    number = options["row"]
    if not 0 <= number < source.n_rows:
        raise UsageError(f"--row: must be from 0 to {source.n_rows - 1}, got {number}.")
    (name,) = _short(opened, [number])
    row = rows_at(source, np.array([number])).numpy()
    components = list(options["component"]) or list(range(model.n_components))
    n = 9 if options["n"] is None else options["n"]
    grid = estimator.traverse(array_source(row), components, n_steps=n, span=options["span"])
    drawn = None
    if not options["component"] and len(components) > _IN_FIGURE:
        spread = code_mean_and_root(model)[1].square().sum(dim=1).numpy()
        drawn = np.sort(np.argsort(-spread, kind="stable")[:_IN_FIGURE])
    return _Walk(
        grid.reshape(*grid.shape[:2], -1),
        [f"component {j}" for j in components],
        [f"{step:+.2g}" if step else "0" for step in steps_of(n, options["span"])],
        row.repeat(len(components), axis=0),
        f"{name}, and its code with one component moved by so many standard deviations",
        drawn=drawn,
    )


def interpolate(estimator: AbstractAutoencoder, data: str, options: dict[str, Any]) -> _Walk:
    """Take some rows of the data, and each two neighbors a line."""
    rows, names = _evenly(estimator, data, options["rows"])
    if len(rows) < 2:
        raise InvalidData(f"{data}: a way needs two rows, got {len(rows)}; take more --rows.")
    n = 9 if options["n"] is None else options["n"]
    ends = array_source(rows[:-1]), array_source(rows[1:])
    grid = estimator.interpolate(*ends, n, method=options["method"])
    columns = [f"{t:.3g}" for t in np.linspace(0, 1, n)]
    lines = [f"{a} to {b}" for a, b in pairwise(names)]
    title = "from one row to the next: so much of the way between their codes"
    grid = grid.reshape(*grid.shape[:2], -1)
    return _Walk(grid, lines, columns, rows[:-1], title, rows[1:])


WALKS = {"perturb": perturb, "traverse": traverse, "interpolate": interpolate}


def write_walk(
    estimator: AbstractAutoencoder,
    kind: str,
    data: str,
    *,
    output: Path | ImageFolder | None,
    figure: Path | None,
    image_shape: tuple[int, ...] | None,
    options: dict[str, Any],
) -> dict[str, Any]:
    """Do what one of WALKS does, write its rows line by line, draw it; return what to print."""
    from narrows.figures.saving import save_figure

    walk = WALKS[kind](estimator, data, options)
    n_lines, n_columns, n_features = walk.grid.shape
    model = estimator.model_
    results: dict[str, Any] = {"lines": n_lines, "columns": n_columns}
    if output is not None:
        flat = walk.grid.reshape(-1, n_features)
        shape = write_model_rows(output, [flat], model, n_rows=len(flat), image_shape=image_shape)
        results |= {"output": str(output), "shape": shape}
    if figure is not None:
        sides = [walk.before, walk.grid, *([] if walk.behind is None else [walk.behind])]
        grid = np.concatenate([s if s.ndim == 3 else s[:, None] for s in sides], axis=1)
        last = [] if walk.behind is None else [n_columns + 1]
        named = ["data", *walk.columns, *["data" for _ in last]]
        drawn = np.arange(min(n_lines, _IN_FIGURE)) if walk.drawn is None else walk.drawn
        picture = walk_figure(
            model,
            grid[drawn],
            lines=[walk.lines[line] for line in drawn],
            columns=named,
            given=[0, *last],
            title=walk.title,
            image_shape=image_shape,
        )
        save_figure(picture, figure)
        results["figure"] = str(figure)
    return results


def _evenly(estimator: AbstractAutoencoder, data: str, n_rows: int) -> tuple[np.ndarray, list[str]]:
    """Return rows spaced evenly through the data, (at most n_rows, n_features), dense, and what
    they are called."""
    from narrows.core.slots import dense_rows

    opened = open_data(data, estimator)
    _, source = estimator._validated_query(opened)
    numbers = evenly_spaced(source.n_rows, n_rows).tolist()
    return dense_rows(source.evenly(n_rows)).numpy(), _short(opened, numbers)


def _short(opened: Any, numbers: list[int]) -> list[str]:
    return [fitting(name, 7, _NAME) for name in in_figure(row_names(opened), numbers)]


def check_options(context: click.Context, kind: str) -> None:
    """Refuse, by name, options that were given for another kind of generating."""
    for name, kinds in _BELONGS.items():
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and kind not in kinds:
            wanted = " or ".join(f"--{k}" if k in WALKS else "new rows" for k in kinds)
            raise click.UsageError(f"--{name.replace('_', '-')} is for {wanted}.")


_BELONGS = {
    "density": ("sample",),
    "check": ("sample",),
    "held_out": ("sample",),
    "amount": ("perturb",),
    "noise": ("perturb",),
    "row": ("traverse",),
    "component": ("traverse",),
    "span": ("traverse",),
    "method": ("interpolate",),
    "rows": ("perturb", "interpolate"),
    "seed": ("sample", "perturb"),
}
