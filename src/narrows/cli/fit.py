"""narrows fit: learn a code and write a model file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from narrows.catalog import VARIANTS
from narrows.cli._checkpoints import Interruptible, checkpoint_options
from narrows.cli._commands import Names
from narrows.cli._common import (
    PATH,
    data_argument,
    json_option,
    print_json,
    seed_given,
    shape_option,
    size_of,
)
from narrows.cli._data import open_data
from narrows.cli._held_out import held_out_options, opened_for_fit, weights_option
from narrows.cli._progress import quiet_option, verbosity
from narrows.cli._set_option import set_option
from narrows.cli._variants import estimator_options, new_estimator

__all__ = ["fit"]


class _Glossed(click.Command):
    """A command whose help lists the variants, a line each."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Variants"):
            formatter.write_dl([(name, variant.summary) for name, variant in VARIANTS.items()])
        super().format_options(ctx, formatter)


@click.command(cls=_Glossed, short_help="Learn a code from data and write a model file.")
@data_argument
@click.option(
    "--variant",
    type=Names(list(VARIANTS)),
    metavar="VARIANT",
    default="plain",
    show_default=True,
    help="Which net, one of those above.",
)
@click.option("--net", type=Names(["dense", "conv"]), default="dense", show_default=True,
              help="conv: maps of images, for --variant plain, denoising and variational.",
              )  # fmt: skip
@click.option("--channels", help="Of the maps of --net conv, a stage each.  [32,64,128]")
@shape_option
@click.option("--resize", callback=size_of, metavar="H,W", help="Bring images to this size, "
              "whatever their own; commands on the model do the same.")  # fmt: skip
@estimator_options
@set_option(
    "A parameter that only this variant has, such as sparsity=kl, stemmer=none or "
    'stop_words=["the","and"]'
)
@click.option("--clean", metavar="FILE", help="The clean versions of the rows of DATA, in the "
              "same order: the net learns to rebuild them.")  # fmt: skip
@held_out_options
@weights_option
@click.option("-o", "--output", type=PATH, required=True, help="The model file.")
@checkpoint_options
@quiet_option
@json_option
def fit(
    data: str,
    variant: str,
    net: str,
    clean: str | None,
    groups: str | None,
    block_length: int | None,
    gap: int | None,
    validation: str | None,
    weights: str | None,
    resize: tuple[int, int] | None,
    output: Path,
    resume: bool,
    restart: bool,
    keep_checkpoints: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Learn a code from DATA and write a model file.

    DATA is a file (.npy, .npz, .csv, .tsv, .parquet, .jsonl, .svmlight, IDX; .gz too where a file
    is text or IDX), a folder of images, or a named data set such as mnist. For --variant document
    and hashing it may be texts: a folder of text files, or .jsonl, .csv, .tsv or .parquet with a
    column of them, named as in docs.csv:text=body,label=topic. In table.csv:label=kind,drop=when
    the columns named are no features.

    The errors printed at the end are those of the held-out rows (--validation-fraction); if none
    were held out, those of the training rows, and the output says so.

    Checkpoints stand in OUTPUT.checkpoints until the model is written; Ctrl-C and SIGTERM leave
    one, and --resume goes on from it to the same end. Each opens as a model. A training that ended
    goes on with --resume and more --epochs where --keep-checkpoints left them.

    Defaults in brackets are those of Autoencoder; another variant has those of its own estimator,
    which `python -c "import narrows; help(narrows.SparseAutoencoder)"` shows.
    """
    from narrows.errors import UsageError
    from narrows.estimators.autoencoders.fit import fit_rows, held_out_evaluation
    from narrows.estimators.held_out import HeldOut
    from narrows.text import Documents
    from narrows.writers.tables import check_writable

    check_writable(output, *filter(None, (data, clean, validation, weights)))
    estimator = new_estimator(variant, net, options, verbose=verbosity(quiet))
    opened, given = opened_for_fit(
        data,
        groups=groups,
        block_length=block_length,
        gap=gap,
        validation=validation,
        weights=weights,
        resize=resize,
    )
    source = opened.rows
    y = None if clean is None else open_data(clean, resize=resize)
    if isinstance(y, Documents):
        raise UsageError(f"--clean: {clean} holds texts; clean rows are numbers.")
    if y is not None and validation is not None:
        raise UsageError("--clean: --validation gives no clean rows; leave one of the two out.")
    if options["image_shape"] is not None and not hasattr(estimator, "image_shape"):
        source = _shaped(source, options["image_shape"])
    rows: Any = None
    with Interruptible(
        output, resume=resume, restart=restart, keep_checkpoints=keep_checkpoints
    ) as run:
        weights_of_rows = given.pop("sample_weight", None)
        rows = fit_rows(
            estimator,
            source,
            y,
            sample_weight=weights_of_rows,
            held_out=HeldOut(**given),
            **run.of_fit,
        )
        estimator.set_params(verbose=0).save(output)  # progress was for this terminal
    if run.exit_code:
        return run.exit_code
    evaluation = held_out_evaluation(estimator.model_, rows)
    if as_json:
        record = {k: v for k, v in estimator.model_.record.items() if k != "epochs"}
        record["seed"] = seed_given(estimator)
        print_json({"model": str(output), **evaluation.as_dict(), "training": record})
    else:
        click.echo(evaluation.table())
        click.echo(f"model: {output}")
    return 0


def _shaped(source: Any, image_shape: tuple[int, ...]) -> Any:
    """Return rows as images of that shape."""
    from narrows.core.convolution import checked_shape
    from narrows.errors import UsageError
    from narrows.text import Documents

    if isinstance(source, Documents):
        raise UsageError(f"--image-shape: {source.origin} holds texts.")
    return source.shaped(checked_shape(image_shape, source.n_features))
