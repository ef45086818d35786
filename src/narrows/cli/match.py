"""narrows match: are these two the same thing?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.cli._common import (
    PATH,
    check_image_shape,
    check_outputs,
    json_option,
    model_argument,
    print_json,
    print_values,
    shape_option,
)
from narrows.cli._data import open_data
from narrows.cli._row_names import in_figure, row_names

__all__ = ["match"]


@click.command(short_help="How probably row i of A and row i of B are the same thing.")
@model_argument
@click.argument("a")
@click.argument("b")
@click.option("-o", "--output", type=PATH, help="Where to write the probabilities: .npy, .csv or "
              ".tsv; without it they are printed, a line a pair.")  # fmt: skip
@click.option("--figure", type=PATH, help="Where to draw, of images, the pairs of the highest "
              "probabilities, of those nearest to 0.5, and of the lowest.")  # fmt: skip
@click.option("-n", "--rows", type=click.IntRange(1, 20), default=8, show_default=True,
              help="Pairs of each kind in the figure.")  # fmt: skip
@shape_option
@json_option
def match(
    model: Path,
    a: str,
    b: str,
    output: Path | None,
    figure: Path | None,
    rows: int,
    image_shape: tuple[int, ...] | None,
    as_json: bool,
) -> None:
    """Compare the rows of A and B in pairs; MODEL is of `narrows head --task match`.

    The probability holds where half of the pairs are the same thing; where the odds of that are
    r to 1, multiply its odds p / (1 - p) by r.
    """
    from narrows.cli._heads import open_head
    from narrows.writers.tables import is_table, write_rows, write_table

    check_outputs(output, figure, model, a, b)
    matcher = open_head(model, "match")
    check_image_shape(matcher.autoencoder_.model_, image_shape)
    first, second = (open_data(name, matcher.autoencoder_) for name in (a, b))
    said = matcher.match_proba(first, second)
    called = [row_names(part, output, figure) for part in (first, second)]
    results: dict[str, Any] = {"pairs": len(said), "the_same": int((said >= 0.5).sum())}
    if figure is not None:
        from narrows.data.array_sources import rows_in_memory
        from narrows.figures.matching import matching_figure
        from narrows.figures.saving import save_figure

        autoencoder = matcher.autoencoder_
        one, other = (
            rows_in_memory(autoencoder._validated_query(part)[1]) for part in (first, second)
        )
        shape = image_shape or getattr(first, "image_shape", None)
        every = range(len(said))
        names = in_figure(called[0], every), in_figure(called[1], every)
        drawn = matching_figure(
            autoencoder.model_, one, other, said, n=rows, image_shape=shape,
            names=names if any(called) else None,
        )  # fmt: skip
        save_figure(drawn, figure)
        results["figure"] = str(figure)
    if output is not None:
        sides = zip("ab", called, strict=True)
        named: dict[str, Any] = {side: names[1] for side, names in sides if names is not None}
        if named and is_table(output):
            write_table(output, {**named, "probability": said})
        else:
            numbers = said[:, None].astype("float32")
            write_rows(output, [numbers], n_rows=len(said), names=["probability"])
        results["output"] = str(output)
    if as_json:
        print_json(results if output is not None else {**results, "probability": said.tolist()})
    elif output is None and figure is None:
        click.echo("\n".join(f"{p:.6f}" for p in said))
    else:
        print_values(results)
