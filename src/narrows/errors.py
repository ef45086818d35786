"""All errors and warnings that Narrows raises on purpose.

Exception
`-- NarrowsError                              exit code
    |-- UsageError         (ValueError)       2   an invalid argument or option
    |   |-- MissingExtra   (ImportError)      2   an optional package is not installed
    |   `-- OutputBusy                        2   another training writes to this output
    |-- InvalidData        (ValueError)       3   input that breaks a rule
    |   `-- DataChanged                       3   the data are not the checkpoint's
    |-- ModelFileError     (ValueError)       4   corrupt or foreign model file
    |   `-- LaterFormat                       4   a file written by a later version
    |-- ResourceError      (OSError)          5   disk or memory
    `-- TrainingDiverged   (ArithmeticError)  6   the loss is no longer finite
Warning
|-- CopiesWarning          (UserWarning)          rows used to measure repeat training rows
|-- CopyingWarning         (UserWarning)          the code is wide enough to copy the input
|-- EmptyDocumentWarning   (UserWarning)          a text has no word of the vocabulary
|-- HeaderWarning          (UserWarning)          a line is read as names, or a column as numbers
|-- HeldOutClassWarning    (UserWarning)          a head does not learn a class
|-- ImageShapeWarning      (UserWarning)          rows are read as images of a guessed shape
|-- LostColumnsWarning     (UserWarning)          columns vary too little and count as constant
|-- MissingFontWarning     (UserWarning)          no font has a character of a figure
|-- NothingFlaggedWarning  (UserWarning)          no p-value can be as small as alpha
|-- OutdatedWarning        (UserWarning)          measurements of an earlier net are dropped
|-- PairingWarning         (UserWarning)          images and masks are paired by order alone
|-- PropagationWarning     (UserWarning)          labels are not propagated to neighbors
|-- RangeWarning           (UserWarning)          rows may be in other units than at fit
|-- UnknownWordsWarning    (UserWarning)          most words of a text are not in the vocabulary
`-- UnspacedTextWarning    (UserWarning)          texts without spaces are split by characters"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Iterable
from functools import cache

__all__ = [
    "CopiesWarning",
    "CopyingWarning",
    "DataChanged",
    "EmptyDocumentWarning",
    "HeaderWarning",
    "HeldOutClassWarning",
    "ImageShapeWarning",
    "InvalidData",
    "LaterFormat",
    "LostColumnsWarning",
    "MissingExtra",
    "MissingFontWarning",
    "ModelFileError",
    "NarrowsError",
    "NothingFlaggedWarning",
    "OutdatedWarning",
    "OutputBusy",
    "PairingWarning",
    "PropagationWarning",
    "RangeWarning",
    "ResourceError",
    "TrainingDiverged",
    "UnknownWordsWarning",
    "UnspacedTextWarning",
    "UsageError",
    "did_you_mean",
    "first_names",
    "near_name",
    "unknown_name",
    "warn",
]


class NarrowsError(Exception):
    """Base class of all errors; the command line exits with ``exit_code``."""

    exit_code = 1


class UsageError(NarrowsError, ValueError):
    """An argument or option has an invalid value."""

    exit_code = 2


class MissingExtra(UsageError, ImportError):
    """An optional package is missing; the message gives the command that installs it."""


class OutputBusy(UsageError):
    """Another training run holds the lock on this output."""


class InvalidData(NarrowsError, ValueError):
    """Input data break a rule; the message names the file, the row or line, and the rule."""

    exit_code = 3


class DataChanged(InvalidData):
    """The data differ from the data that the checkpoint was trained on."""


class ModelFileError(NarrowsError, ValueError):
    """A model file is corrupt, foreign, or from a later version."""

    exit_code = 4


class LaterFormat(ModelFileError):
    """A later version wrote the model file, in a format that this one cannot read."""


class ResourceError(NarrowsError, OSError):
    """Disk or memory ran out, or a path cannot be written."""

    exit_code = 5


class TrainingDiverged(NarrowsError, ArithmeticError):
    """The training loss is not finite; the last good checkpoint is kept."""

    exit_code = 6


class CopiesWarning(UserWarning):
    """Held-out or calibration rows repeat training rows, or the rows to be scored."""


class CopyingWarning(UserWarning):
    """The code is at least as wide as the input: the net may learn to copy."""


class EmptyDocumentWarning(UserWarning):
    """A text has no word that the model counts, so its code carries no information."""


class UnknownWordsWarning(UserWarning):
    """Most words of a text are not in the vocabulary, so its code carries little information."""


class HeaderWarning(UserWarning):
    """The first line is read as column names, or the first column as row numbers."""


class UnspacedTextWarning(UserWarning):
    """Texts in scripts without spaces between words are split into character n-grams."""


class HeldOutClassWarning(UserWarning):
    """All rows of a class are held out, so the head does not learn it."""


class ImageShapeWarning(UserWarning):
    """Rows are read as images of a shape that was guessed and may be wrong."""


class LostColumnsWarning(UserWarning):
    """Columns vary by less than their scaled values can resolve and are treated as constant."""


class MissingFontWarning(UserWarning):
    """No installed font has a character of a figure, which is drawn as a box."""


class NothingFlaggedWarning(UserWarning):
    """The level alpha is below the smallest possible p-value, so it flags no row."""


class OutdatedWarning(UserWarning):
    """Measurements of a net are dropped because its weights have changed since."""


class PairingWarning(UserWarning):
    """Files are paired by their order, because their names do not match."""


class PropagationWarning(UserWarning):
    """Labels are not propagated to neighbors, since folds don't say that this is better."""


