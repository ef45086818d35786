"""narrows fit: learn a code and write a model file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from narrows.catalog import VARIANTS
from narrows.cli._checkpoints import Interruptible
from narrows.cli._columns import OpenedData, open_for_fit, open_with_columns
from narrows.cli._data import open_data
from narrows.cli._models import seed_given
from narrows.cli._near_names import Names
from narrows.cli._options import (
    PATH,
    CheckpointOptions,
    RowOptions,
    checkpoint_options,
    collected,
    data_argument,
    json_option,
    quiet_option,
    set_option,
    shape_option,
    size_of,
    training_row_options,
)
from narrows.cli._outputs import print_json
from narrows.cli._progress import verbosity
from narrows.cli._variants import estimator_options, new_estimator

__all__ = ["fit"]


@dataclass(frozen=True)
class _TargetOptions:
    """What the net learns beside DATA: labels, or the clean versions of the rows."""

    labels: Path | None
    clean: str | None


class _ListsVariants(click.Command):
    """A command whose help lists the variants, one per line."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Variants"):
            formatter.write_dl([(name, variant.summary) for name, variant in VARIANTS.items()])
        super().format_options(ctx, formatter)


@click.command(cls=_ListsVariants, short_help="Learn a code from data and write a model file.")
@data_argument
@click.option(
    "--variant",
    type=Names(list(VARIANTS)),
    metavar="VARIANT",
    default="plain",
    show_default=True,
    help="Which kind of autoencoder, one of those above.",
)
@click.option("--net", type=Names(["dense", "conv"]), default="dense", show_default=True,
              help="conv: convolutions over images, for --variant plain, denoising, variational.",
              )  # fmt: skip
@click.option("--channels", help="With --net conv: channels of each stage.  [32,64,128]")
@shape_option
@click.option("--resize", callback=size_of, metavar="H,W", help="Resize images to this size; "
              "commands that read the model do the same.")  # fmt: skip
@estimator_options
@set_option(
    "A parameter without an option of its own, such as sparsity=kl, stemmer=none or "
    'stop_words=["the","and"]'
)
@click.option("--labels", type=PATH, help="With --penalty auxiliary: the label of each row of "
              "DATA.  [taken from DATA, as in table.csv:label=kind]")  # fmt: skip
@click.option("--clean", metavar="FILE", help="The clean versions of the rows of DATA, in the "
              "same order, which the net learns to reconstruct.")  # fmt: skip
