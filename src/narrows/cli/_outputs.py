"""Check where a command will write before it starts, and print its results."""

from __future__ import annotations

import json
import math
import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from narrows.model.model import Model
    from narrows.writers.images import ImageFolder

__all__ = [
    "check_image_shape",
    "check_outputs",
    "one_line",
    "print_json",
    "file_lines",
    "print_results",
    "print_values",
]


def check_outputs(
    output: Path | ImageFolder | None, figure: Path | None, *inputs: str | Path | None
) -> None:
    """Refuse an output or a figure that cannot be written, is an input, or replaces the other.

    Raises
    ------
    ResourceError
        As ``check_target``.
    UsageError
        As ``check_target`` and ``check_figure_name``; if the figure is an image in the output
        folder, where it could replace a row or be read as one.
    """
    from narrows.data.readers.folders import IMAGE_SUFFIXES
    from narrows.errors import UsageError
    from narrows.figures.saving import check_figure_name
    from narrows.writers.images import ImageFolder, check_target
    from narrows.writers.tables import check_writable

    given = [name for name in inputs if name is not None]
    if output is not None:
        check_target(output, *given)
    if figure is None:
        return
    check_writable(figure, *given)
    check_figure_name(figure)
    if output is None:
        return
    picture = Path(os.path.realpath(figure))
    if not isinstance(output, ImageFolder):
        if picture == Path(os.path.realpath(output)):
            raise UsageError(f"--figure {figure}: is the file of -o {output}; name another.")
    elif Path(os.path.realpath(output.path)) in picture.parents and any(
        path.suffix.lower() in IMAGE_SUFFIXES for path in (figure, picture)
    ):
        raise UsageError(
            f"--figure {figure}: lies in {output}, where it could replace an image or be taken "
            "for one; put it elsewhere."
        )


def check_image_shape(model: Model, image_shape: tuple[int, ...] | None) -> None:
    """Refuse an --image-shape that does not fit the model's rows, even if no image is drawn.

    Raises
    ------
    InvalidData
    """
    if image_shape is not None:
        from narrows.writers.pixels import image_shape_of

        image_shape_of(model, image_shape)


def print_json(values: dict[str, Any]) -> None:
    """Print values as one line of JSON; numbers that are not finite become null."""
    click.echo(json.dumps(_finite(values), allow_nan=False, default=str))


def file_lines(results: dict[str, Any]) -> list[str]:
    """Return a line for each file written: the output with its shape, and the figure."""
    lines = []
    if "output" in results:
        shape = " x ".join(map(str, results.get("shape", ())))
        lines.append(f"output: {results['output']}" + (f", {shape}" if shape else ""))
    return lines + ([f"figure: {results['figure']}"] if "figure" in results else [])


def print_results(results: dict[str, Any], lines: list[str], *, as_json: bool) -> None:
    """Print the results as JSON, or else the lines."""
    if as_json:
        print_json(results)
    else:
        click.echo("\n".join(lines))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_values(values: dict[str, Any]) -> None:
    """Print one "name: value" per line, floats with 4 digits."""
    for name, value in values.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        click.echo(f"{name.replace('_', ' ')}: {shown}")


def one_line(text: str, length: int) -> str:
    """Return the beginning of a text, on one line and in at most ``length`` characters.

    Runs of white space become one blank. Control and format characters, such as escapes and
    right-to-left overrides, are removed.
    """
    start = " ".join(text[: 4 * length].split())
    kept = "".join(c for c in start if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return kept if len(kept) <= length else kept[: length - 1].rstrip() + "…"
