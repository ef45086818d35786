"""narrows match: estimate the probability that two rows are the same thing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.cli._data import names_in_figure, open_data, row_names
from narrows.cli._options import (
    PATH,
    FigureOptions,
    collected,
    json_option,
    model_argument,
    shape_option,
)
from narrows.cli._outputs import check_image_shape, check_outputs, print_json, print_values

__all__ = ["match"]


@click.command(short_help="Estimate the probability that row i of A and of B are the same thing.")
@model_argument
@click.argument("a")
@click.argument("b")
@click.option("-o", "--output", type=PATH, help="Where to write the probabilities: .npy, .csv or "
              ".tsv.  [printed, one per line]")  # fmt: skip
@click.option(
    "--figure", type=PATH,
    help="Where to draw pairs of images: those with the highest probabilities, those nearest to "
         "0.5, and those with the lowest.",
)  # fmt: skip
@click.option("-n", "--rows", type=click.IntRange(1, 20), default=8, show_default=True,
              help="Pairs of each kind in the figure.")  # fmt: skip
@shape_option
@collected("figure_options", FigureOptions)
@json_option
def match(
    model: Path, a: str, b: str, output: Path | None, figure_options: FigureOptions, as_json: bool
) -> None:
    """Compare row i of A with row i of B; MODEL comes from `narrows head --task match`.

    The probabilities assume that half of all pairs are the same thing. If the prior odds are r to
    1 instead, multiply the odds p / (1 - p) by r.
    """
    from narrows.cli._models import open_head
    from narrows.writers.tables import is_table, write_rows, write_table

    figure, image_shape = figure_options.figure, figure_options.image_shape
    check_outputs(output, figure, model, a, b)
    matcher = open_head(model, "match")
    check_image_shape(matcher.autoencoder_.model_, image_shape)
    first, second = (open_data(name, matcher.autoencoder_) for name in (a, b))
    probabilities = matcher.match_proba(first, second)
    named = [row_names(part, output, figure) for part in (first, second)]
    n = len(probabilities)
    results: dict[str, Any] = {"pairs": n, "the_same": int((probabilities >= 0.5).sum())}
    if figure is not None:
        from narrows.data.array_sources import rows_in_memory
        from narrows.estimators.inputs import query_rows
        from narrows.figures.matching import matching_figure
        from narrows.figures.saving import save_figure

        autoencoder = matcher.autoencoder_
        one, other = (rows_in_memory(query_rows(autoencoder, part)[1]) for part in (first, second))
        shape = image_shape or getattr(first, "image_shape", None)
        every = range(n)
        names = names_in_figure(named[0], every), names_in_figure(named[1], every)
        drawn = matching_figure(
            autoencoder.model_, one, other, probabilities, n=figure_options.rows, image_shape=shape,
            names=names if any(named) else None,
        )  # fmt: skip
        save_figure(drawn, figure)
        results["figure"] = str(figure)
    if output is not None:
        sides = zip("ab", named, strict=True)
        columns: dict[str, Any] = {side: names[1] for side, names in sides if names is not None}
        if columns and is_table(output):
            write_table(output, {**columns, "probability": probabilities})
        else:
            numbers = probabilities[:, None].astype("float32")
            write_rows(output, [numbers], n_rows=n, names=["probability"])
        results["output"] = str(output)
    if as_json:
        print_json(
            results if output is not None else {**results, "probability": probabilities.tolist()}
        )
    elif output is None and figure is None:
        click.echo("\n".join(f"{p:.6f}" for p in probabilities))
    else:
        print_values(results)
