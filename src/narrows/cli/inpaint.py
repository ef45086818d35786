"""narrows inpaint: fill in hidden or missing values from the known ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._data import names_in_figure, open_data, row_names
from narrows.cli._models import open_model
from narrows.cli._options import (
    PATH,
    SEED,
    data_argument,
    figure_rows_option,
    json_option,
    model_argument,
    quiet_option,
    rows_option,
    shape_option,
)
from narrows.cli._outputs import check_outputs, print_results
from narrows.cli._progress import RowsProgress

if TYPE_CHECKING:
    from narrows.writers.images import ImageFolder

__all__ = ["inpaint"]

_MASKS = "--mask FILE.npy, quadrant, square:14 or missing:0.5"
_COPIES = 0.01
"""A larger share of rows that are among the baselines' is warned of: these are not duplicates."""


@click.command(short_help="Fill in hidden parts of images, or a table's missing values.")
@model_argument
@data_argument
@click.option(
    "--mask", metavar="MASK",
    help="What to hide: a .npy file of booleans, quadrant, square:14 (pixels), or missing:0.5. "
         "Missing values are hidden in any case.",
)  # fmt: skip
@click.option("--method", default="auto", show_default=True,
              help="How to fill in: auto, pass, projection or code.")  # fmt: skip
@rows_option("the filled rows")
@click.option("--figure", type=PATH, help="Where to draw rows as they are, with values "
              "hidden, and filled in.")  # fmt: skip
@click.option(
    "--baselines", metavar="TRAIN",
    help="Training data: also measure filling in the mean, by PCA-30 (a Gaussian for 30 columns "
         "or fewer) and by the nearest row.",
)  # fmt: skip
@figure_rows_option("evenly spaced through those with values to fill in")
@click.option("--seed", type=SEED, default=0, show_default=True,
              help="Seed of a random mask and of the search for codes.")  # fmt: skip
@shape_option
@quiet_option
@json_option
def inpaint(
    model: Path,
    data: str,
    mask: str | None,
    method: str,
    output: Path | ImageFolder | None,
    figure: Path | None,
    baselines: str | None,
    rows: int,
    seed: int,
    image_shape: tuple[int, ...] | None,
    quiet: bool,
    as_json: bool,
) -> None:
    """Fill in the values of DATA that --mask hides or that are missing (empty cells, NaN).

    Known values stay, as float32. With --mask, print the error on the values that it hides;
    --baselines adds methods that need no net to the table.
    """
    import numpy as np
    import torch
    from torch import Generator, Tensor

    from narrows.applications.filling.baseline_fills import BASELINE_ROWS, fit_baselines
    from narrows.applications.filling.hidden import read_mask
    from narrows.applications.filling.inpainting import incomplete_rows, inpainted
    from narrows.applications.filling.inpainting_comparison import measure_inpainting
    from narrows.data.source import evenly_spaced
    from narrows.estimators.inputs import query_rows
    from narrows.figures.inpainting import inpainting_figure
    from narrows.figures.rows import n_drawn
    from narrows.figures.saving import save_figure
    from narrows.writers.images import write_model_rows
    from narrows.writers.pixels import image_shape_of

    if output is None and figure is None and mask is None:
        raise click.UsageError(
            f"give --mask, -o, --figure, or several: {_MASKS} hides values and measures the fill; "
            "-o and --figure fill in what is hidden, and what is missing (empty cells, NaN)."
        )
    if baselines is not None and mask is None and figure is None:
        raise click.UsageError(f"--baselines are measured on what a mask hides: give {_MASKS}.")
    check_outputs(output, figure, model, data, mask, baselines)
    estimator = open_model(model)
    opened = open_data(data, estimator)
    fitted, source = query_rows(estimator, opened)
    named = row_names(opened, output, figure)
    shape = image_shape_of(fitted, image_shape) or source.image_shape
    hidden = np.zeros((1, source.n_features), dtype=bool)
    if mask is not None:
        hidden = read_mask(mask, source.n_rows, source.n_features, shape, seed=seed)
    filled_rows = incomplete_rows(source) | torch.from_numpy(hidden.any(axis=1))
    if not filled_rows.any():
        click.echo(
            f"Warning: {data}: nothing is hidden and no value is missing, so the rows stay as they "
            f"are: give {_MASKS}, or rows with empty cells or NaN.",
            err=True,
        )
    progress = RowsProgress(quiet)
    fitted_baselines = None
    if baselines is not None:
        training = _training_rows(baselines, estimator)
        progress.say(f"fitting the baselines: {min(training.n_rows, BASELINE_ROWS)} rows")
        fitted_baselines = fit_baselines(
            fitted.scaling, training, n_features=fitted.schema.n_features, seed=seed
        )
        _warn_of_copies(fitted_baselines.n_among(source), source.n_rows, baselines)
    results: dict[str, object] = {}
    lines = []
    if output is not None:
        blocks = inpainted(
            fitted, source, hidden, method=method, generator=Generator().manual_seed(seed)
        )
        with progress.counting(source.n_rows, "filling in") as passed:
            filled = _fills(blocks, passed)
            written = write_model_rows(
                output, filled, fitted, n_rows=source.n_rows, image_shape=shape, data=data,
                row_names=named,
            )  # fmt: skip
        results |= {"output": str(output), "shape": written}
        lines.append(f"output: {output}")
    if mask is not None:
        with progress.counting(source.n_rows, "measuring") as passed:
            found = measure_inpainting(
                fitted,
                source,
                hidden,
                method=method,
                baselines=fitted_baselines,
                seed=seed,
                passed=passed,
            )
        results |= found.as_dict()
        lines.append(found.table())
    if figure is not None:
        candidates = (filled_rows if filled_rows.any() else ~filled_rows).nonzero()[:, 0]
        at = candidates[evenly_spaced(len(candidates), n_drawn(fitted, rows, shape))]
        shown = source.at(at)
        assert isinstance(shown, Tensor)
        progress.say(f"drawing: {len(shown)} rows")
        part = torch.from_numpy(np.array(hidden[at if len(hidden) > 1 else [0]])) | shown.isnan()
        picture = inpainting_figure(
            fitted, shown, part.numpy(), method=method, baselines=fitted_baselines,
            image_shape=shape, lines=names_in_figure(named, at.tolist()), seed=seed,
        )  # fmt: skip
        save_figure(picture, figure)
        results["figure"] = str(figure)
        lines.append(f"figure: {figure}")
    print_results(results, lines, as_json=as_json)


def _training_rows(name: str, estimator: Any) -> Any:
    """Return the source that --baselines names, images in the size of the model's."""
    from narrows.data.source import Source

    data = open_data(name, estimator)
    if not isinstance(data, Source):
        raise click.UsageError(f"--baselines {name}: holds texts; give rows of numbers.")
    return data


def _fills(blocks: Iterable[tuple[Any, Any]], passed: Callable[[int], None]) -> Iterator[Any]:
    """Yield the filled rows of blocks, and report each block as passed."""
    for fill, _ in blocks:
        yield fill
        passed(len(fill))


def _warn_of_copies(n_copies: int, n_rows: int, baselines: str) -> None:
    if n_copies > _COPIES * n_rows:
        click.echo(
            f"Warning: --baselines {baselines}: holds {n_copies} of the {n_rows} rows of DATA, so "
            "their nearest row is the row itself, and its error tells nothing about new rows; give "
            "training rows, and DATA that are not among them.",
            err=True,
        )
