"""The variants on the command line: which estimator makes each, and the options that it takes."""

from __future__ import annotations

from typing import Any

import click

from narrows.cli._options import read_settings
from narrows.errors import did_you_mean

__all__ = ["ESTIMATORS", "GLOSSES", "OPTIONS", "estimator_options", "new_estimator"]

# Names, defaults and meaning are those of the estimators; a test holds the texts to them.
OPTIONS: dict[str, tuple[Any, str]] = {
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

GLOSSES = {
    "contractive": "the code hardly moves when the input does",
    "convolutional": "maps of images, that of --net conv",
    "denoising": "rebuilds clean rows from corrupted ones",
    "dictionary": "a row is a sum of k atoms out of many",
    "document": "texts, or counts of words",
    "hashing": "bits to look up similar rows or texts by",
    "linear": "PCA's subspace; rows are centered, errors in input units",
    "plain": "a dense net; for tables, the first to try",
    "sparse": "few units of the code are active",
    "stacked": "layer-wise pretraining, then all layers",
    "tied": "the decoder has the encoder's weights",
    "top_k": "the k largest units of the code are kept",
    "variational": "a prior to sample new rows from",
    "vector_quantized": "the code is a choice from a codebook",
}
"""What each variant is, in a few words."""

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
    "vector_quantized": ("VectorQuantizedAutoencoder", {}),
}
"""Which estimator makes a variant, and what the choice settles: one line each."""

_OF_MAPS: dict[str, dict[str, Any]] = {
    "convolutional": {},
    "denoising": {"corruption": "masking"},
    "plain": {},
    "variational": {"beta": 1.0},
}
"""The variants that `--net conv` makes of ConvolutionalAutoencoder, and what each settles."""


def estimator_options(command: Any) -> Any:
    """Give a command an option for every entry of ``OPTIONS``, named as the argument is."""
    for names, (kind, text) in reversed(OPTIONS.items()):
        parts = names.split()
        argument = parts[-1].removeprefix("--").replace("-", "_")
        repeated = argument == "penalties"
        command = click.option(*parts, argument, type=kind, multiple=repeated, help=text)(command)
    return command


def new_estimator(variant: str, net: str, options: dict[str, Any], *, verbose: int) -> Any:
    """Return the estimator of a variant with the options that were given; others keep defaults.

    Parameters
    ----------
    options : dict
        By argument; None and () where an option was not given. "settings" are the texts of
        ``--set``.

    Raises
    ------
    UsageError
        If an option or a setting is none of the variant's, or not of its type.
    """
    import narrows
    from narrows.errors import UsageError

    given = {name: value for name, value in options.items() if value not in (None, ())}
    settings = read_settings(given.pop("settings", ()))
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
                f"{', '.join(known)}.{did_you_mean(setting, known)}"
            )
    if "image_shape" not in known:
        given.pop("image_shape", None)
    return kind(**{**fixed, **given, **settings, "verbose": verbose})


def _widths(option: str, text: str) -> tuple[int, ...]:
    return tuple(_integer(option, part) for part in text.split(",") if part.strip())


def _integer(option: str, text: str) -> int:
    from narrows.errors import UsageError

    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{option}: expected an integer, got {text!r}.") from None
