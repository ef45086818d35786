"""What several commands share: arguments, opening data and models, printing."""

from __future__ import annotations

import json
import math
import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

__all__ = [
    "PATH",
    "SEED",
    "check_image_shape",
    "check_outputs",
    "code_of",
    "data_argument",
    "json_option",
    "model_argument",
    "one_line",
    "open_estimator",
    "open_model",
    "output_option",
    "print_json",
    "print_values",
    "refuse_detector",
    "rows_option",
    "seed_given",
    "shape_option",
    "size_of",
]

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrows.estimators import AbstractAutoencoder
    from narrows.model.model import Model
    from narrows.writers.images import ImageFolder


PATH = click.Path(path_type=Path)

model_argument = click.argument("model", type=PATH)
data_argument = click.argument("data")


class _RowOutput(click.ParamType):
    """Where rows go: the path of a file, or an ImageFolder."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | ImageFolder:
        from narrows.writers.images import row_target

        return row_target(value) if isinstance(value, str) else value


def rows_option(
    what: str, *, required: bool = False, files: str = ".npy, .csv or .tsv"
) -> Callable[[Any], Any]:
    """Return -o for rows in input units, which may be images, or for masks of them."""
    return click.option(
        "-o",
        "--output",
        type=_RowOutput(),
        required=required,
        help=f"Where to write {what}: {files}, or a folder, FOLDER/, for PNG images.",
    )


output_option = click.option(
    "-o", "--output", type=PATH, required=True, help="Where to write: .npy, .csv or .tsv (.gz too)."
)
SEED = click.IntRange(0, 2**63 - 1)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _shape(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        shape = tuple(int(part) for part in value.split(","))
    except ValueError:
        shape = ()
    if len(shape) not in (2, 3) or min(shape) < 1 or (*shape, 3)[2] != 3:
        raise click.BadParameter(f"expected HEIGHT,WIDTH or HEIGHT,WIDTH,3, got {value!r}.")
    return shape


def size_of(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Return HEIGHT,WIDTH as numbers."""
    if value is None:
        return None
    sides = value.split(",")
    if len(sides) != 2 or not all(side.strip().isdecimal() for side in sides):
        raise click.BadParameter(f"expected HEIGHT,WIDTH, got {value!r}.")
    return int(sides[0]), int(sides[1])


shape_option = click.option(
    "--image-shape",
    callback=_shape,
    metavar="H,W",
    help="Shape of a row as an image, where the file does not say.",
)


def check_image_shape(model: Model, image_shape: tuple[int, ...] | None) -> None:
    """Refuse an --image-shape that does not hold the model's rows, whether they are drawn or not.

    Raises
    ------
    InvalidData
    """
    if image_shape is not None:
        from narrows.writers.pixels import image_shape_of

        image_shape_of(model, image_shape)


def open_estimator(path: Path) -> Any:
    """Return what a model file holds: an autoencoder, a head on one, or a detector.

    Raises
    ------
    ModelFileError
        If there is no such file, or it is damaged.
    """
    from narrows.errors import ModelFileError
    from narrows.estimators import load

    try:
        return load(path)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file.") from None


def open_model(path: Path) -> AbstractAutoencoder:
    """Return the autoencoder of a model file, with or without a head.

    Raises
    ------
    UsageError
        If the file holds a detector.
    """
    return code_of(path, open_estimator(path))


def code_of(path: Path, estimator: Any) -> AbstractAutoencoder:
    """Return the autoencoder of what a file holds; UsageError where it is a detector."""
    refuse_detector(path, estimator)
    return getattr(estimator, "autoencoder_", estimator)  # the code under a head


def refuse_detector(path: Path, estimator: Any) -> None:
    """Refuse a detector where a command needs one net.

    Raises
    ------
    UsageError
        If the file at ``path`` holds one.
    """
    from narrows.errors import UsageError
    from narrows.estimators import DETECTORS

    if isinstance(estimator, DETECTORS):
        raise UsageError(
            f"{path}: holds an {type(estimator).__name__}, whose {len(estimator.members_)} nets "
            f"only score rows together; use narrows anomalies {path} DATA, or narrows fit for a "
            "model with one code."
        )


def seed_given(estimator: Any) -> int | None:
    """Return the seed that makes the fit repeat, None where none was given; what its generators
    were started with is drawn from it, and is no seed to give."""
    seed = estimator.random_state
    return seed if isinstance(seed, int) else None


def print_values(values: dict[str, Any]) -> None:
    """Print a value a line by its name, fractions in 4 digits: JSON has them whole."""
    for name, value in values.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value
        click.echo(f"{name.replace('_', ' ')}: {shown}")


def print_json(values: dict[str, Any]) -> None:
    click.echo(json.dumps(_finite(values), allow_nan=False, default=str))


def _finite(value: Any) -> Any:
    """Return JSON values with null for what is not finite, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def one_line(text: str, length: int) -> str:
    """Return the beginning of a text in at most ``length`` characters, blanks single.

    Control and format characters, such as escapes and right-to-left overrides, are left out.
    """
    start = " ".join(text[: 4 * length].split())
    kept = "".join(c for c in start if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co"))
    return kept if len(kept) <= length else kept[: length - 1].rstrip() + "…"


if TYPE_CHECKING:
    from narrows.writers.images import ImageFolder


def check_outputs(
    output: Path | ImageFolder | None, figure: Path | None, *inputs: str | Path | None
) -> None:
    """Refuse rows and a picture that cannot be written, are an input, or are one file.

    Raises
    ------
    ResourceError
        As ``check_target``.
    UsageError
        As ``check_target`` and ``check_figure_name``; if the picture would be among the images of
        the output, of which it could replace one or be read as one.
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
            "for one; name it elsewhere."
        )
