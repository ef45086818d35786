"""Arguments and options that several commands share, and the records that they are passed in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from narrows.writers.images import ImageFolder

__all__ = [
    "CheckpointOptions",
    "FigureOptions",
    "PATH",
    "RowOptions",
    "SEED",
    "check_known_parameters",
    "checkpoint_options",
    "collected",
    "data_argument",
    "figure_rows_option",
    "held_out_options",
    "json_option",
    "model_argument",
    "output_option",
    "quiet_option",
    "read_settings",
    "row_output_option",
    "set_option",
    "shape_option",
    "size_of",
    "training_row_options",
]

PATH = click.Path(path_type=Path)


def collected(name: str, record: type[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that passes the options named like fields of ``record`` as one argument.

    The argument is called ``name``. Fields for which the command has no option keep their defaults.
    """
    names = [field.name for field in fields(record)]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def with_record(*arguments: Any, **values: Any) -> Any:
            found = {key: values.pop(key) for key in names if key in values}
            return command(*arguments, **values, **{name: record(**found)})

        return with_record

    return decorate


class Seed(click.ParamType):
    """A seed that PyTorch takes; the help does not show its long range."""

    name = "integer"
    range = click.IntRange(0, 2**63 - 1)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return self.range.convert(value, param, ctx)


SEED = Seed()

model_argument = click.argument("model", type=PATH)
data_argument = click.argument("data")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress on stderr.")
output_option = click.option(
    "-o", "--output", type=PATH, required=True,
    help="The file to write: .npy, .csv or .tsv (.gz too).",
)  # fmt: skip


class RowOutput(click.ParamType):
    """Where to write rows: the path of a file, or an ImageFolder."""

    name = "path"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path | ImageFolder:
        from narrows.writers.images import row_target

        return row_target(value) if isinstance(value, str) else value


def row_output_option(
    what: str, *, required: bool = False, files: str = ".npy, .csv or .tsv"
) -> Callable[[Any], Any]:
    """Return -o for rows in input units, which may be images, or for masks of them."""
    return click.option(
        "-o",
        "--output",
        type=RowOutput(),
        required=required,
        help=f"Where to write {what}: {files}, or a folder, FOLDER/, for PNG images.",
    )


def figure_rows_option(which: str = "evenly spaced through the data") -> Callable[[Any], Any]:
    """Return -n, the number of rows in a figure; ``which`` says how they are chosen."""
    return click.option(
        "-n", "--rows", type=click.IntRange(1, 100), default=10, show_default=True,
        help=f"Rows in the figure, {which}; at most six if they are not images.",
    )  # fmt: skip


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


shape_option = click.option(
    "--image-shape",
    callback=_shape,
    metavar="H,W",
    help="Shape of a row as an image, if the file does not give it; H,W,3 in color.",
)


