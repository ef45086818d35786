"""narrows export: write a model, or a part of it, as ONNX."""

from __future__ import annotations

from pathlib import Path

import click

from narrows.cli._models import open_estimator, refuse_detector
from narrows.cli._near_names import Names
from narrows.cli._options import PATH, json_option, model_argument
from narrows.cli._outputs import print_json

__all__ = ["PART_NAMES", "export"]

PART_NAMES = ("encoder", "decoder", "reconstruct", "head")


@click.command(short_help="Write a model as ONNX, for other programs.")
@model_argument
@click.option("-o", "--output", type=PATH, required=True, help="The file to write, .onnx.")
@click.option("--part", type=Names(PART_NAMES),
              help="Which part to write.  [head if there is one, else encoder]")  # fmt: skip
@json_option
def export(model: Path, output: Path, part: str | None, as_json: bool) -> None:
    """Write a part of MODEL as one ONNX file.

    Rows go in and out as float32 in input units; scaling is part of the graph. The part "head" (a
    classifier, regressor, matcher or segmenter) reads rows, not codes.
    """
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
