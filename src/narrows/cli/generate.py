"""narrows generate: new rows, sampled or on walks from the codes of rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from narrows.cli._common import (
    PATH,
    SEED,
    check_image_shape,
    check_outputs,
    json_option,
    model_argument,
    open_model,
    print_json,
    rows_option,
    shape_option,
)
from narrows.cli._data import open_data

if TYPE_CHECKING:
    from narrows.estimators import AbstractAutoencoder
    from narrows.writers.images import ImageFolder

__all__ = ["generate"]

_IN_FIGURE = 100


@click.command(short_help="Write or draw new rows: sampled, or near, between and beyond rows.")
@model_argument
@click.option("-n", "--samples", "n", type=int,
              help="How many: new rows, up to 10,000,000 [100]; perturbed copies of a row [8]; "
              "steps of a traversal or an interpolation [9].")  # fmt: skip
@rows_option("them")
@click.option("--figure", type=PATH, help=f"Where to draw them: the first {_IN_FIGURE}, or the "
              "walks, a line each, with the data they begin at.")  # fmt: skip
@click.option("--density", default="auto", show_default=True,
              help="New rows: auto, prior (variational models'), gaussian, mixture.")  # fmt: skip
@click.option("--check", metavar="TRAIN", help="New rows: are they copies of these, the training "
              "data? The figure shows each above its nearest.")  # fmt: skip
@click.option("--held-out", metavar="TEST", help="Of --check: real rows that are new to the model, "
              "as the mark; without them, training rows among each other.")  # fmt: skip
@click.option("--perturb", metavar="DATA", help="Decode codes of DATA with noise added.")
@click.option("--amount", type=float, multiple=True, help="Of --perturb: the noise, in standard "
              "deviations of the codes [0.5]; may be repeated, a line each.")  # fmt: skip
@click.option("--noise", default="independent", show_default=True,
              help="Of --perturb: independent, or correlated as the codes are.")  # fmt: skip
@click.option("--traverse", metavar="DATA", help="Decode the code of one row of DATA with one "
              "component changed, a line a component.")  # fmt: skip
@click.option("--row", type=int, default=0, show_default=True, help="Of --traverse: which row.")
@click.option("--component", type=int, multiple=True, help="Of --traverse: which one, from 0; may "
              "be repeated [all; in the figure the 32 that vary most].")  # fmt: skip
@click.option("--span", type=float, default=2.0, show_default=True,
              help="Of --traverse: how far to each side, in standard deviations.")  # fmt: skip
@click.option("--interpolate", metavar="DATA", help="Decode the way from each row to the next.")
@click.option("--method", default="linear", show_default=True,
              help="Of --interpolate: linear or spherical.")  # fmt: skip
@click.option("--rows", type=click.IntRange(1), default=6, show_default=True,
              help="Of --perturb and --interpolate: rows of DATA, evenly spaced.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the codes or the noise.")
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
    """Decode codes that no row has, to new rows.

    By default codes are drawn from a density that MODEL holds of them: the prior is that of
    variational models; of other models a Gaussian and a mixture of ten were fitted to the codes at
    the end of fit. --perturb, --traverse and --interpolate start at the codes of rows instead, and
    write their rows line by line.
    """
    from narrows.cli._walks import WALKS, check_options, write_walk

    kinds = [kind for kind in WALKS if options[kind] is not None]
    if len(kinds) > 1:
        raise click.UsageError(f"--{kinds[0]} and --{kinds[1]}: choose one.")
    kind = kinds[0] if kinds else "sample"
    check_options(context, kind)
    check = options["check"]
    if options["held_out"] is not None and check is None:
        raise click.UsageError("--held-out is the mark of --check; name the training data too.")
    if output is None and figure is None and check is None:
        raise click.UsageError("give -o, --figure, or both.")
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
    if as_json:
        print_json(results)
    else:
        lines += [f"{key}: {results[key]}" for key in ("output", "figure") if key in results]
        click.echo("\n".join(lines))


def _sample(
    estimator: AbstractAutoencoder,
    output: Path | ImageFolder | None,
    figure: Path | None,
    image_shape: tuple[int, ...] | None,
    options: dict[str, Any],
    lines: list[str],
) -> dict[str, Any]:
    """Write, draw and check new rows; return what to print as JSON, and add lines to print."""
    import numpy as np
    from torch import Generator

    from narrows.applications.generation.memorization import (
        MAX_CHECKED,
        measure_memorization,
    )
    from narrows.applications.generation.sampling import samples
    from narrows.data.source import rows_at
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
        _, train = estimator._validated_query(open_data(options["check"], estimator))
        held_out = options["held_out"]
        others = (
            None
            if held_out is None
            else estimator._validated_query(open_data(held_out, estimator))[1]
        )
        rows = np.concatenate(list(blocks(min(n, MAX_CHECKED))))
        measured = measure_memorization(fitted, rows, train, others)
        results["memorization"] = measured.as_dict()
        lines.append(measured.table())
        if shown is not None:
            nearest = rows_at(train, measured.nearest[: len(shown)]).numpy()
            drawn = sheet_figure(fitted, shown, nearest, measured, image_shape=image_shape)
            shown = None
            save_figure(drawn, figure)  # pyright: ignore[reportArgumentType] -- where shown
    if shown is not None:
        save_figure(sample_figure(fitted, shown, image_shape=image_shape), figure)  # pyright: ignore[reportArgumentType] -- where shown
    if figure is not None:
        results["figure"] = str(figure)
    return results
