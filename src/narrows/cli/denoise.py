"""narrows denoise: recover clean rows from corrupted ones."""

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

__all__ = ["denoise"]


@click.command(
    short_help="Denoise data and fill in missing values, or measure how well that works."
)
@model_argument
@data_argument
@row_output_option("the clean rows")
@click.option("--corrupt", metavar="SPEC", help="Take DATA as clean: corrupt them first, by "
              "gaussian:0.3, masking:0.5 or the like, and measure against them.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of --corrupt.")
@click.option(
    "--figure",
    type=PATH,
    help="Where to draw clean, corrupted and denoised rows, and PCA's.",
)
@figure_rows_option()
@shape_option
@collected("figure_options", FigureOptions)
@json_option
def denoise(
    model: Path,
    data: str,
    output: Path | ImageFolder | None,
    figure_options: FigureOptions,
    corrupt: str | None,
    seed: int,
    as_json: bool,
) -> None:
    """Reconstruct DATA from MODEL's code, which is too narrow to keep the noise.

    Without --corrupt, DATA are already corrupted. If MODEL was fitted with the corruption
    "missing", missing values (empty cells, NaN) are filled in, and known values are kept, as
    float32. With --corrupt, DATA are corrupted first, every value is reconstructed, and the error
    is measured against DATA.
    """
    from torch import Generator

    from narrows.applications.coding.denoising import (
        corrupted_rows,
        denoised,
        denoised_after,
        measure_denoising,
    )
    from narrows.core.pieces import piece_from_spec
    from narrows.corruptions import CORRUPTIONS
    from narrows.corruptions.patches import with_image_shape
    from narrows.data.source import evenly_spaced
    from narrows.estimators.inputs import query_rows
    from narrows.figures.rows import denoising_figure, n_drawn
    from narrows.figures.saving import save_figure
    from narrows.writers.images import write_model_rows

    figure, image_shape = figure_options.figure, figure_options.image_shape
    if output is None and figure is None and corrupt is None:
        raise click.UsageError("give at least one of -o, --corrupt and --figure.")
    check_outputs(output, figure, model, data)
    noise = None if corrupt is None else piece_from_spec(CORRUPTIONS, corrupt, slot="corrupt")
    estimator = open_model(model)
    opened = open_data(data, estimator)
    fitted, source = query_rows(estimator, opened)
    named = row_names(opened, output, figure)
    check_image_shape(fitted, image_shape)
    noise = with_image_shape(noise, image_shape or fitted.schema.image_shape or source.image_shape)

    def same_noise() -> Generator:
        return Generator(fitted.device).manual_seed(seed)

    results: dict[str, object] = {}
    lines = []
    if output is not None:
        blocks = denoised(fitted, source)
        if noise is not None:
            blocks = denoised_after(fitted, source, noise, generator=same_noise())
        shape = write_model_rows(
            output, blocks, fitted, n_rows=source.n_rows, data=data,
            row_names=named,
            image_shape=image_shape or fitted.schema.image_shape or source.image_shape,
        )  # fmt: skip
        results |= {"output": str(output), "shape": shape}
    if noise is not None:
        measured = measure_denoising(fitted, source, noise, generator=same_noise())
        results |= measured.as_dict()
        lines.append(measured.table())
        if measured.denoised > measured.corrupted:
            lines.append(
                "The corrupted rows are closer to the clean ones than the denoised rows are: a "
                f"code of {fitted.n_components} numbers loses more than {corrupt} changes. Fit "
                f"with a wider --code, more --epochs, or --corruption {corrupt}."
            )
    if figure is not None:
        drawn_shape = image_shape or source.image_shape
        at = evenly_spaced(source.n_rows, n_drawn(fitted, figure_options.rows, drawn_shape))
        picture = denoising_figure(
            fitted,
            source.at(at),
            corrupted=None
            if noise is None
            else corrupted_rows(fitted, source, at, noise, generator=same_noise()),
            image_shape=drawn_shape,
            lines=names_in_figure(named, at.tolist()),
        )
        save_figure(picture, figure)
        results["figure"] = str(figure)
    print_results(results, lines + file_lines(results), as_json=as_json)
