"""narrows denoise: clean rows out of corrupted ones."""

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

__all__ = ["denoise"]


@click.command(short_help="Clean corrupted data, fill in missing values, or measure how well.")
@model_argument
@data_argument
@rows_option("the clean rows")
@click.option("--corrupt", metavar="SPEC", help="DATA are clean: corrupt them first, such as "
              "gaussian:0.3 or masking:0.5, and measure against them.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of --corrupt.")
@click.option("--figure", type=PATH, help="Where to draw: clean, corrupted, denoised, PCA.")
@click.option("-n", "--rows", type=click.IntRange(1, 100), default=10, show_default=True,
              help="Samples in the figure, evenly spaced through the data; at most six if "
              "they are not images.")  # fmt: skip
@shape_option
@json_option
def denoise(
    model: Path,
    data: str,
    output: Path | ImageFolder | None,
    corrupt: str | None,
    seed: int,
    figure: Path | None,
    rows: int,
    image_shape: tuple[int, ...] | None,
    as_json: bool,
) -> None:
    """Take DATA through MODEL's code and back, which leaves out what the code has no place for.

    Without --corrupt DATA are corrupted already; missing values (empty cells, NaN) are filled in
    where MODEL was fitted with the corruption "missing"; what is known stays as it is, in float32.
    With --corrupt every value is rebuilt: the rows that are measured are written and drawn.
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
    from narrows.figures.rows import denoising_figure, n_drawn
    from narrows.figures.saving import save_figure
    from narrows.writers.images import write_model_rows

    if output is None and figure is None and corrupt is None:
        raise click.UsageError("give -o, --corrupt, --figure, or several.")
    check_outputs(output, figure, model, data)
    noise = None if corrupt is None else piece_from_spec(CORRUPTIONS, corrupt, slot="corrupt")
    estimator = open_model(model)
    opened = open_data(data, estimator)
    fitted, source = estimator._validated_query(opened)
    called = row_names(opened, output, figure)
    check_image_shape(fitted, image_shape)
    noise = with_image_shape(noise, image_shape or fitted.schema.image_shape or source.image_shape)

    def drawn_anew() -> Generator:
        return Generator(fitted.device).manual_seed(seed)

    results: dict[str, object] = {}
    lines = []
    if output is not None:
        blocks = denoised(fitted, source)
        if noise is not None:
            blocks = denoised_after(fitted, source, noise, generator=drawn_anew())
        shape = write_model_rows(
            output, blocks, fitted, n_rows=source.n_rows, data=data,
            row_names=called,
            image_shape=image_shape or fitted.schema.image_shape or source.image_shape,
        )  # fmt: skip
        results |= {"output": str(output), "shape": shape}
        lines.append(f"output: {output}")
    if noise is not None:
        measured = measure_denoising(fitted, source, noise, generator=drawn_anew())
        results |= measured.as_dict()
        lines.append(measured.table())
        if measured.denoised > measured.corrupted:
            lines.append(
                "The rows were nearer to the clean ones before: "
                f"{fitted.n_components} numbers lose more than {corrupt} changes. "
                f"Fit a wider --code, for more --epochs, or with --corruption {corrupt}."
            )
    if figure is not None:
        drawn_shape = image_shape or source.image_shape
        at = evenly_spaced(source.n_rows, n_drawn(fitted, rows, drawn_shape))
        picture = denoising_figure(
            fitted,
            source.at(at),
            corrupted=None
            if noise is None
            else corrupted_rows(fitted, source, at, noise, generator=drawn_anew()),
            image_shape=drawn_shape,
            lines=in_figure(called, at.tolist()),
        )
        save_figure(picture, figure)
        results["figure"] = str(figure)
        lines.append(f"figure: {figure}")
    if as_json:
        print_json(results)
    else:
        click.echo("\n".join(lines))
