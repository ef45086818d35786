"""narrows encode: rows to codes."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._common import (
    data_argument,
    json_option,
    model_argument,
    open_model,
    output_option,
    print_json,
)
from narrows.cli._data import open_data
from narrows.cli._row_names import row_names

__all__ = ["encode"]


@click.command(short_help="Write the codes of data.")
@model_argument
@data_argument
@output_option
@click.option("--layer", type=int, default=-1, help="Encoder layer from 0; -1 is the code.")
@json_option
def encode(model: Path, data: str, output: Path, layer: int, as_json: bool) -> None:
    """Write the codes of DATA, one row a sample, float32.

    A .csv of a folder has the file of every row first, one of documents or of t.csv:id=NAME the
    id; .npy holds numbers alone.
    """
    from narrows.model.coding import layer_features
    from narrows.writers.tables import check_rows_file, write_rows

    check_rows_file(output, model, data)
    estimator = open_model(model)
    opened = open_data(data, estimator)
    _, source = estimator._validated_query(opened)
    blocks = layer_features(estimator.model_, source, layer)
    names = list(estimator.get_feature_names_out()) if layer == -1 else None
    called = row_names(opened, output)
    shape = write_rows(output, blocks, n_rows=source.n_rows, names=names, row_names=called)
    if as_json:
        print_json({"output": str(output), "shape": shape})
    else:
        click.echo(f"{output}: {shape[0]} codes of {shape[1]} numbers")
