"""narrows reconstruct: reconstruct rows from their codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from narrows.cli._data import names_in_figure, open_data, row_names
from narrows.cli._models import open_model
from narrows.cli._options import (
    PATH,
    FigureOptions,
    collected,
    data_argument,
    figure_rows_option,
    json_option,
    model_argument,
    row_output_option,
    shape_option,
)
from narrows.cli._outputs import check_image_shape, check_outputs, file_lines, print_results

if TYPE_CHECKING:
    from narrows.writers.images import ImageFolder

__all__ = ["reconstruct"]


@click.command(short_help="Write reconstructions, or draw them beside PCA's.")
@model_argument
@data_argument
@row_output_option("the reconstructions")
@click.option("--figure", type=PATH, help="Where to draw rows, their reconstructions, and PCA's.")
@figure_rows_option()
@shape_option
@collected("figure_options", FigureOptions)
@json_option
def reconstruct(
    model: Path,
    data: str,
    output: Path | ImageFolder | None,
    figure_options: FigureOptions,
    as_json: bool,
) -> None:
    """Reconstruct DATA from their codes, in the units of DATA."""
    from narrows.data.source import evenly_spaced, evenly_spaced_rows
    from narrows.estimators.inputs import query_rows
    from narrows.figures.rows import n_drawn, reconstruction_figure
    from narrows.figures.saving import save_figure
    from narrows.model.coding import reconstructions
    from narrows.writers.images import write_model_rows

    figure, image_shape = figure_options.figure, figure_options.image_shape
    if output is None and figure is None:
        raise click.UsageError("give -o, --figure, or both.")
    check_outputs(output, figure, model, data)
    estimator = open_model(model)
    opened = open_data(data, estimator)
    _, source = query_rows(estimator, opened)
    named = row_names(opened, output, figure)
    check_image_shape(estimator.model_, image_shape)
    results: dict[str, object] = {}
    if output is not None:
        blocks = reconstructions(estimator.model_, source)
        shape = write_model_rows(
            output, blocks, estimator.model_, n_rows=source.n_rows, data=data,
            row_names=named,
            image_shape=image_shape or estimator.model_.schema.image_shape or source.image_shape,
        )  # fmt: skip
        results |= {"output": str(output), "shape": shape}
    if figure is not None:
        drawn_shape = image_shape or source.image_shape
        rows = n_drawn(estimator.model_, figure_options.rows, drawn_shape)
        drawn = reconstruction_figure(
            estimator.model_,
            evenly_spaced_rows(source, rows),
            image_shape=drawn_shape,
            lines=names_in_figure(named, evenly_spaced(source.n_rows, rows).tolist()),
        )
        save_figure(drawn, figure)
        results["figure"] = str(figure)
    print_results(results, file_lines(results), as_json=as_json)
