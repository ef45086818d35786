"""Make, write and draw the walks of `narrows generate`: perturb, traverse, interpolate."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from narrows.applications.generation.walks import most_varying_components, steps_of
from narrows.cli._data import names_in_figure, open_data, row_names
from narrows.data.array_sources import array_source
from narrows.data.source import evenly_spaced, evenly_spaced_rows
from narrows.errors import InvalidData, UsageError
from narrows.estimators.inputs import query_rows
from narrows.figures.generation import walk_figure
from narrows.figures.text_layout import fitting
from narrows.writers.images import write_model_rows

if TYPE_CHECKING:
    from narrows.estimators.autoencoders.base import AbstractAutoencoder
    from narrows.writers.images import ImageFolder

__all__ = ["WALKS", "check_options", "write_walk"]

_IN_FIGURE = 32
_NAME_WIDTH = 1.3  # inches


@dataclass(frozen=True)
class _Walk:
    """Generated rows ``grid`` (n_lines, n_columns, n_features), and how to draw them.

    Each line starts at a row of data, of ``starts`` (n_lines, n_features), and may end at one of
    ``ends``. ``drawn`` holds the numbers of the lines to draw; None draws the first ones.
    """

    grid: np.ndarray
    lines: list[str]
    columns: list[str]
    starts: np.ndarray
    title: str
    ends: np.ndarray | None = None
    drawn: np.ndarray | None = None


def perturb(estimator: AbstractAutoencoder, data: str, options: dict[str, Any]) -> _Walk:
    """Decode the codes of some rows with noise added: one line per row and amount."""
    n, amounts = 8 if options["n"] is None else options["n"], options["amount"] or (0.5,)
    rows, names = _spaced_rows(estimator, data, options["rows"])
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
    # the lines of one row are adjacent
    grid = np.stack(grids, axis=1).reshape(len(rows) * len(amounts), n, -1)
    return _Walk(
        grid,
        [f"{name}, amount {amount:g}" for name in names for amount in amounts],
        [str(i) for i in range(1, n + 1)],
        rows.repeat(len(amounts), axis=0),
        "rows, and their codes decoded with noise added; amounts in standard deviations",
    )


def traverse(estimator: AbstractAutoencoder, data: str, options: dict[str, Any]) -> _Walk:
    """Decode the code of one row with one component moved: one line per component."""
    from narrows.data.source import rows_at

    opened = open_data(data, estimator)
    model, source = query_rows(estimator, opened)
    number = options["row"]
    if not 0 <= number < source.n_rows:
        raise UsageError(f"--row: must be from 0 to {source.n_rows - 1}, got {number}.")
    (name,) = _short_names(opened, [number])
    row = rows_at(source, np.array([number])).numpy()
    components = list(options["component"]) or list(range(model.n_components))
    n = 9 if options["n"] is None else options["n"]
    grid = estimator.traverse(array_source(row), components, n_steps=n, span=options["span"])
    drawn = None
    if not options["component"] and len(components) > _IN_FIGURE:
        drawn = most_varying_components(model, _IN_FIGURE)
    return _Walk(
        grid.reshape(*grid.shape[:2], -1),
        [f"component {j}" for j in components],
        [f"{step:+.2g}" if step else "0" for step in steps_of(n, options["span"])],
        row.repeat(len(components), axis=0),
        f"{name}, and its code decoded with one component moved; steps in standard deviations",
        drawn=drawn,
    )


def interpolate(estimator: AbstractAutoencoder, data: str, options: dict[str, Any]) -> _Walk:
    """Interpolate from each row to the next: one line per pair."""
    rows, names = _spaced_rows(estimator, data, options["rows"])
    if len(rows) < 2:
        raise InvalidData(
            f"{data}: interpolation needs at least two rows, got {len(rows)}; raise --rows."
        )
    n = 9 if options["n"] is None else options["n"]
    ends = array_source(rows[:-1]), array_source(rows[1:])
    grid = estimator.interpolate(*ends, n, method=options["method"])
    columns = [f"{t:.3g}" for t in np.linspace(0, 1, n)]
    lines = [f"{a} to {b}" for a, b in pairwise(names)]
    title = "from one row to the next; columns are fractions of the way between their codes"
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
    """Make a walk, one of WALKS, write and draw it; return the results to print."""
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
        ends = [] if walk.ends is None else [walk.ends[:, None]]
        grid = np.concatenate([walk.starts[:, None], walk.grid, *ends], axis=1)
        drawn = np.arange(min(n_lines, _IN_FIGURE)) if walk.drawn is None else walk.drawn
        picture = walk_figure(
            model,
            grid[drawn],
            lines=[walk.lines[line] for line in drawn],
            columns=["data", *walk.columns, *("data" for _ in ends)],
            given=[0, *(n_columns + 1 for _ in ends)],
            title=walk.title,
            image_shape=image_shape,
        )
        save_figure(picture, figure)
        results["figure"] = str(figure)
    return results


def _spaced_rows(
    estimator: AbstractAutoencoder, data: str, n_rows: int
) -> tuple[np.ndarray, list[str]]:
    """Return at most ``n_rows`` rows, evenly spaced through the data, dense, and their names."""
    from narrows.core.sparse import dense_rows

    opened = open_data(data, estimator)
    _, source = query_rows(estimator, opened)
    numbers = evenly_spaced(source.n_rows, n_rows).tolist()
    return dense_rows(evenly_spaced_rows(source, n_rows)).numpy(), _short_names(opened, numbers)


def _short_names(opened: Any, numbers: list[int]) -> list[str]:
    return [fitting(name, 7, _NAME_WIDTH) for name in names_in_figure(row_names(opened), numbers)]


def check_options(context: click.Context, kind: str) -> None:
    """Refuse options that do not apply to ``kind``, "sample" or one of WALKS."""
    for name, kinds in _KINDS_OF_OPTIONS.items():
        given = context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
        if given and kind not in kinds:
            wanted = " or ".join(f"--{k}" if k in WALKS else "sampling" for k in kinds)
            raise click.UsageError(f"--{name.replace('_', '-')} applies only to {wanted}.")


_KINDS_OF_OPTIONS = {
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
