"""narrows generate: decode new codes, sampled or on walks from the codes of rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._data import open_data
from narrows.cli._models import open_model
from narrows.cli._options import (
    PATH,
    SEED,
    json_option,
    model_argument,
    row_output_option,
    shape_option,
)
from narrows.cli._outputs import check_image_shape, check_outputs, file_lines, print_results

if TYPE_CHECKING:
    from narrows.estimators.autoencoders.base import AbstractAutoencoder
    from narrows.writers.images import ImageFolder

__all__ = ["generate"]

_IN_FIGURE = 100


@click.command(short_help="Generate new rows: sampled, or near and between rows of data.")
@model_argument
@click.option("-n", "--samples", "n", type=int,
              help="How many new rows, up to 10,000,000 [100]; with --perturb, new rows per row "
              "[8]; with --traverse and --interpolate, steps [9].")  # fmt: skip
@row_output_option("the rows")
@click.option("--figure", type=PATH, help=f"Where to draw the first {_IN_FIGURE} new rows; or "
              "walks, one per line, beside the rows of data that they start from.")  # fmt: skip
@click.option(
    "--density", default="auto", show_default=True,
    help="Which density to draw codes from: auto, prior (of variational models), gaussian or "
         "mixture.",
)  # fmt: skip
@click.option("--check", metavar="TRAIN", help="Check whether new rows are copies of these, the "
              "training rows. The figure then shows each above the nearest of them.")  # fmt: skip
@click.option(
    "--held-out", metavar="TEST",
    help="With --check: real rows that were not trained on, as the reference.  [training rows, "
         "each compared with the others]",
)  # fmt: skip
@click.option("--perturb", metavar="DATA", help="Decode the codes of DATA with noise added.")
@click.option("--amount", type=float, multiple=True, help="With --perturb: size of the noise, in "
              "standard deviations of the codes; may be repeated.  [0.5]")  # fmt: skip
@click.option("--noise", default="independent", show_default=True,
              help="With --perturb: independent, or correlated like the codes.")  # fmt: skip
@click.option("--traverse", metavar="DATA", help="Decode the code of one row of DATA with one "
              "component moved at a time.")  # fmt: skip
@click.option(
    "--row",
    type=int,
    default=0,
    show_default=True,
    help="With --traverse: number of the row, from 0.",
)
@click.option("--component", type=int, multiple=True, help="With --traverse: which component, from "
              "0; may be repeated.  [all; in the figure, the 32 that vary most]")  # fmt: skip
@click.option(
    "--span", type=float, default=2.0, show_default=True,
    help="With --traverse: how far to move in either direction, in standard deviations.",
)  # fmt: skip
@click.option(
    "--interpolate", metavar="DATA",
    help="Interpolate from each row of DATA to the next.",
)  # fmt: skip
@click.option("--method", default="linear", show_default=True,
              help="With --interpolate: linear or spherical.")  # fmt: skip
@click.option(
    "--rows", type=click.IntRange(1), default=6, show_default=True,
    help="With --perturb and --interpolate: how many rows of DATA to take, evenly spaced.",
)  # fmt: skip
@click.option(
    "--seed", type=SEED, default=0, show_default=True,
    help="Seed of the codes or of the noise.",
)  # fmt: skip
@shape_option
@json_option
@click.pass_context
def generate(
    context: click.Context,
    model: Path,
    output: Path | ImageFolder | None,
    figure: Path | None,
    image_shape: tuple[int, ...] | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Decode new codes to rows.

    By default the codes are drawn from a density. Variational models have a prior; for all others,
    `narrows fit` also fits a Gaussian and a mixture of at most ten Gaussians to the codes.
    --perturb, --traverse and --interpolate start from the codes of rows of DATA instead; the rows
    of a line are written one after the other.
    """
    from narrows.cli._walks import WALKS, check_options, write_walk

    kinds = [kind for kind in WALKS if options[kind] is not None]
    if len(kinds) > 1:
        raise click.UsageError(f"give --{kinds[0]} or --{kinds[1]}, not both.")
    kind = kinds[0] if kinds else "sample"
    check_options(context, kind)
    check = options["check"]
    if options["held_out"] is not None and check is None:
        raise click.UsageError(
            "--held-out is the reference for --check; add --check with the training data."
        )
    if output is None and figure is None and check is None:
        raise click.UsageError("give at least one of -o, --figure and --check.")
    data = [options[name] for name in (*WALKS, "check", "held_out") if options[name] is not None]
    check_outputs(output, figure, model, *data)
    estimator = open_model(model)
    check_image_shape(estimator.model_, image_shape)
    lines: list[str] = []
    if kind == "sample":
        results = _sample(estimator, output, figure, image_shape, options, lines)
    else:
        results = write_walk(
            estimator, kind, options[kind], output=output, figure=figure, image_shape=image_shape,
            options=options,
        )  # fmt: skip
    print_results(results, lines + file_lines(results), as_json=as_json)


def _sample(
    estimator: AbstractAutoencoder,
    output: Path | ImageFolder | None,
    figure: Path | None,
    image_shape: tuple[int, ...] | None,
    options: dict[str, Any],
    lines: list[str],
) -> dict[str, Any]:
    """Write, draw and check new rows; return the results, and append the lines to print."""
    import numpy as np
    from torch import Generator

    from narrows.applications.generation.memorization import (
        MAX_CHECKED,
        measure_memorization,
    )
    from narrows.applications.generation.sampling import samples
    from narrows.data.source import rows_at
    from narrows.estimators.inputs import query_rows
    from narrows.figures.generation import sample_figure, sheet_figure
    from narrows.figures.saving import save_figure
    from narrows.writers.images import write_model_rows

    fitted = estimator.model_
    n = 100 if options["n"] is None else options["n"]

    def blocks(count: int):
        generator = Generator().manual_seed(options["seed"])
        return samples(fitted, count, density=options["density"], generator=generator)

    results: dict[str, Any] = {}
    if output is not None:
        shape = write_model_rows(output, blocks(n), fitted, n_rows=n, image_shape=image_shape)
        results |= {"output": str(output), "shape": shape}
    shown = None if figure is None else np.concatenate(list(blocks(min(n, _IN_FIGURE))))
    if options["check"] is not None:
        train, held_out = (
            None if name is None else query_rows(estimator, open_data(name, estimator))[1]
            for name in (options["check"], options["held_out"])
        )
        assert train is not None
        rows = np.concatenate(list(blocks(min(n, MAX_CHECKED))))
        measured = measure_memorization(fitted, rows, train, held_out)
        results["memorization"] = measured.as_dict()
        lines.append(measured.table())
        if figure is not None and shown is not None:
            nearest = rows_at(train, measured.nearest[: len(shown)]).numpy()
            drawn = sheet_figure(fitted, shown, nearest, measured, image_shape=image_shape)
            save_figure(drawn, figure)
    elif figure is not None and shown is not None:
        save_figure(sample_figure(fitted, shown, image_shape=image_shape), figure)
    if figure is not None:
        results["figure"] = str(figure)
    return results
