"""narrows reconstruct: rows through the code and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from narrows.cli._common import (
    PATH,
    check_image_shape,
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
from narrows.cli._row_names import in_figure, row_names

if TYPE_CHECKING:
    from narrows.writers.images import ImageFolder

__all__ = ["reconstruct"]


@click.command(short_help="Write reconstructions, or draw them beside PCA's.")
@model_argument
@data_argument
@rows_option("all of them")
@click.option("--figure", type=PATH, help="Where to draw: rows of data, reconstruction, PCA.")
@click.option("-n", "--rows", type=click.IntRange(1, 100), default=10, show_default=True,
              help="Samples in the figure, evenly spaced through the data; at most six if "
              "they are not images.")  # fmt: skip
@shape_option
@json_option
def reconstruct(
    model: Path,
    data: str,
    output: Path | ImageFolder | None,
    figure: Path | None,
    rows: int,
    image_shape: tuple[int, ...] | None,
    as_json: bool,
) -> None:
    """Write what DATA become by way of the code, in their own units."""
    from narrows.data.source import evenly_spaced
    from narrows.figures.rows import n_drawn, reconstruction_figure
    from narrows.figures.saving import save_figure
    from narrows.model.coding import reconstructions
    from narrows.writers.images import write_model_rows

    if output is None and figure is None:
        raise click.UsageError("give -o, --figure, or both.")
    check_outputs(output, figure, model, data)
    estimator = open_model(model)
    opened = open_data(data, estimator)
    _, source = estimator._validated_query(opened)
    called = row_names(opened, output, figure)
    check_image_shape(estimator.model_, image_shape)
    results: dict[str, object] = {}
    if output is not None:
        blocks = reconstructions(estimator.model_, source)
        shape = write_model_rows(
            output, blocks, estimator.model_, n_rows=source.n_rows, data=data,
            row_names=called,
            image_shape=image_shape or estimator.model_.schema.image_shape or source.image_shape,
        )  # fmt: skip
        results |= {"output": str(output), "shape": shape}
    if figure is not None:
        drawn_shape = image_shape or source.image_shape
        rows = n_drawn(estimator.model_, rows, drawn_shape)
        drawn = reconstruction_figure(
            estimator.model_,
            source.evenly(rows),
            image_shape=drawn_shape,
            lines=in_figure(called, evenly_spaced(source.n_rows, rows).tolist()),
        )
        save_figure(drawn, figure)
        results["figure"] = str(figure)
    if as_json:
        print_json(results)
    else:
        for key in ("output", "figure"):
            if key in results:
                click.echo(f"{key}: {results[key]}")
