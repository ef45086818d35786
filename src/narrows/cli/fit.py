"""narrows fit: learn a code and write a model file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from narrows.cli._common import (
    PATH,
    data_argument,
    json_option,
    print_json,
    seed_given,
    shape_option,
)
from narrows.cli._data import open_data
from narrows.cli._progress import quiet_option

__all__ = ["ESTIMATORS", "fit"]

# Names, defaults and meaning are those of the estimators; a test holds the texts to them.
_OPTIONS: dict[str, tuple[Any, str]] = {
    "-k --code --n-components": (int, "Width of the code.  [32]"),
    "--hidden": (str, "Hidden widths, such as 1000,500,250; '' for none.  [512,256]"),
    "--activation": (str, "silu, gelu, relu, tanh, sigmoid or linear.  [silu]"),
    "--loss": (str, "auto, squared_error, bernoulli or multinomial.  [auto]"),
    "--code-activation": (str, "Of the code, such as sigmoid.  [linear]"),
    "--corruption": (str, "none, or such as masking:0.25 or gaussian:sigma=0.1.  [identity]"),
    "--penalty --penalties": (str, "Such as l1:0.001; may be repeated.  [none]"),
    "--augmentation": (str, "Of images, such as affine or affine:flip=0.5.  [none]"),
    "--scale": (str, "auto, none, unit, center, standard or proportions.  [auto]"),
    "--epochs --max-epochs": (int, "Passes over the data.  [50]"),
    "--batch-size": (str, "Rows a step.  [auto]"),
    "--learning-rate": (float, "Highest rate of Adam.  [0.002]"),
    "--weight-decay": (float, "Decoupled weight decay.  [0.0]"),
    "--validation-fraction": (float, "Share of the rows held out.  [0.1]"),
    "--patience": (int, "Epochs without improvement; 0 never stops.  [10]"),
    "--precision": (str, "auto, float32 or bfloat16.  [auto]"),
    "--device": (str, "auto, cpu, cuda, ...  [auto]"),
    "--seed --random-state": (int, "Makes a fit repeat.  [none]"),
}

ESTIMATORS: dict[str, tuple[str, dict[str, Any]]] = {
    "contractive": ("ContractiveAutoencoder", {}),
    "convolutional": ("ConvolutionalAutoencoder", {}),
    "denoising": ("DenoisingAutoencoder", {}),
    "dictionary": ("DictionaryAutoencoder", {}),
    "document": ("DocumentAutoencoder", {}),
    "hashing": ("SemanticHasher", {}),
    "linear": ("LinearAutoencoder", {}),
    "plain": ("Autoencoder", {}),
    "sparse": ("SparseAutoencoder", {}),
    "stacked": ("StackedAutoencoder", {}),
    "tied": ("Autoencoder", {"tied": True}),
    "top_k": ("SparseAutoencoder", {"sparsity": "top_k"}),
    "variational": ("VariationalAutoencoder", {}),
    "vector_quantised": ("VectorQuantisedAutoencoder", {}),
}
"""Which estimator makes a variant, and what the choice settles: one line each."""

_OF_MAPS: dict[str, dict[str, Any]] = {
    "convolutional": {},
    "denoising": {"corruption": "masking"},
    "plain": {},
    "variational": {"beta": 1.0},
}
"""The variants that `--net conv` makes of ConvolutionalAutoencoder, and what each settles."""


_ELSEWHERE = {
    "random_state": "--seed NUMBER says it",
    "verbose": "progress is shown, unless --quiet",
}
"""The parameters that every command with ``--set`` has options for, and which."""


def _estimator_options(command: Any) -> Any:
    for names, (kind, text) in reversed(_OPTIONS.items()):
        parts = names.split()
        argument = parts[-1].removeprefix("--").replace("-", "_")
        repeated = argument == "penalties"
        command = click.option(*parts, argument, type=kind, multiple=repeated, help=text)(command)
    return command


@click.command(short_help="Learn a code from data and write a model file.")
@data_argument
@click.option(
    "--variant",
    type=click.Choice(list(ESTIMATORS)),
    default="plain",
    show_default=True,
    help="Which net: tied has W and its transpose, linear finds PCA's subspace, the code of "
    "contractive barely moves when the input does, variational has a prior to sample from.",
)
@click.option("--net", type=click.Choice(["dense", "conv"]), default="dense", show_default=True,
              help="conv: maps of images, for --variant plain, denoising and variational.",
              )  # fmt: skip
@click.option("--channels", help="Of the maps of --net conv, a stage each.  [32,64,128]")
@shape_option
@_estimator_options
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter that only this variant has, such as sparsity=kl, stemmer=none or "
    'stop_words=["the","and"]; may be repeated.',
)
@click.option("-o", "--output", type=PATH, required=True, help="The model file.")
@click.option("--resume", is_flag=True, help="Go on from the last checkpoint of this output.")
@click.option("--restart", is_flag=True, help="Begin anew, whatever checkpoints there are.")
@quiet_option
@json_option
def fit(
    data: str,
    variant: str,
    net: str,
    output: Path,
    resume: bool,
    restart: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Learn a code from DATA and write a model file.

    DATA is a file (.npy, .npz, .csv, .parquet, .jsonl, .svmlight, IDX), a folder of images, or a
    named data set such as mnist. For --variant document and hashing it may be texts: a folder of
    text files, or .jsonl, .csv or .parquet with a column of them, named as in
    docs.csv:text=body,label=topic. In table.csv:label=kind,drop=when the columns named are no
    features.

    Checkpoints stand in OUTPUT.checkpoints until the model is written; Ctrl-C and SIGTERM leave
    one, and --resume goes on from it to the same end.

    Defaults in brackets are those of Autoencoder; another variant has those of its own estimator,
    which `python -c "import narrows; help(narrows.SparseAutoencoder)"` shows.
    """
    from narrows.applications.output import check_writable
    from narrows.cli._checkpoints import check_left, clear
    from narrows.cli._signals import StopOnSignal
    from narrows.training.loop import TrainingStopped

    check_writable(output, data)
    estimator = _estimator(variant, net, options, verbose=0 if quiet else 2 - sys.stderr.isatty())
    source = open_data(data)
    if options["image_shape"] is not None and not hasattr(estimator, "image_shape"):
        source = _shaped(source, options["image_shape"])
    folder = output.with_name(output.name + ".checkpoints")
    check_left(folder, resume=resume, restart=restart)
    with StopOnSignal() as signals:
        try:
            estimator._train(source, folder, resume, signals.requested)
        except TrainingStopped:
            click.echo(
                f"Stopped. The state is in {folder}; the same command with --resume goes on.",
                err=True,
            )
            return signals.exit_code
        estimator.set_params(verbose=0).save(output)  # progress was for this terminal
    clear(folder)
    evaluation = estimator.evaluate(source)
    if as_json:
        record = {k: v for k, v in estimator.model_.record.items() if k != "epochs"}
        record["seed"] = seed_given(estimator)
        print_json({"model": str(output), **evaluation.as_dict(), "training": record})
    else:
        click.echo(evaluation.table())
        click.echo(f"model: {output}")
    return 0


