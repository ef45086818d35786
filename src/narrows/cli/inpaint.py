"""narrows inpaint: fill in hidden or missing values from the known ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._data import names_in_figure, open_data, row_names
from narrows.cli._models import open_model
from narrows.cli._options import (
    PATH,
    SEED,
    FigureOptions,
    collected,
    data_argument,
    figure_rows_option,
    json_option,
    model_argument,
    quiet_option,
    row_output_option,
    shape_option,
)
from narrows.cli._outputs import check_outputs, file_lines, print_results
from narrows.cli._progress import RowsProgress

if TYPE_CHECKING:
    from narrows.applications.filling.baseline_fills import Baselines
    from narrows.data.source import Source
    from narrows.writers.images import ImageFolder

__all__ = ["inpaint"]

_MASKS = "--mask FILE.npy, quadrant, square:14 or missing:0.5"
_COPIES = 0.01
"""Warn if a larger share of DATA is among the training rows: these are not mere duplicates."""


@dataclass(frozen=True)
class _FillOptions:
    """What is hidden, how it is filled in, and what the fill is compared with."""

    mask: str | None
    method: str
    baselines: str | None
    seed: int


@click.command(short_help="Fill in hidden parts of images, or a table's missing values.")
@model_argument
@data_argument
@click.option(
    "--mask", metavar="MASK",
    help="What to hide: a .npy file of booleans, quadrant, square:14 (pixels), or missing:0.5. "
         "Missing values are always filled in.",
)  # fmt: skip
@click.option("--method", default="auto", show_default=True,
              help="How to fill in: auto, pass, projection or code.")  # fmt: skip
@row_output_option("the filled rows")
@click.option("--figure", type=PATH, help="Where to draw rows before hiding, with values "
              "hidden, and filled in.")  # fmt: skip
@click.option(
    "--baselines", metavar="TRAIN",
    help="Training data: also measure filling in by the mean, by PCA with 30 components (a "
         "Gaussian for 30 columns or fewer) and by the nearest row.",
)  # fmt: skip
@figure_rows_option("evenly spaced among those with values to fill in")
@click.option("--seed", type=SEED, default=0, show_default=True,
              help="Seed of a random mask and of the search for codes.")  # fmt: skip
@shape_option
@collected("fill", _FillOptions)
@collected("figure_options", FigureOptions)
@quiet_option
@json_option
def inpaint(
    model: Path,
    data: str,
    fill: _FillOptions,
    output: Path | ImageFolder | None,
    figure_options: FigureOptions,
    quiet: bool,
    as_json: bool,
) -> None:
    """Fill in the values of DATA that --mask hides or that are missing (empty cells, NaN).

    Known values do not change. With --mask, print the error on the values that it hides;
    --baselines adds methods without a net.
    """
    import numpy as np
    import torch
    from torch import Generator, Tensor

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

    figure, mask = figure_options.figure, fill.mask
    if output is None and figure is None and mask is None:
        raise click.UsageError(
            f"give at least one of --mask, -o and --figure: {_MASKS} hides values and measures the "
            "fill; -o and --figure write and draw rows with hidden and missing values filled in."
        )
    if fill.baselines is not None and mask is None and figure is None:
        raise click.UsageError(f"--baselines are measured on hidden values; give {_MASKS}.")
    check_outputs(output, figure, model, data, mask, fill.baselines)
    estimator = open_model(model)
    opened = open_data(data, estimator)
    fitted, source = query_rows(estimator, opened)
    named = row_names(opened, output, figure)
    shape = image_shape_of(fitted, figure_options.image_shape) or source.image_shape
    hidden = np.zeros((1, source.n_features), dtype=bool)
    if mask is not None:
        hidden = read_mask(mask, source.n_rows, source.n_features, shape, seed=fill.seed)
    filled_rows = incomplete_rows(source) | torch.from_numpy(hidden.any(axis=1))
    if not filled_rows.any():
        click.echo(
            f"Warning: {data}: nothing is hidden and no value is missing, so the rows stay as they "
            f"are: give {_MASKS}, or rows with empty cells or NaN.",
            err=True,
        )
    progress = RowsProgress(quiet)
    baselines = None
    if fill.baselines is not None:
        baselines = _fitted_baselines(fill.baselines, estimator, source, progress, fill.seed)
    results: dict[str, object] = {}
    lines = []
    if output is not None:
        generator = Generator().manual_seed(fill.seed)
        blocks = inpainted(fitted, source, hidden, method=fill.method, generator=generator)
        with progress.counting(source.n_rows, "filling in") as passed:
            filled = _fills(blocks, passed)
            written = write_model_rows(
                output, filled, fitted, n_rows=source.n_rows, image_shape=shape, data=data,
                row_names=named,
            )  # fmt: skip
        results |= {"output": str(output), "shape": written}
    if mask is not None:
        with progress.counting(source.n_rows, "measuring") as passed:
            found = measure_inpainting(
                fitted,
                source,
                hidden,
                method=fill.method,
                baselines=baselines,
                seed=fill.seed,
                passed=passed,
            )
        results |= found.as_dict()
        lines.append(found.table())
    if figure is not None:
        candidates = (filled_rows if filled_rows.any() else ~filled_rows).nonzero()[:, 0]
        at = candidates[evenly_spaced(len(candidates), n_drawn(fitted, figure_options.rows, shape))]
        shown = source.at(at)
        assert isinstance(shown, Tensor)
        progress.say(f"drawing: {len(shown)} rows")
        part = torch.from_numpy(np.array(hidden[at if len(hidden) > 1 else [0]])) | shown.isnan()
        picture = inpainting_figure(
            fitted, shown, part.numpy(), method=fill.method, baselines=baselines,
            image_shape=shape, lines=names_in_figure(named, at.tolist()), seed=fill.seed,
        )  # fmt: skip
        save_figure(picture, figure)
        results["figure"] = str(figure)
    print_results(results, lines + file_lines(results), as_json=as_json)


def _fitted_baselines(
    train: str, estimator: Any, source: Source, progress: RowsProgress, seed: int
) -> Baselines:
    """Return the baselines fitted to the rows that --baselines names.

    Warn if too many rows of ``source`` are among them.
    """
    from narrows.applications.filling.baseline_fills import BASELINE_ROWS, fit_baselines
    from narrows.data.source import Source

    training = open_data(train, estimator)
    if not isinstance(training, Source):
        raise click.UsageError(f"--baselines {train}: holds texts; give rows of numbers.")
    progress.say(f"fitting the baselines: {min(training.n_rows, BASELINE_ROWS)} rows")
    model = estimator.model_
    baselines = fit_baselines(
        model.scaling, training, n_features=model.schema.n_features, seed=seed
    )
    n_copies = baselines.n_among(source)
    if n_copies > _COPIES * source.n_rows:
        click.echo(
            f"Warning: --baselines {train}: contains {n_copies} of the {source.n_rows} rows of "
            "DATA. Their nearest row is the row itself, so its error says nothing about new rows; "
            "give training rows, and DATA that are not among them.",
            err=True,
        )
    return baselines


def _fills(blocks: Iterable[tuple[Any, Any]], passed: Callable[[int], None]) -> Iterator[Any]:
    """Yield the filled rows of blocks, and report the number of rows of each."""
    for fill, _ in blocks:
        yield fill
        passed(len(fill))