@collected("targets", _TargetOptions)
@training_row_options
@click.option("-o", "--output", type=PATH, required=True, help="The model file to write.")
@checkpoint_options
@quiet_option
@json_option
def fit(
    data: str,
    variant: str,
    net: str,
    targets: _TargetOptions,
    row_options: RowOptions,
    output: Path,
    checkpoints: CheckpointOptions,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Learn a code from DATA and write a model file.

    DATA is a file (.npy, .npz, .csv, .tsv, .parquet, .jsonl, .svmlight, IDX; text files and IDX
    also as .gz), a folder of images, or a named data set such as mnist. With --variant document
    and hashing it may be texts: a folder of text files, or .jsonl, .csv, .tsv or .parquet with a
    column of texts, as in docs.csv:text=body,label=topic. In table.csv:label=kind,drop=when the
    named columns are not features.

    The errors printed at the end are those of the held-out rows (--validation-fraction); if no
    rows were held out, those of the training rows, and the output says so. For texts and counts,
    halves of these documents also search for each other by code, by LSA and by TF-IDF.

    Checkpoints are kept in OUTPUT.checkpoints until the model is written; each can be opened as
    a model. Ctrl-C and SIGTERM save one and stop, and --resume continues from it with the same
    result. With --keep-checkpoints, a finished training continues with --resume and more --epochs.

    Defaults in brackets are those of Autoencoder. Other variants have the defaults of their own
    estimators; see `python -c "import narrows; help(narrows.SparseAutoencoder)"`.
    """
    from narrows.estimators.autoencoders.fit import (
        fit_autoencoder,
        held_out_evaluation,
        held_out_halves,
    )
    from narrows.estimators.held_out import HeldOut
    from narrows.writers.tables import check_writable

    inputs = (data, targets.clean, targets.labels, row_options.validation, row_options.weights)
    check_writable(output, *filter(None, inputs))
    estimator = new_estimator(variant, net, options, verbose=verbosity(quiet))
    opened, given = open_for_fit(data, row_options)
    source = opened.rows
    y = _targets(estimator, targets, opened, given, data, row_options)
    if options["image_shape"] is not None and not hasattr(estimator, "image_shape"):
        source = _shaped(source, options["image_shape"])
    fitted: Any = None
    with Interruptible(output, checkpoints) as run:
        weights_of_rows = given.pop("sample_weight", None)
        fitted = fit_autoencoder(
            estimator,
            source,
            y,
            sample_weight=weights_of_rows,
            held_out=HeldOut(**given),
            **run.fit_arguments,
        )
        estimator.set_params(verbose=0).save(output)  # verbose was for this terminal
    if run.exit_code:
        return run.exit_code
    evaluation = held_out_evaluation(fitted)
    halves = held_out_halves(fitted)
    if as_json:
        more = {} if halves is None else {"halves": halves.as_dict()}
        record = {k: v for k, v in estimator.model_.record.items() if k != "epochs"}
        record["seed"] = seed_given(estimator)
        print_json({"model": str(output), **evaluation.as_dict(), **more, "training": record})
    else:
        click.echo(evaluation.table())
        if halves is not None:
            click.echo(f"\n{halves.table()}")
        if estimator.n_components == "auto":
            click.echo(
                f"The width of the code, {estimator.n_components_}, was chosen by "
                "n_components='auto'; --code K sets another."
            )
        click.echo(f"model: {output}")
    return 0


def _targets(
    estimator: Any,
    targets: _TargetOptions,
    opened: OpenedData,
    given: dict[str, Any],
    data: str,
    options: RowOptions,
) -> Any:
    """Return y: clean rows, labels, or None; add the labels of the --validation rows to ``given``.

    Raises
    ------
    UsageError, InvalidData
        If options contradict each other, or the labels do not suit the penalty.
    """
    from narrows.cli._labels import labels_for_penalty
    from narrows.errors import UsageError
    from narrows.estimators.autoencoders.penalty_targets import task_of
    from narrows.text import Documents

    validation = options.validation
    y = None if targets.clean is None else open_data(targets.clean, resize=options.resize)
    task = task_of(estimator)
    if task is None and targets.labels is not None:
        raise UsageError("--labels: only --penalty auxiliary reads labels; add it or omit them.")
    if task is not None:
        if y is not None:
            raise UsageError("--clean: --penalty auxiliary needs labels; omit one of the two.")
        y = labels_for_penalty(task, opened, targets.labels, data)
        if validation is not None:
            held_out = open_with_columns(validation, {}, resize=options.resize)
            y_held_out = labels_for_penalty(task, held_out, None, validation)
            given["validation_data"] = held_out.rows, y_held_out
    if isinstance(y, Documents):
        raise UsageError(f"--clean: {targets.clean} holds texts; clean rows are numbers.")
    if targets.clean is not None and validation is not None:
        raise UsageError(
            "--clean: the --validation rows have no clean versions; omit one of the two."
        )
    return y


def _shaped(source: Any, image_shape: tuple[int, ...]) -> Any:
    """Return rows as images of the given shape."""
    from narrows.core.convolution import checked_shape
    from narrows.data.source import with_image_shape
    from narrows.errors import UsageError
    from narrows.text import Documents

    if isinstance(source, Documents):
        raise UsageError(f"--image-shape: {source.origin} holds texts.")
    return with_image_shape(source, checked_shape(image_shape, source.n_features))