def _estimator(variant: str, net: str, options: dict[str, Any], *, verbose: int) -> Any:
    """Return the estimator of a variant with the options that were given; others keep defaults."""
    import narrows
    from narrows.errors import UsageError

    given = {name: value for name, value in options.items() if value not in (None, ())}
    settings = dict(_setting(text) for text in given.pop("settings", ()))
    for name in ("hidden", "channels"):
        if name in given:
            given[name] = _widths(f"--{name}", given[name])
    if given.get("patience") == 0:
        given["patience"] = None
    if "batch_size" in given and given["batch_size"] != "auto":
        given["batch_size"] = _integer("--batch-size", given["batch_size"])
    name, fixed = ESTIMATORS[variant]
    if net == "conv":
        if variant not in _OF_MAPS:
            raise UsageError(f"--net conv: makes {', '.join(_OF_MAPS)}, not --variant {variant}.")
        name, fixed = ESTIMATORS["convolutional"][0], _OF_MAPS[variant]
    kind = getattr(narrows, name)
    known = kind._get_param_names()
    for option in given:
        if option not in known and option != "image_shape":  # the source has it
            raise UsageError(f"--{option.replace('_', '-')} does not apply to --variant {variant}.")
    for setting in settings:
        if setting not in known:
            raise UsageError(
                f"--set {setting}: --variant {variant} has no such parameter; it has "
                f"{', '.join(known)}."
            )
    if "image_shape" not in known:
        given.pop("image_shape", None)
    return kind(**{**fixed, **given, **settings, "verbose": verbose})


def _shaped(source: Any, image_shape: tuple[int, ...]) -> Any:
    """Return rows as images of that shape."""
    from narrows.convolution import checked_shape
    from narrows.errors import UsageError
    from narrows.text import Documents

    if isinstance(source, Documents):
        raise UsageError(f"--image-shape: {source.origin} holds texts.")
    return source.shaped(checked_shape(image_shape, source.n_features))


def _setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; the value is none, JSON where it is, text otherwise.

    Raises
    ------
    UsageError
        If it is no NAME=VALUE, or what an option says that could say another thing.
    """
    from narrows.errors import UsageError

    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set: expected NAME=VALUE, got {text!r}.")
    name = name.replace("-", "_")
    if name in _ELSEWHERE:
        raise UsageError(f"--set {name}: {_ELSEWHERE[name]}.")
    if value in ("none", "None"):
        return name, None
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _widths(option: str, text: str) -> tuple[int, ...]:
    return tuple(_integer(option, part) for part in text.split(",") if part.strip())


def _integer(option: str, text: str) -> int:
    from narrows.errors import UsageError

    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{option}: expected an integer, got {text!r}.") from None
