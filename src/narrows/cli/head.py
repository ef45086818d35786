"""narrows head: fit a classifier, regressor, matcher or segmenter to a code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from narrows.catalog import HEADS
from narrows.cli._checkpoints import Interruptible
from narrows.cli._columns import (
    OpenedData,
    open_for_fit,
    open_with_columns,
    targets_in_file,
    to_fit_argument,
)
from narrows.cli._data import data_path
from narrows.cli._models import open_model
from narrows.cli._near_names import Names
from narrows.cli._options import (
    PATH,
    SEED,
    CheckpointOptions,
    RowOptions,
    check_known_parameters,
    checkpoint_options,
    collected,
    data_argument,
    json_option,
    model_argument,
    quiet_option,
    read_settings,
    set_option,
    training_row_options,
)
from narrows.cli._outputs import print_json, print_values
from narrows.cli._progress import verbosity

__all__ = ["head"]


@dataclass(frozen=True)
class _TaskOptions:
    """What a head learns: its task, the file of the labels, and the label that means unknown."""

    task: str
    labels: Path | None
    unknown: str | None


@click.command(short_help="Fit a classifier, regressor, matcher or segmenter to a code.")
@model_argument
@data_argument
@click.option("--labels", type=PATH, help="The label of each row of DATA: .npy, IDX, .csv or "
              ".txt with one line per row, .svmlight, or a column, y.csv:label=NAME; for segment "
              "the masks, .npy, .npz or a folder of images. DATA may hold the labels: "
              "table.csv:label=kind, documents, images in folders.")  # fmt: skip
@click.option("--task", type=Names(list(HEADS)), required=True,
              help="classify or regress: predict a class or a value; match: whether two rows are "
              "the same thing; segment: the class of every pixel.")  # fmt: skip
@click.option("--training", default="frozen", show_default=True,
              help="frozen trains only the head; fine_tuned also the encoder; joint trains for "
              "reconstruction, too.")  # fmt: skip
@click.option("--layer", type=int,
              help="Encoder layer that the head reads, from 0; -1 is the code.  [-1]")  # fmt: skip
@click.option("--unknown", help="The label that means unknown, such as -1.  [none]")
@click.option(
    "--class-weight", type=click.Choice(["balanced"]),
    help="Give all classes the same weight, however rare; other weights with --set "
         "class_weight='{\"a\": 5}'.",
)  # fmt: skip
@collected("task_options", _TaskOptions)
@training_row_options
@click.option(
    "--epochs", "max_epochs", type=int,
    help="Passes over the rows.  [50, or for few rows enough for 3,000 steps to classify, 1,000 "
         "otherwise]",
)  # fmt: skip
@click.option("--seed", "random_state", type=SEED, help="Makes the fit repeatable.  [none]")
@set_option("Another parameter, such as hidden=[100] or dropout=0.2")
@click.option(
    "-o", "--output", type=PATH, required=True, help="The file to write, with model and head."
)
@checkpoint_options
@quiet_option
@json_option
def head(
    model: Path,
    data: str,
    task_options: _TaskOptions,
    row_options: RowOptions,
    output: Path,
    checkpoints: CheckpointOptions,
    quiet: bool,
    as_json: bool,
    settings: tuple[str, ...],
    **options: Any,
) -> int:
    """Fit a head to MODEL's codes of DATA, and write model and head to one file.

    `narrows predict` reads the file of --task classify and regress, `narrows match` that of
    --task match, `narrows segment` that of --task segment. The file still serves as a model, such
    as for `narrows encode`.

    --task regress takes several targets as columns of DATA: table.csv:label=a,label=b.

    For classes and values, print the accuracy or R^2 on the training rows and on the held-out rows,
    as with --set validation_fraction=0.2; for classes also the share of the most frequent class,
    which is the accuracy of always predicting it.

    Checkpoints are kept in OUTPUT.checkpoints until the file is written. Ctrl-C and SIGTERM save
    one and stop, and --resume continues from it with the same result.
    """
    from narrows.cli._labels import name_labels_in_errors
    from narrows.estimators.inputs import query_rows
    from narrows.writers.tables import check_writable

    task, labels, validation = task_options.task, task_options.labels, row_options.validation
    check_writable(output, *filter(None, (model, data, labels, validation, row_options.weights)))
    _check_row_options(task, row_options)
    estimator = open_model(model)
    opened, given = open_for_fit(data, replace(row_options, validation=None), like=estimator)
    source = query_rows(estimator, opened.rows)[1]
    if task == "segment":
        shape = estimator.model_.schema.image_shape or source.image_shape or (1, source.n_features)
        y = _masks(data, labels, source.n_rows, (shape[0], shape[1]))
    else:
        y = _labels(task_options, data, opened, source.n_rows)
    fitted = _head(task_options, estimator, settings, y, options)
    fitted.set_params(verbose=verbosity(quiet))
    validation_rows = None
    if validation is not None:
        validation_rows = _validation_rows(task_options, validation, estimator)
        given["validation_data"] = validation_rows[0], to_fit_argument(validation_rows[1])
    with Interruptible(output, checkpoints) as run:
        with name_labels_in_errors(labels or data):
            fitted.fit(source, to_fit_argument(y), **given, **run.fit_arguments)
        fitted.set_params(verbose=0).save(output)
    if run.exit_code:
        return run.exit_code
    results = _results(fitted, task)
    if task in ("classify", "regress"):
        results |= _scores(fitted, source, y, task, validation_rows)
    results["model"] = str(output)
    if as_json:
        print_json(results)
        return 0
    print_values(results)
    if results.get("features") == "rows" and fitted.features == "auto":
        click.echo(
            "The head reads the rows: left-out labels are not predicted clearly better from the "
            "code, or there are too few to tell; --set features=code reads the code."
        )
    if results.get("held_out_rows") == 0:
        click.echo(
            "No rows were held out; hold some out with --set validation_fraction=0.2, or measure "
            f"on other rows with narrows predict {output} DATA."
        )
    return 0


def _head(
    task_options: _TaskOptions,
    autoencoder: Any,
    settings: tuple[str, ...],
    y: Any,
    options: dict[str, Any],
) -> Any:
    """Return the unfitted head that the options describe."""
    import narrows
    from narrows.errors import UsageError

    task, unknown = task_options.task, task_options.unknown
    kind = getattr(narrows, HEADS[task].estimator)
    given = {name: value for name, value in options.items() if value is not None}
    given |= read_settings(settings)
    if unknown is not None and task == "regress":
        raise UsageError(
            "--unknown: --task regress needs a value for every row; leave the other rows out."
        )
    if unknown is not None:
        given["missing_label"] = _missing_label(unknown, y)
    elif task != "regress" and y.dtype.kind == "U" and "missing_label" not in given:
        default = str(getattr(kind(), "missing_label", None))  # as a text, a matcher's -1 is "-1"
        given |= {"missing_label": default} if default in y else {}
    check_known_parameters(kind, given, f"--task {task}")
    return kind(autoencoder, **given)


def _check_row_options(task: str, options: RowOptions) -> None:
    """Refuse the options about rows that do not apply to a task."""
    refused = {
        "match": (
            ["groups", "block_length", "gap", "validation", "weights"],
            "draws pairs from all rows, calibrates on held-out classes, and takes no weights",
        ),
        "segment": (
            ["validation", "weights"],
            "reads only the masks of DATA and takes no weights",
        ),
    }
    names, why = refused.get(task, ([], ""))
    for name in names:
        if getattr(options, name) is not None:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option}: --task {task} {why}; leave it out.")


def _labels(options: _TaskOptions, data: str, opened: OpenedData, n_rows: int) -> Any:
    """Return one label per row, (n_rows,), checked for the task; or Targets."""
    from narrows.cli._labels import check_classes, numbers, one_label_per_row

    task, labels = options.task, options.labels
    targets = opened.targets
    if targets is None and labels is not None:
        targets = targets_in_file(labels, n_rows)
    if targets is not None:
        if task != "regress":
            raise click.UsageError(
                f"--task {task}: reads one label per row, but several are named; name one, and fit "
                "a head for each."
            )
        if labels is not None and opened.targets is not None:
            raise click.UsageError(f"--labels: {data} also names labels; omit one of the two.")
        return targets
    takes_unknown = task != "regress"
    y = one_label_per_row(
        opened.rows, labels, n_rows, unknown=options.unknown, takes_unknown=takes_unknown
    )
    if task == "regress":
        return numbers(y, str(labels or data))
    if task == "classify":
        check_classes(y, str(labels or data))
    return y


def _masks(data: str, labels: Path | None, n_rows: int, sides: tuple[int, int]) -> Any:
    """Return masks (n_rows, n_pixels)."""
    from narrows.data.readers.masks import read_mask_file

    if labels is None:
        raise click.UsageError("--labels: give the masks: .npy, .npz or a folder of images.")
    return read_mask_file(labels, n_rows, sides, images=data_path(data))


def _validation_rows(options: _TaskOptions, validation: str, estimator: Any) -> tuple[Any, Any]:
    """Return the rows of --validation and their labels."""
    from narrows.cli._labels import labels_in_data
    from narrows.estimators.inputs import query_rows

    opened = open_with_columns(validation, {}, like=estimator)
    if opened.targets is None and labels_in_data(opened.rows) is None:
        raise click.UsageError(
            f"--validation: {validation} holds no labels; name their column, as in "
            "held_out.csv:label=kind."
        )
    source = query_rows(estimator, opened.rows)[1]
    return source, _labels(replace(options, labels=None), validation, opened, source.n_rows)


def _missing_label(text: str, y: Any) -> Any:
    """Return the label that --unknown names, in the type of the labels."""
    from narrows.errors import UsageError

    if y.dtype.kind == "U":
        return text
    try:
        value = float(text)
        # a float would round a large integer to its neighbor
        return value if y.dtype.kind == "f" or not value.is_integer() else _integer(text, value)
    except ValueError:
        raise UsageError(f"--unknown: the labels are numbers, got {text!r}.") from None


def _integer(text: str, value: float) -> int:
    try:
        return int(text)
    except ValueError:  # such as 255.0
        return int(value)


def _results(fitted: Any, task: str) -> dict[str, Any]:
    if task == "segment":
        return {
            "classes": len(fitted.classes_),
            "epochs": fitted.n_epochs_,
            "objective_in_nats": fitted.history_[-1],
        }
    if task == "match":
        return {
            "auc": fitted.auc_,
            "calibration_error": fitted.calibration_error_,
            "held_out": fitted.calibrated_on_,
        }
    classes = {"classes": len(fitted.classes_)} if task == "classify" else {}
    unit = "nats" if task == "classify" else "squared deviations"
    return {
        **classes,
        "features": fitted.features_,
        "epochs": fitted.n_epochs_,
        f"objective_in_{unit.replace(' ', '_')}": fitted.history_[-1],
    }


def _scores(
    fitted: Any, source: Any, y: Any, task: str, validation_rows: tuple[Any, Any] | None
) -> dict[str, Any]:
    """Return accuracy or R^2 on the training rows and on the held-out rows, with their numbers.

    The held-out rows are those of --validation, or else those that ``fit`` held out. For classes
    also return the share of the most frequent one; if labels are unknown, how many are known.
    """
    import numpy as np
    import torch

    from narrows.applications.heads.scores import most_frequent_share, same_labels

    missing_label = fitted.missing_label if task == "classify" else None

    def known(y: Any) -> Any:
        if missing_label is None:
            return np.ones(len(y), dtype=bool)
        return ~same_labels(y, missing_label)

    measure = "accuracy" if task == "classify" else "r2"
    results: dict[str, Any] = {}
    y = getattr(y, "values", y)
    parts = {"training": (source, y, fitted.training_rows_)}
    if validation_rows is None:
        parts["held_out"] = (source, y, fitted.held_out_rows_)
    else:
        values = getattr(validation_rows[1], "values", validation_rows[1])
        parts["held_out"] = (validation_rows[0], values, np.arange(len(values)))
    for part, (part_source, part_y, rows) in parts.items():
        results[f"{part}_rows"] = len(rows)
        if not known(y).all():
            results[f"{part}_labels"] = int(known(part_y)[rows].sum())
        if len(rows) > 1:  # R^2 has no meaning for one row
            part_rows = part_source.subset(torch.from_numpy(rows))
            results[f"{part}_{measure}"] = float(fitted.score(part_rows, part_y[rows]))
    if task == "classify":
        results["most_frequent_class_share"] = most_frequent_share(y[known(y)])
    return results
