"""narrows generate: new rows."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._common import (
    PATH,
    SEED,
    json_option,
    model_argument,
    open_model,
    print_json,
    shape_option,
)

__all__ = ["generate"]

_IN_FIGURE = 100


@click.command(short_help="Write or draw new rows, from a density of the codes.")
@model_argument
@click.option("-n", "--samples", "n", type=int, default=100, show_default=True,
              help="How many, up to 10,000,000.")  # fmt: skip
@click.option("-o", "--output", type=PATH, help="Where to write them: .npy or .csv.")
@click.option("--density", default="auto", show_default=True,
              help="auto, prior (of variational models), gaussian or mixture.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the codes.")
@click.option("--figure", type=PATH, help=f"Where to draw the first {_IN_FIGURE} of them.")
@shape_option
@json_option
def generate(
    model: Path,
    n: int,
    output: Path | None,
    density: str,
    seed: int,
    figure: Path | None,
    image_shape: tuple[int, ...] | None,
    as_json: bool,
) -> None:
    """Draw codes from a density that MODEL holds of them, and decode them to new rows.

    The prior is that of variational models; of other models a Gaussian and a mixture of ten were
    fitted to the codes at the end of fit.
    """
    import numpy as np
    from torch import Generator

    from narrows.applications.figures import check_figure_name, sample_figure, save_figure
    from narrows.applications.output import check_writable, write_rows
    from narrows.applications.sampling import samples

    if output is None and figure is None:
        raise click.UsageError("give -o, --figure, or both.")
    for path in (output, figure):
        if path is not None:
            check_writable(path, model)
    if figure is not None:
        check_figure_name(figure)
    fitted = open_model(model).model_

    def blocks(count: int):
        return samples(fitted, count, density=density, generator=Generator().manual_seed(seed))

    results: dict[str, object] = {}
    if output is not None:
        shape = write_rows(output, blocks(n), n_rows=n, names=fitted.schema.names)
        results |= {"output": str(output), "shape": shape}
    if figure is not None:
        shown = np.concatenate(list(blocks(min(n, _IN_FIGURE))))
        save_figure(sample_figure(fitted, shown, image_shape=image_shape), figure)
        results["figure"] = str(figure)
    if as_json:
        print_json(results)
    else:
        for key in ("output", "figure"):
            if key in results:
                click.echo(f"{key}: {results[key]}")