class RangeWarning(UserWarning):
    """Rows are far larger or smaller than the training rows; they may be in other units."""


class WeightingWarning(UserWarning):
    """Rows look weighted by document frequency already, and are not weighted again."""


def first_names(names: list[str], shown: int = 5) -> str:
    """Return the first names, and the number of further names, as text."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def unknown_name(slot: str, name: object, known: Iterable[str]) -> UsageError:
    """Return the error for an unknown name, which suggests the nearest known one."""
    names = sorted(known)
    hint = did_you_mean(name, names)
    return UsageError(f"{slot}: unknown name {name!r}; choose from {', '.join(names)}.{hint}")


_SYNONYMS = {
    # variants
    "ae": "plain", "autoencoder": "plain", "vanilla": "plain", "basic": "plain",
    "vae": "variational", "beta_vae": "variational", "bvae": "variational",
    "dae": "denoising", "sae": "sparse", "ksparse": "top_k", "k_sparse": "top_k",
    "cae": "convolutional conv", "cnn": "convolutional conv", "conv": "convolutional",
    "pca": "linear", "sdae": "stacked", "deep": "stacked", "dbn": "stacked",
    "vqvae": "vector_quantized", "vq_vae": "vector_quantized", "vq": "vector_quantized",
    "vector_quantized": "vector_quantized", "text": "document", "lsa": "document",
    "hash": "hashing", "hasher": "hashing", "semantic_hashing": "hashing", "mlp": "dense",
    "fc": "dense", "convnet": "conv",
    # activations
    "swish": "silu", "identity": "linear", "none": "linear", "logistic": "sigmoid",
    "rectifier": "relu", "leaky_relu": "relu", "elu": "silu", "mish": "silu", "softplus": "relu",
    # losses
    "mse": "squared_error", "l2_loss": "squared_error", "mean_squared_error": "squared_error",
    "sse": "squared_error", "gaussian_nll": "squared_error", "bce": "bernoulli",
    "binary_cross_entropy": "bernoulli", "binary_crossentropy": "bernoulli",
    "log_loss": "bernoulli", "cross_entropy": "multinomial", "softmax": "multinomial",
    "categorical_crossentropy": "multinomial", "poisson": "multinomial",
    # corruptions
    "dropout": "masking", "mask": "masking", "zero": "masking", "noise": "gaussian corruption",
    "normal": "gaussian", "gauss": "gaussian", "saltpepper": "salt_and_pepper",
    "salt_pepper": "salt_and_pepper", "nan": "missing", "cutout": "patches",
    # penalties
    "lasso": "l1", "ridge": "l2", "weightdecay": "weight_decay", "kl": "kl_sparsity",
    "kl_divergence": "kl_to_prior", "jacobian": "contractive",
    # scales
    "standardize": "standard", "standardise": "standard", "zscore": "standard",
    "z_score": "standard", "minmax": "unit", "min_max": "unit", "0_1": "unit",
    "normalize": "unit", "centre": "center", "tf_idf": "tfidf",
    # tasks, trainings, parts, presets
    "classifier": "classify", "classification": "classify", "regression": "regress",
    "regressor": "regress", "matching": "match", "segmentation": "segment",
    "finetune": "fine_tuned", "fine_tune": "fine_tuned", "fine_tuning": "fine_tuned",
    "freeze": "frozen", "full": "best", "quick": "fast", "small": "fast",
    # data sets and precisions
    "fashion": "fashion_mnist", "digits": "mnist", "fmnist": "fashion_mnist",
    "fp32": "float32", "float": "float32", "bf16": "bfloat16", "half": "bfloat16",
    # parameters and options
    "lr": "learning_rate", "eta": "learning_rate", "step_size": "learning_rate",
    "n_epochs": "max_epochs", "num_epochs": "max_epochs", "epochs": "max_epochs",
    "iterations": "max_epochs", "max_iter": "max_epochs", "n_iter": "max_epochs",
    "latent_dim": "n_components", "latent": "n_components", "dim": "n_components",
    "code_size": "n_components", "bottleneck": "n_components", "encoding_dim": "n_components",
    "hidden_layers": "hidden", "hidden_layer_sizes": "hidden", "layers": "hidden",
    "hidden_sizes": "hidden", "units": "hidden", "bs": "batch_size", "batch": "batch_size",
    "wd": "weight_decay", "l2": "weight_decay", "alpha_l2": "weight_decay",
    "val_split": "validation_fraction", "validation_split": "validation_fraction",
    "val_fraction": "validation_fraction", "test_size": "validation_fraction",
    "early_stopping": "patience", "n_iter_no_change": "patience",
    "random_seed": "random_state", "seed": "random_state", "rng": "random_state",
    "gpu": "device", "cuda": "device", "model": "variant", "type": "variant", "kind": "variant",
    "architecture": "variant", "out": "output", "save": "output", "outfile": "output",
    "noise_level": "corruption", "regularization": "penalties", "regularizer": "penalties",
    "normalization": "scale", "scaling": "scale", "act": "activation", "nonlinearity": "activation",
    "top_n": "top", "limit": "top", "threshold": "alpha", "outlier_fraction": "contamination",
    "fraction": "contamination", "plot": "figure", "fig": "figure", "picture": "figure",
    "image": "figure", "size": "image_shape", "shape": "image_shape", "silent": "quiet",
    "continue": "resume", "overwrite": "restart", "force": "restart", "y": "labels",
    "target": "labels", "targets": "labels", "topk": "k", "neighbors": "k", "count": "n",
}  # fmt: skip
"""Names from papers and other tools, with their names in Narrows, the likeliest first. A name
outside the table that is searched is ignored."""


def near_name(name: object, known: Iterable[str]) -> str | None:
    """Return the known name that is probably meant, or None.

    Case, hyphens, underscores and spaces are ignored.
    """
    by_plain: dict[str, str] = {}
    for known_name in known:
        by_plain.setdefault(_plain(known_name), known_name)
    wanted = _plain(str(name))
    if wanted in by_plain:
        return by_plain[wanted]
    for candidate in _synonyms().get(wanted, ()):
        if candidate in by_plain:
            return by_plain[candidate]
    near = difflib.get_close_matches(wanted, by_plain, n=1)
    return by_plain[near[0]] if near else None


def did_you_mean(name: object, known: Iterable[str], prefix: str = "") -> str:
    """Return " Did you mean 'NAME'?", or "" if no known name is near."""
    near = near_name(name, known)
    return "" if near is None else f" Did you mean '{prefix}{near}'?"


@cache
def _synonyms() -> dict[str, tuple[str, ...]]:
    """Return ``_SYNONYMS`` with all names in the form of ``_plain``."""
    return {_plain(name): tuple(map(_plain, names.split())) for name, names in _SYNONYMS.items()}


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "").replace(" ", "")


_BETWEEN = frozenset(["narrows", "sklearn", "contextlib", "functools", "click"])
"""Packages that may stand between a line of the user and a warning."""


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn the user, at the line of their code that led here."""
    level, frame = 2, sys._getframe(1)  # pyright: ignore[reportPrivateUsage] -- for stacklevel
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)
