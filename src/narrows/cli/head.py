"""narrows head: a classifier, a regressor, a matcher or a segmenter on a fitted code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.catalog import HEADS
from narrows.cli._checkpoints import Interruptible, checkpoint_options
from narrows.cli._columns import Opened, as_fit_takes, open_with_columns, targets_in_file
from narrows.cli._commands import Names
from narrows.cli._common import (
    PATH,
    SEED,
    data_argument,
    json_option,
    model_argument,
    open_model,
    print_json,
    print_values,
)
from narrows.cli._data import data_path
from narrows.cli._held_out import held_out_options, opened_for_fit, weights_option
from narrows.cli._progress import quiet_option, verbosity
from narrows.cli._set_option import read_settings, set_option
from narrows.errors import did_you_mean

__all__ = ["head"]


@click.command(short_help="Put a classifier, regressor, matcher or segmenter on a code.")
@model_argument
@data_argument
@click.option("--labels", type=PATH, help="What is known of each row of DATA: .npy, IDX, .csv "
              "and .txt with a line a row, .svmlight, or a column, y.csv:label=NAME; for segment "
              "masks, .npy, .npz or a folder of images. Data may bring their own: "
              "table.csv:label=kind, documents, images in folders.")  # fmt: skip
@click.option("--task", type=Names(list(HEADS)), required=True,
              help="What is to be said of a row; match: of two; segment: of every pixel.",
              )  # fmt: skip
@click.option("--training", default="frozen", show_default=True,
              help="frozen, fine_tuned, or joint: the task and the reconstruction.")  # fmt: skip
@click.option("--layer", type=int,
              help="Encoder layer that is read, from 0; -1 is the code.  [-1]")  # fmt: skip
@click.option("--unknown", help="The label of rows of which none is known, such as -1.")
@click.option("--class-weight", type=click.Choice(["balanced"]), help="Weigh all classes alike, "
              "however rare; others by --set class_weight='{\"a\": 5}'.")  # fmt: skip
@held_out_options
@weights_option
@click.option("--epochs", "max_epochs", type=int, help="Passes over the rows; without it 50, or "
              "of few rows as many as make 3,000 steps to classify, else 1,000.")  # fmt: skip
@click.option("--seed", "random_state", type=SEED, help="Makes a fit repeat.")
@set_option("Another parameter, such as hidden=[100] or dropout=0.2")
@click.option("-o", "--output", type=PATH, required=True, help="The file of model and head.")
@checkpoint_options
@quiet_option
@json_option
def head(
    model: Path,
    data: str,
    labels: Path | None,
    task: str,
    unknown: str | None,
    groups: str | None,
    block_length: int | None,
    gap: int | None,
    validation: str | None,
    weights: str | None,
    output: Path,
    resume: bool,
    restart: bool,
    keep_checkpoints: bool,
    quiet: bool,
    as_json: bool,
    settings: tuple[str, ...],
    **options: Any,
) -> int:
    """Fit a head to the code of DATA in MODEL, and write both into one file.

    `narrows predict` reads a file of --task classify and regress, `narrows match` one of
    --task match, `narrows segment` one of --task segment. The file still encodes, decodes and
    reconstructs.

    Several values of a row, --task regress, are columns of DATA: table.csv:label=a,label=b.

    Of classes and values it prints how right the head is on its rows, and on those held out by
    --set validation_fraction=0.2, beside the share of the commonest class, which needs no net.

    Checkpoints stand in OUTPUT.checkpoints until the file is written; Ctrl-C and SIGTERM leave one,
    and --resume goes on from it to the same end.
    """
    from narrows.cli._heads import naming
    from narrows.cli._reached import reached
    from narrows.writers.tables import check_writable

    check_writable(output, *filter(None, (model, data, labels, validation, weights)))
    held_out = {"groups": groups, "block_length": block_length, "gap": gap}
    _check_task_takes(task, {**held_out, "validation": validation, "weights": weights})
    estimator = open_model(model)
    opened, given = opened_for_fit(data, **held_out, weights=weights, like=estimator)
    source = estimator._validated_query(opened.rows)[1]
    if task == "segment":
        shape = estimator.model_.schema.image_shape or source.image_shape or (1, source.n_features)
        y = _masks(data, labels, source.n_rows, (shape[0], shape[1]))
    else:
        y = _labels(task, data, opened, labels, source.n_rows, unknown)
    fitted = _head(task, estimator, settings, unknown, y, options)
    fitted.set_params(verbose=verbosity(quiet))
    apart = None
    if validation is not None:
        apart = _rows_apart(task, validation, estimator, unknown)
        given["validation_data"] = apart[0], as_fit_takes(apart[1])
    with Interruptible(
        output, resume=resume, restart=restart, keep_checkpoints=keep_checkpoints
    ) as run:
        with naming(labels or data):
            fitted.fit(source, as_fit_takes(y), **given, **run.of_fit)
        fitted.set_params(verbose=0).save(output)
    if run.exit_code:
        return run.exit_code
    results = _results(fitted, task)
    if task in ("classify", "regress"):
        results |= reached(fitted, source, y, task, apart)
    results["model"] = str(output)
    if as_json:
        print_json(results)
        return 0
    print_values(results)
    if results.get("held_out_rows") == 0:
        click.echo(
            "No rows were held out: --set validation_fraction=0.2 does, or measure on others by "
            f"narrows predict {output} DATA."
        )
    return 0


def _head(
    task: str,
    autoencoder: Any,
    settings: tuple[str, ...],
    unknown: str | None,
    y: Any,
    options: dict[str, Any],
) -> Any:
    """Return the unfitted head that the options describe."""
    import narrows
    from narrows.errors import UsageError

    kind = getattr(narrows, HEADS[task].estimator)
    given = {name: value for name, value in options.items() if value is not None}
    given |= read_settings(settings)
    if unknown is not None and task == "regress":
        raise UsageError("--unknown: --task regress reads a value of every row; leave others out.")
    if unknown is not None:
        given["missing_label"] = _unknown(unknown, y)
    elif task != "regress" and y.dtype.kind == "U" and "missing_label" not in given:
        default = str(getattr(kind(), "missing_label", None))  # a matcher's -1, among texts "-1"
        given |= {"missing_label": default} if default in y else {}
    known = [name for name in kind._get_param_names() if name != "autoencoder"]
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(
                f"--task {task} has no parameter {name!r}; it has {', '.join(known)}.{hint}"
            )
    return kind(autoencoder, **given)


def _check_task_takes(task: str, options: dict[str, Any]) -> None:
    """Refuse the options on rows that the head of a task has no use for."""
    refused = {
        "match": (
            [*options],
            "draws pairs from all rows, calibrates them on classes held out, and has no weights",
        ),
        "segment": (["validation", "weights"], "reads no masks but those of DATA, and no weights"),
    }
    names, why = refused.get(task, ([], ""))
    for name in names:
        if options[name] is not None:
            option = name.replace("_", "-")
            raise click.UsageError(f"--{option}: --task {task} {why}; leave it out.")


def _labels(
    task: str, data: str, opened: Opened, labels: Path | None, n_rows: int, unknown: str | None
) -> Any:
    """Return a label a row, (n_rows,), checked for the task, or Targets."""
    from narrows.cli._heads import one_label_a_row
    from narrows.cli._reached import check_classes, numbers

    targets = opened.targets
    if targets is None and labels is not None:
        targets = targets_in_file(labels, n_rows)
    if targets is not None:
        if task != "regress":
            raise click.UsageError(
                f"--task {task}: says one thing of a row, and several labels are named; name one, "
                "and fit a head for each."
            )
        if labels is not None and opened.targets is not None:
            raise click.UsageError(f"--labels: {data} names its labels; leave one of the two out.")
        return targets
    takes_unknown = task != "regress"
    y = one_label_a_row(opened.rows, labels, n_rows, unknown=unknown, takes_unknown=takes_unknown)
    if task == "regress":
        return numbers(y, str(labels or data))
    if task == "classify":
        check_classes(y, str(labels or data))
    return y


def _masks(data: str, labels: Path | None, n_rows: int, sides: tuple[int, int]) -> Any:
    """Return masks (n_rows, n_pixels)."""
    from narrows.data.masks import read_mask_file

    if labels is None:
        raise click.UsageError("--labels: give the masks: .npy, .npz or a folder of images.")
    return read_mask_file(labels, n_rows, sides, images=data_path(data))


def _rows_apart(task: str, validation: str, estimator: Any, unknown: str | None) -> tuple[Any, Any]:
    """Return the rows of --validation and their labels."""
    from narrows.cli._heads import labels_brought

    opened = open_with_columns(validation, {}, like=estimator)
    if opened.targets is None and labels_brought(opened.rows) is None:
        raise click.UsageError(
            f"--validation: {validation} brings no labels; name their column, as in "
            "held_out.csv:label=kind."
        )
    source = estimator._validated_query(opened.rows)[1]
    return source, _labels(task, validation, opened, None, source.n_rows, unknown)


def _unknown(text: str, y: Any) -> Any:
    """Return the label for none in the type that the labels have."""
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
    return {**classes, "epochs": fitted.n_epochs_, f"objective_in_{unit.replace(' ', '_')}":
            fitted.history_[-1]}  # fmt: skip
