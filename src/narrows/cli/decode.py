"""narrows decode: codes to rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from narrows.cli._common import (
    PATH,
    check_image_shape,
    json_option,
    model_argument,
    open_model,
    print_json,
    rows_option,
    shape_option,
)
from narrows.cli._row_names import HEADERS

if TYPE_CHECKING:
    from narrows.writers.images import ImageFolder

__all__ = ["decode"]


@click.command(short_help="Write what codes decode to.")
@model_argument
@click.argument("codes", type=PATH)
@rows_option("them", required=True)
@shape_option
@json_option
def decode(
    model: Path,
    codes: Path,
    output: Path | ImageFolder,
    image_shape: tuple[int, ...] | None,
    as_json: bool,
) -> None:
    """Write what CODES (.npy, .csv, ...) decode to, in the units of the training data.

    A first column "file" or "id" of a .csv or .tsv, as `narrows encode` writes, names the rows: in
    one again, and of FOLDER/ the images.
    """
    from torch import Tensor

    from narrows.data import read
    from narrows.data.statistics import check_finite
    from narrows.errors import InvalidData
    from narrows.model.coding import decoded
    from narrows.writers.images import check_target, write_model_rows

    check_target(output, model, codes)
    fitted = open_model(model).model_
    check_image_shape(fitted, image_shape)
    named = _names_of_rows(codes)
    source = read(codes, drop=[named[0]] if named else [])
    if source.n_features != fitted.n_components:
        raise InvalidData(
            f"{codes}: codes of {source.n_features} numbers, this model's have "
            f"{fitted.n_components}."
        )

    def blocks():
        for number, batch in enumerate(source.in_order(16384)):
            check_finite(batch, source, first_row=16384 * number)
            if not isinstance(batch, Tensor):
                batch = batch.to_dense()
            yield from decoded(fitted, batch.numpy())

    shape = write_model_rows(
        output, blocks(), fitted, n_rows=source.n_rows, image_shape=image_shape, row_names=named
    )
    if as_json:
        print_json({"output": str(output), "shape": shape})
    else:
        click.echo(f"{output}: {shape[0]} rows of {shape[1]} features")


def _names_of_rows(codes: Path) -> tuple[str, list[str]] | None:
    """Return the header of the column that `narrows encode` put before the codes of rows with
    names, and the names; None where there is none."""
    from narrows.data.readers.csv_rows import csv_rows
    from narrows.data.readers.kinds import SEPARATORS, kind_of

    if kind_of(codes) not in SEPARATORS or not codes.is_file():
        return None
    rows = csv_rows(codes)
    _, first = next(rows, (1, []))
    return (first[0], [cells[0] for _, cells in rows]) if first and first[0] in HEADERS else None
