"""narrows export: a model, or a part of it, as one ONNX file."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._commands import Names
from narrows.cli._common import (
    PATH,
    json_option,
    model_argument,
    open_estimator,
    print_json,
    refuse_detector,
)

__all__ = ["export"]

_PARTS = ("encoder", "decoder", "reconstruct", "head")


@click.command(short_help="Write a model as ONNX, for other programs.")
@model_argument
@click.option("-o", "--output", type=PATH, required=True, help="The file to write: .onnx.")
@click.option("--part", type=Names(_PARTS),
              help="What of the model; by default the head where there is one, else the "
              "encoder.")  # fmt: skip
@json_option
def export(model: Path, output: Path, part: str | None, as_json: bool) -> None:
    """Write a part of MODEL as one ONNX file: float32 rows in input units in and out, scaling
    inside. A head (of a classifier, regressor, matcher or segmenter) goes all the way from rows."""
    from narrows.writers.tables import check_writable

    check_writable(output, model)
    estimator = open_estimator(model)
    refuse_detector(model, estimator)
    part = part or ("head" if hasattr(estimator, "head_") else "encoder")
    estimator.export(output, part=part)
    size = output.stat().st_size
    if as_json:
        print_json({"output": str(output), "part": part, "bytes": size})
    else:
        click.echo(f"{output}: {part}, {size:,} bytes")
