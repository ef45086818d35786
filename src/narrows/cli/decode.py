"""narrows decode: decode codes to rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from narrows.cli._data import HEADERS
from narrows.cli._models import open_model
from narrows.cli._options import PATH, json_option, model_argument, row_output_option, shape_option
from narrows.cli._outputs import check_image_shape, print_json

if TYPE_CHECKING:
    from narrows.writers.images import ImageFolder

__all__ = ["decode"]


@click.command(short_help="Decode codes to rows.")
@model_argument
@click.argument("codes", type=PATH)
@row_output_option("the rows", required=True)
@shape_option
@json_option
def decode(
    model: Path,
    codes: Path,
    output: Path | ImageFolder,
    image_shape: tuple[int, ...] | None,
    as_json: bool,
) -> None:
    """Decode CODES (.npy, .csv, ...) to rows in the units of the training data.

    If the first column of a .csv or .tsv is "file" or "id", as `narrows encode` writes it, it names
    the rows, in the first column of a written .csv or .tsv, or the images in FOLDER/.
    """
    from torch import Tensor

    from narrows.data import read
    from narrows.data.statistics import check_finite
    from narrows.errors import InvalidData
    from narrows.model.coding import decode_rows
    from narrows.writers.images import check_target, write_model_rows

    check_target(output, model, codes)
    fitted = open_model(model).model_
    check_image_shape(fitted, image_shape)
    named = _names_in_codes(codes)
    source = read(codes, drop=[named[0]] if named else [])
    if source.n_features != fitted.n_components:
        raise InvalidData(
            f"{codes}: has codes of {source.n_features} numbers, but the model's codes have "
            f"{fitted.n_components}."
        )

    def blocks():
        for number, batch in enumerate(source.in_order(16384)):
            check_finite(batch, source, first_row=16384 * number)
            if not isinstance(batch, Tensor):
                batch = batch.to_dense()
            yield from decode_rows(fitted, batch.numpy())

    shape = write_model_rows(
        output, blocks(), fitted, n_rows=source.n_rows, image_shape=image_shape, row_names=named
    )
    if as_json:
        print_json({"output": str(output), "shape": shape})
    else:
        click.echo(f"{output}: {shape[0]} rows of {shape[1]} features")


def _names_in_codes(codes: Path) -> tuple[str, list[str]] | None:
    """Return header and cells of the column of row names; None if there is none."""
    from narrows.data.readers.csv_rows import csv_rows
    from narrows.data.readers.kinds import SEPARATORS, kind_of

    if kind_of(codes) not in SEPARATORS or not codes.is_file():
        return None
    rows = csv_rows(codes)
    _, first = next(rows, (1, []))
    return (first[0], [cells[0] for _, cells in rows]) if first and first[0] in HEADERS else None
