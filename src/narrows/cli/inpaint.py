"""narrows inpaint: hidden values from the known ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._common import (
    PATH,
    SEED,
    check_outputs,
    data_argument,
    json_option,
    model_argument,
    open_model,
    print_json,
    rows_option,
    shape_option,
)
from narrows.cli._data import open_data
from narrows.cli._progress import RowsProgress, quiet_option
from narrows.cli._row_names import in_figure, row_names

if TYPE_CHECKING:
    from torch import Tensor

    from narrows.data.source import Source
    from narrows.writers.images import ImageFolder

__all__ = ["inpaint"]

_MASKS = "--mask FILE.npy, quadrant, square:14 or missing:0.5"
_AMONG = 0.01
"""A larger share of rows that are baselines themselves is warned of: more than duplicates."""


@click.command(short_help="Fill in hidden parts of images, or a table's missing values.")
@model_argument
@data_argument
@click.option("--mask", metavar="MASK", help="What is hidden: a .npy file of booleans, quadrant, "
              "square:14 (pixels), or missing:0.5. Missing values are hidden anyway.")  # fmt: skip
@click.option("--method", default="auto", show_default=True,
              help="auto, pass, projection or code.")  # fmt: skip
@rows_option("the filled rows")
@click.option("--figure", type=PATH, help="Where to draw original, hidden, filled in.")
@click.option("--baselines", metavar="TRAIN", help="Training data: measure mean fill, PCA-30 (a "
              "Gaussian for 30 columns or fewer) and the nearest row too.")  # fmt: skip
@click.option("-n", "--rows", type=click.IntRange(1, 100), default=10, show_default=True,
              help="Samples in the figure, evenly spaced through those of which something is "
              "filled in; at most six if they are not images.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True,
              help="Of the mask's draw and of the search.")  # fmt: skip
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
    """Fill in what --mask hides of DATA, and what is missing (empty cells, NaN).

    Known values stay as they are, as float32. With --mask the error is measured on the values
    that it hides; --baselines measures, in the same table, the fills that need no net.
    """
    import numpy as np
    import torch
    from torch import Generator, Tensor

    from narrows.applications.filling.baseline_fills import BASELINE_ROWS, fit_baselines
    from narrows.applications.filling.hidden import read_mask
    from narrows.applications.filling.inpainting import inpainted
    from narrows.applications.filling.inpainting_comparison import measure_inpainting
    from narrows.data.source import evenly_spaced
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
    fitted, source = estimator._validated_query(opened)
    called = row_names(opened, output, figure)
    shape = image_shape_of(fitted, image_shape) or source.image_shape
    hidden = np.zeros((1, source.n_features), dtype=bool)
    if mask is not None:
        hidden = read_mask(mask, source.n_rows, source.n_features, shape, seed=seed)
    filled_rows = _missing(source) | torch.from_numpy(hidden.any(axis=1))
    if not filled_rows.any():
        click.echo(
            f"Warning: {data}: nothing is hidden and no value is missing, so that the rows come "
            f"back as they are: give {_MASKS}, or rows with empty cells or NaN.",
            err=True,
        )
    progress = RowsProgress(quiet)
    beside = None
    if baselines is not None:
        training = _rows_of(baselines, estimator)
        progress.say(f"fitting the baselines: {min(training.n_rows, BASELINE_ROWS)} rows")
        beside = fit_baselines(
            fitted.scaling, training, n_features=fitted.schema.n_features, seed=seed
        )
        _warn_of_same(beside.n_among(source), source.n_rows, baselines)
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
                row_names=called,
            )  # fmt: skip
        results |= {"output": str(output), "shape": written}
        lines.append(f"output: {output}")
    if mask is not None:
        with progress.counting(source.n_rows, "measuring") as passed:
            found = measure_inpainting(
                fitted, source, hidden, method=method, baselines=beside, seed=seed, passed=passed
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
            fitted, shown, part.numpy(), method=method, baselines=beside, image_shape=shape,
            lines=in_figure(called, at.tolist()), seed=seed,
        )  # fmt: skip
        save_figure(picture, figure)
        results["figure"] = str(figure)
        lines.append(f"figure: {figure}")
    if as_json:
        print_json(results)
    else:
        click.echo("\n".join(lines))


def _rows_of(name: str, estimator: Any) -> Any:
    """Return a source of rows that are no texts, images in the size of the model's."""
    from narrows.data.source import Source

    data = open_data(name, estimator)
    if not isinstance(data, Source):
        raise click.UsageError(f"--baselines {name}: holds texts; give rows of numbers.")
    return data


def _fills(blocks: Iterable[tuple[Any, Any]], passed: Callable[[int], None]) -> Iterator[Any]:
    for fill, _ in blocks:
        yield fill
        passed(len(fill))


def _missing(source: Source) -> Tensor:
    """Return which rows may hold NaN, (n_rows,): sparse rows are refused by another rule."""
    import torch

    from narrows.core.slots import dense_rows

    if source.sparse:
        return torch.ones(source.n_rows, dtype=torch.bool)
    return torch.cat([dense_rows(rows).isnan().any(dim=1) for rows in source.in_order(4096)])


def _warn_of_same(n_same: int, n_rows: int, baselines: str) -> None:
    if n_same > _AMONG * n_rows:
        click.echo(
            f"Warning: --baselines {baselines}: holds {n_same} of the {n_rows} rows of DATA, so "
            "that the nearest row is the row itself, and its error says nothing of new rows; give "
            "training rows, and DATA that are none of them.",
            err=True,
        )
