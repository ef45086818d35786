"""narrows inpaint: hidden values from the known ones."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._common import (
    PATH,
    SEED,
    data_argument,
    json_option,
    model_argument,
    open_data,
    open_model,
    print_json,
    shape_option,
)

__all__ = ["inpaint"]


@click.command(short_help="Fill in hidden parts of images, or a table's missing values.")
@model_argument
@data_argument
@click.option("--mask", metavar="MASK", help="What is hidden: a .npy file of booleans, quadrant, "
              "square:14 (pixels), or missing:0.5. Missing values are hidden anyway.")  # fmt: skip
@click.option("--method", default="auto", show_default=True,
              help="auto, pass, projection or code.")  # fmt: skip
@click.option("-o", "--output", type=PATH, help="Where to write the filled rows: .npy or .csv.")
@click.option("--figure", type=PATH, help="Where to draw original, hidden, filled in.")
@click.option("--rivals", metavar="TRAIN", help="Training data: measure mean fill, PCA-30 and the "
              "nearest row too.")  # fmt: skip
@click.option("-n", "--rows", type=click.IntRange(1, 100), default=10, show_default=True,
              help="Samples in the figure, evenly spaced through the data.")  # fmt: skip
@click.option("--seed", type=SEED, default=0, show_default=True,
              help="Of the mask's draw and of the search.")  # fmt: skip
@shape_option
@json_option
def inpaint(
    model: Path,
    data: str,
    mask: str | None,
    method: str,
    output: Path | None,
    figure: Path | None,
    rivals: str | None,
    rows: int,
    seed: int,
    image_shape: tuple[int, ...] | None,
    as_json: bool,
) -> None:
    """Fill in what --mask hides of DATA, and what is missing (empty cells, NaN).

    Known values stay as they are, as float32. With --mask the error is measured on the values
    that it hides; --rivals measures, in the same table, the fills that need no net.
    """
    import numpy as np
    import torch
    from torch import Generator, Tensor

    from narrows.applications.figures import check_figure_name, image_shape_of, save_figure
    from narrows.applications.inpainting import inpainted
    from narrows.applications.inpainting_comparison import fit_rivals, measure_inpainting
    from narrows.applications.inpainting_figure import inpainting_figure
    from narrows.applications.masks import read_mask
    from narrows.applications.output import check_writable, write_rows
    from narrows.data.source import evenly_spaced

    if output is None and figure is None and mask is None:
        raise click.UsageError("give --mask, -o, --figure, or several.")
    for path in (output, figure):
        if path is not None:
            check_writable(path, model, data, *filter(None, (mask, rivals)))
    if figure is not None:
        check_figure_name(figure)
    fitted, source = open_model(model)._asked(open_data(data))
    shape = image_shape_of(fitted, image_shape) or source.image_shape
    hidden = np.zeros((1, source.n_features), dtype=bool)
    if mask is not None:
        hidden = read_mask(mask, source.n_rows, source.n_features, shape, seed=seed)
    beside = None if rivals is None else fit_rivals(fitted.scaling, _dense(rivals), seed=seed)
    results: dict[str, object] = {}
    lines = []
    if output is not None:
        blocks = inpainted(
            fitted, source, hidden, method=method, generator=Generator().manual_seed(seed)
        )
        filled = (fill for fill, _ in blocks)
        written = write_rows(output, filled, n_rows=source.n_rows, names=fitted.schema.names)
        results |= {"output": str(output), "shape": written}
        lines.append(f"output: {output}")
    if mask is not None:
        found = measure_inpainting(fitted, source, hidden, method=method, rivals=beside, seed=seed)
        results |= found.as_dict()
        lines.append(found.table())
    if figure is not None:
        shown = source.evenly(rows)
        assert isinstance(shown, Tensor)
        at = evenly_spaced(source.n_rows, rows).numpy() if len(hidden) > 1 else [0]
        part = torch.from_numpy(np.array(hidden[at])) | shown.isnan()
        picture = inpainting_figure(
            fitted, shown, part.numpy(), method=method, rivals=beside, image_shape=shape, seed=seed
        )
        save_figure(picture, figure)
        results["figure"] = str(figure)
        lines.append(f"figure: {figure}")
    if as_json:
        print_json(results)
    else:
        click.echo("\n".join(lines))


def _dense(name: str):
    """Return a source of rows that are no texts."""
    from narrows.data.source import Source

    data = open_data(name)
    if not isinstance(data, Source):
        raise click.UsageError(f"--rivals {name}: holds texts; give rows of numbers.")
    return data
