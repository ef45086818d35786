"""Turn the options of `narrows fit` into the estimator of a variant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from narrows.catalog import VARIANTS
from narrows.cli._options import check_known_parameters, read_settings

__all__ = ["OPTIONS", "estimator_options", "new_estimator"]

# Names, defaults and meaning are those of the estimators; a test compares them.
OPTIONS: dict[str, tuple[Any, str]] = {
    "-k --code --n-components": (str, "Width of the code.  [auto]"),
    "--hidden": (str, "Widths of the hidden layers, such as 1000,500,250; '' for none.  [auto]"),
    "--activation": (
        str,
        "Activation of the hidden layers: silu, gelu, relu, tanh, sigmoid or linear.  [silu]",
    ),
    "--loss": (str, "auto, squared_error, bernoulli or multinomial.  [auto]"),
    "--code-activation": (str, "Activation of the code, such as sigmoid.  [linear]"),
    "--corruption": (
        str,
        "Corruption of training rows, such as masking:0.25 or gaussian:0.1.  [identity]",
    ),
    "--penalty --penalties": (str, "Penalty, such as l1:0.001; may be repeated.  [none]"),
    "--augmentation": (str, "Augmentation of images, such as affine or affine:flip=0.5.  [none]"),
    "--scale": (str, "Scaling of rows: auto, none, unit, center, standard or proportions.  [auto]"),
    "--linear-start": (
        bool,
        "Whether training starts at the linear code, PCA: true or false.  [True]",
    ),
    "--epochs --max-epochs": (str, "Passes over the data.  [auto]"),
    "--batch-size": (str, "Rows per step.  [auto]"),
    "--learning-rate": (str, "Highest learning rate of Adam.  [auto]"),
    "--weight-decay": (float, "Decoupled weight decay.  [0.0]"),
    "--validation-fraction": (str, "Share of the rows to hold out.  [auto]"),
    "--patience": (str, "Stop after this many epochs without improvement; 0 never stops.  [auto]"),
    "--precision": (str, "auto, float32 or bfloat16.  [auto]"),
    "--device": (str, "auto, cpu, cuda, ...  [auto]"),
    "--seed --random-state": (int, "Makes the fit repeatable.  [none]"),
}

_CONV_ARGUMENTS: dict[str, dict[str, Any]] = {
    "convolutional": {},
    "denoising": {"corruption": "masking"},
    "plain": {},
    "variational": {"beta": "auto"},
}
"""The variants that `--net conv` takes, and the arguments of ConvolutionalAutoencoder they fix."""


def estimator_options(command: Any) -> Any:
    """Give a command every option of ``OPTIONS``, passed under the name of the argument."""
    for names, (kind, text) in reversed(OPTIONS.items()):
        parts = names.split()
        argument = parts[-1].removeprefix("--").replace("-", "_")
        repeated = argument == "penalties"
        command = click.option(*parts, argument, type=kind, multiple=repeated, help=text)(command)
    return command


def new_estimator(variant: str, net: str, options: dict[str, Any], *, verbose: int) -> Any:
    """Return the estimator of a variant with the given options; the others keep their defaults.

    Parameters
    ----------
    options : dict
        Values by argument; None or () if the option was not given. "settings" holds the texts of
        ``--set``.

    Raises
    ------
    UsageError
        If an option or a setting does not apply to the variant, or has the wrong type.
    """
    import narrows
    from narrows.errors import UsageError
    from narrows.estimators.parameters import parameter_names

    given = {name: value for name, value in options.items() if value not in (None, ())}
    settings = read_settings(given.pop("settings", ()))
    for name in ("hidden", "channels"):
        if name in given and given[name] != "auto":
            given[name] = _widths(f"--{name}", given[name])
    for name, number in _NUMBERS.items():
        if given.get(name, "auto") != "auto":
            given[name] = number(_option(name), given[name])
    if given.get("patience") == 0:
        given["patience"] = None
    chosen = VARIANTS[variant]
    name, fixed = chosen.estimator, chosen.arguments
    if net == "conv":
        if variant not in _CONV_ARGUMENTS:
            raise UsageError(
                f"--net conv: works with --variant {', '.join(_CONV_ARGUMENTS)}, not {variant}."
            )
        name, fixed = VARIANTS["convolutional"].estimator, _CONV_ARGUMENTS[variant]
    kind = getattr(narrows, name)
    known = parameter_names(kind)
    for option in given:
        if option not in known and option != "image_shape":  # the source takes it
            raise UsageError(f"--{option.replace('_', '-')} does not apply to --variant {variant}.")
    check_known_parameters(kind, settings, f"--variant {variant}")
    if "image_shape" not in known:
        given.pop("image_shape", None)
    return kind(**{**fixed, **given, **settings, "verbose": verbose})


def _widths(option: str, text: str) -> tuple[int, ...]:
    return tuple(_integer(option, part) for part in text.split(",") if part.strip())


def _option(argument: str) -> str:
    """Return the options of an argument as the help shows them, such as --epochs, --max-epochs."""
    last = f"--{argument.replace('_', '-')}"
    return next(", ".join(names.split()) for names in OPTIONS if names.split()[-1] == last)


def _number(option: str, text: str) -> float:
    from narrows.errors import UsageError

    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option}: expected a number or auto, got {text!r}.") from None


def _integer(option: str, text: str) -> int:
    from narrows.errors import UsageError

    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{option}: expected an integer or auto, got {text!r}.") from None


_NUMBERS: dict[str, Callable[[str, str], float]] = {
    "batch_size": _integer,
    "learning_rate": _number,
    "max_epochs": _integer,
    "n_components": _integer,
    "patience": _integer,
    "validation_fraction": _number,
}
"""Options that may be "auto", with the function that reads their other values."""