def size_of(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Return the two numbers of an option HEIGHT,WIDTH."""
    if value is None:
        return None
    sides = value.split(",")
    if len(sides) != 2 or not all(side.strip().isdecimal() for side in sides):
        raise click.BadParameter(f"expected HEIGHT,WIDTH, got {value!r}.")
    return int(sides[0]), int(sides[1])


@dataclass(frozen=True)
class FigureOptions:
    """Where rows are drawn, how many, and their shape as images, written images included."""

    figure: Path | None = None
    rows: int = 10
    image_shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class RowOptions:
    """How a training command reads, weights and holds out rows; None where an option is absent."""

    groups: str | None = None
    block_length: int | None = None
    gap: int | None = None
    validation: str | None = None
    weights: str | None = None
    resize: tuple[int, int] | None = None


_HELD_OUT_OPTIONS = (
    click.option("--groups", metavar="COLUMN",
                 help="A column of DATA that says which rows depend on each other, such as a "
                 "subject. A group is held out as a whole or not at all; the column is "
                 "not a feature."),
    click.option("--block-length", type=click.IntRange(1), metavar="N",
                 help="For rows in order, such as a time series: hold out whole runs of N rows."),
    click.option("--gap", type=click.IntRange(0), metavar="N",
                 help="With --block-length: leave out N rows on either side of a held-out "
                 "block, such as the length of a window.  [0]"),
    click.option("--validation", metavar="FILE",
                 help="A file like DATA, of the rows to hold out instead of a share of DATA."),
)  # fmt: skip

_WEIGHTS_OPTION = click.option(
    "--weights", metavar="COLUMN|FILE",
    help="How much each row counts: a column of DATA, which is then not a feature; or a file "
    "of numbers, one per line, .npy, or w.csv:label=NAME. Only the ratios matter.",
)  # fmt: skip


def held_out_options(command: Any) -> Any:
    """Give a command --groups, --block-length, --gap and --validation, as ``row_options``."""
    return _with_options(collected("row_options", RowOptions)(command), _HELD_OUT_OPTIONS)


def training_row_options(command: Any) -> Any:
    """Give a command ``held_out_options`` and --weights, as ``row_options``."""
    options = (*_HELD_OUT_OPTIONS, _WEIGHTS_OPTION)
    return _with_options(collected("row_options", RowOptions)(command), options)


@dataclass(frozen=True)
class CheckpointOptions:
    """Whether to continue from checkpoints, to start over, and to keep them at the end."""

    resume: bool
    restart: bool
    keep_checkpoints: bool


_CHECKPOINT_OPTIONS = (
    click.option("--resume", is_flag=True,
                 help="Continue from the last checkpoint of this output."),
    click.option("--restart", is_flag=True, help="Start over, ignoring any checkpoints."),
    click.option("--keep-checkpoints", is_flag=True,
                 help="Keep the last checkpoints when the file is written, so that --resume "
                 "can continue with more epochs."),
)  # fmt: skip


def checkpoint_options(command: Any) -> Any:
    """Give a command --resume, --restart and --keep-checkpoints, as ``checkpoints``."""
    return _with_options(collected("checkpoints", CheckpointOptions)(command), _CHECKPOINT_OPTIONS)


def _with_options(command: Any, options: Iterable[Callable[[Any], Any]]) -> Any:
    """Give a command options, which the help lists in this order."""
    for option in reversed([*options]):
        command = option(command)
    return command


def set_option(what: str) -> Callable[[Any], Any]:
    """Return --set, which gives the command ``settings``; ``what`` names the parameters."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help=f"{what}; may be repeated.",
    )


_OWN_OPTION = {
    "random_state": "use --seed NUMBER",
    "verbose": "progress is shown unless --quiet is given",
}
"""Parameters that --set refuses, because every command with --set has an option for them."""


def read_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Return the values of --set by name: None for "none", JSON where it is JSON, else the text.

    The last value of a repeated name counts.

    Raises
    ------
    UsageError
        If a text is not NAME=VALUE, or the parameter has an option of its own.
    """
    return dict(_setting(text) for text in texts)


def _setting(text: str) -> tuple[str, Any]:
    from narrows.errors import UsageError

    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set: expected NAME=VALUE, got {text!r}.")
    name = name.replace("-", "_")
    if name in _OWN_OPTION:
        raise UsageError(f"--set {name}: {_OWN_OPTION[name]}.")
    if value in ("none", "None"):
        return name, None
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def check_known_parameters(kind: type[Any], given: Iterable[str], owner: str) -> None:
    """Refuse names that are not parameters of an estimator class.

    ``owner`` is what the message calls the estimator, such as "--task classify".

    Raises
    ------
    UsageError
    """
    from narrows.errors import UsageError, did_you_mean
    from narrows.estimators.parameters import parameter_names

    known = [name for name in parameter_names(kind) if name != "autoencoder"]  # MODEL or --like
    for name in given:
        if name not in known:
            raise UsageError(
                f"{owner} has no parameter {name!r}; it has {', '.join(known)}."
                f"{did_you_mean(name, known)}"
            )
