"""narrows encode: encode rows."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.applications.printing import counted
from narrows.cli._data import open_data, row_names
from narrows.cli._models import open_model
from narrows.cli._options import data_argument, json_option, model_argument, output_option
from narrows.cli._outputs import print_json

__all__ = ["encode"]


@click.command(short_help="Write the codes of data.")
@model_argument
@data_argument
@output_option
@click.option("--layer", type=int, default=-1, show_default=True,
              help="Encoder layer to write, from 0; -1 is the code.")  # fmt: skip
@json_option
def encode(model: Path, data: str, output: Path, layer: int, as_json: bool) -> None:
    """Write the codes of DATA, one per row, as float32.

    The first column of a .csv or .tsv names the rows: by file if DATA are a folder, by id if they
    are documents or t.csv:id=NAME. A .npy file holds numbers only.
    """
    from narrows.estimators.inputs import query_rows
    from narrows.model.features import layer_features
    from narrows.writers.tables import check_rows_file, write_rows

    check_rows_file(output, model, data)
    estimator = open_model(model)
    opened = open_data(data, estimator)
    _, source = query_rows(estimator, opened)
    blocks = layer_features(estimator.model_, source, layer)
    names = list(estimator.get_feature_names_out()) if layer == -1 else None
    named = row_names(opened, output)
    shape = write_rows(output, blocks, n_rows=source.n_rows, names=names, row_names=named)
    if as_json:
        print_json({"output": str(output), "shape": shape})
    else:
        click.echo(f"{output}: {counted(shape[0], 'code')} of {counted(shape[1], 'number')}")
