"""narrows evaluate: the reconstruction error beside the linear baseline's."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._common import (
    data_argument,
    json_option,
    model_argument,
    open_data,
    open_model,
    print_json,
)

__all__ = ["evaluate"]


@click.command(short_help="Reconstruction error beside PCA's, with units.")
@model_argument
@data_argument
@json_option
def evaluate(model: Path, data: str, as_json: bool) -> None:
    """Print the reconstruction error on DATA beside PCA's (TruncatedSVD's for sparse data).

    The baseline has the same code size and was fitted on the model's own training rows.
    """
    evaluation = open_model(model).evaluate(open_data(data))
    if as_json:
        print_json(evaluation.as_dict())
    else:
        click.echo(evaluation.table())
