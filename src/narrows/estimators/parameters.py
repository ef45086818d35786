"""Constructor arguments: kept, documented, resolved, and as JSON values."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any, TypeVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from narrows.augmentations import AUGMENTATIONS
from narrows.core.checks import check_number
from narrows.core.isolation import isolate_methods, out_of_inference
from narrows.core.slots import piece_from_spec, piece_to_spec
from narrows.corruptions import CORRUPTIONS
from narrows.errors import UsageError
from narrows.losses import LOSSES
from narrows.penalties import PENALTIES

__all__ = [
    "WithDefaults",
    "batch_size_for",
    "corruption_spec",
    "documented",
    "epochs_of_steps",
    "forget",
    "json_parameters",
    "keep",
    "known_arguments",
    "parameter_names",
    "seed_from",
    "spec_of",
    "specs_of",
    "widths_of",
]

Estimator = TypeVar("Estimator")

_SHARED = {
    "autoencoder": (
        "autoencoder, FrozenEstimator, path or None",
        "Whose encoder makes the code. A fitted one, or the path of a model file, is used as it "
        "is; one that is not is fitted to X first, by ``random_state`` if it has none of its own. "
        "``clone`` forgets a fit, and ``GridSearchCV`` clones: give it scikit-learn's "
        "FrozenEstimator(autoencoder) or a path. None fits an ``Autoencoder()``.",
    ),
    "layer": ("int", "The encoder's layer that the head reads, counted from 0; -1 is the code."),
    "training": (
        '{"frozen", "fine_tuned", "joint"}',
        '"frozen" trains the head alone, "fine_tuned" a copy of the encoder too, "joint" the copy '
        "by the task and, at ``reconstruction_weight``, by the autoencoder's own J.",
    ),
    "hidden": ("sequence of int", "Widths of the head's hidden layers; () is a linear map."),
    "activation": ("str", "Between the head's layers."),
    "corruption": (
        "str, spec, corruption or None",
        'x -> x~ for the task, such as "masking:0.25", where the encoder trains too.',
    ),
    "dropout": (
        "float",
        "Share of the features, and where the encoder trains of each of its layers' units, that "
        "are 0 in a step; in [0, 1).",
    ),
    "reconstruction_weight": ("float", 'Of the autoencoder\'s J in "joint".'),
    "max_features": ("int or None", "Of texts: how many words are counted, the commonest."),
    "min_df": (
        "int or float",
        "Of texts: words in fewer documents are not counted; a number with a point is a share.",
    ),
    "max_df": ("int or float", "Of texts: words in more documents are not counted."),
    "stop_words": (
        '"english", list of str or None',
        "Of texts: words that are never counted; they are dropped before stems are taken.",
    ),
    "stemmer": (
        "str or None",
        'Of texts: words of one stem count as one word; "porter" or "snowball" for English, or a '
        'language of PyStemmer, such as "german" (then with stop words of that language or None).',
    ),
    "token_pattern": (
        "str or None",
        "Of texts: the regular expression of a word; None takes two or more letters, digits and "
        "underscores. Patterns that could take for ever on some text are refused.",
    ),
    "analyzer": (
        '{"auto", "word", "char", "char_wb"}',
        "Of texts: whether words are counted, n-grams of characters, or those inside words. "
        '"auto" takes "char_wb", with a warning, where at least a fifth of the characters of the '
        "first 1,000 documents are of scripts without spaces between words (Chinese, Japanese, "
        'Thai, Lao, Khmer, Burmese), else "word".',
    ),
    "ngram_range": (
        '(int, int) or "auto"',
        'Of texts: the least and the greatest n of the n-grams. "auto" is (1, 1) for words and '
        "(1, 3) for characters.",
    ),
    "n_neighbors": (
        "int or None",
        "k > 0: the net rebuilds, instead of a row, a mean of it (0.4) and of its k nearest rows "
        "by cosine (0.6), so that the code keeps what they share. They are found before training, "
        "in time that grows with the square of n_samples. None takes 10 for up to 20,000 rows in "
        "memory, else 0.",
    ),
    "neighbors_by": (
        '{"auto", "rows", "code"}',
        "What says which rows are near: the rows themselves, or a code of 128 bits, the neighbor "
        "model, that is learned first, in 4 groups, from 30% of the words. It costs about as much "
        "time "
        'again, and texts are found better by it, images not. "auto" takes a code for up to '
        "20,000 texts or rows of counts.",
    ),
    "scale": (
        '{"auto", "none", "unit", "center", "standard", "proportions", "tfidf"}',
        'Done before f and undone after g. "auto" takes bytes (images) to [0, 1], sparse counts '
        "to proportions, leaves values in [0, 1] alone, standardizes other tables, and fits a "
        'named loss; "center" is what PCA does, "tfidf" weighs the logarithm of counts by how '
        "rare a feature is.",
    ),
    "augmentation": (
        "str, spec or augmentation",
        'More clean images out of those there are, such as "affine".',
    ),
    "max_epochs": (
        "int",
        "Passes over the data at most; the learning rate warms up over a tenth of them and falls "
        "as a cosine.",
    ),
    "batch_size": (
        'int or "auto"',
        'Rows a step; "auto" takes a power of two near n_samples / 64, from 16 to 256.',
    ),
    "learning_rate": ("float", "The highest rate of Adam."),
    "weight_decay": (
        "float",
        "Decoupled: a step shrinks every matrix by the share rate x weight_decay. 0.1 makes nets "
        "on few rows generalize better; the penalty ``WeightDecay`` is a term of J instead.",
    ),
    "validation_fraction": (
        "float",
        "Share of the rows held out, in [0, 1); the weights that did best on them are kept.",
    ),
    "patience": (
        "int or None",
        "Epochs without a better held-out error before training stops; None never stops.",
    ),
    "precision": (
        '{"auto", "float32", "bfloat16"}',
        'Of the matrix products in training. "auto" measures a step of nets of 100,000 weights or '
        "more in both, once a process and shape, and takes bfloat16 where it needs at most 0.9 of "
        "the time. Where the two are near that, two processes may decide otherwise: name one, and "
        "the same seed gives the same bits. Weights and results are float32.",
    ),
    "device": ("str", '"cpu", "cuda", ...; "auto" takes a GPU if there is one.'),
    "random_state": (
        "int, RandomState or None",
        "An int makes a fit repeat to the bit on one machine with one number of threads.",
    ),
    "verbose": (
        "int",
        "1 shows progress and, at the end, the error beside PCA's; 2 a line an epoch too, of many "
        "epochs about 30 lines, where no bar is shown. On stderr.",
    ),
}


_INDENTED: Any = {"width": 100, "initial_indent": " " * 8, "subsequent_indent": " " * 8}


def documented(cls: type[Estimator]) -> type[Estimator]:
    """Fill in the lines "name : ..." of a class's docstring, defaults from its signature."""
    defaults = inspect.signature(cls).parameters

    def text(match: re.Match[str]) -> str:
        name = match[1]
        kind, meaning = _SHARED[name]
        default = defaults[name].default
        shown = json.dumps(default) if isinstance(default, str) else repr(default)
        return f"    {name} : {kind}, default={shown}\n{fill(meaning, **_INDENTED)}"

    if cls.__doc__:  # python -OO has none
        cls.__doc__ = re.sub(r"^    (\w+) : \.\.\.$", text, cls.__doc__, flags=re.MULTILINE)
    return cls


def keep(estimator: Any, arguments: Mapping[str, Any]) -> None:
    """Set what a constructor was given, as it was given: scikit-learn's rule for constructors."""
    for name, value in arguments.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def forget(estimator: Any) -> None:
    """Drop what an earlier fit set: a fit that fails leaves nothing half replaced."""
    for name in [*vars(estimator)]:
        if name == "_trainer" or (name.endswith("_") and not name.startswith("_")):
            delattr(estimator, name)


def parameter_names(estimator: type[BaseEstimator]) -> list[str]:
    """Return the names of an estimator's constructor arguments, sorted."""
    return estimator._get_param_names()


def seed_from(random_state: Any) -> int:
    """Return a seed; None draws one from NumPy's global state, as in scikit-learn."""
    try:
        return int(check_random_state(random_state).randint(2**31 - 2))
    except ValueError as error:
        raise UsageError(f"random_state: {error}.") from None


def spec_of(table: Mapping[str, Any], value: Any, *, slot: str) -> dict[str, Any]:
    """Return the spec of a piece given as a name, a spec or an instance; check its values."""
    if isinstance(value, str | Mapping):
        value = piece_from_spec(table, value, slot=slot)
    if isinstance(value, type):
        raise UsageError(f"{slot}: give an instance, {value.__name__}(), not the class itself.")
    try:
        return piece_to_spec(table, value)
    except UsageError as error:
        raise UsageError(f"{slot}: {error}") from None


def corruption_spec(value: Any) -> dict[str, Any]:
    """Return the spec of a corruption given as ``spec_of`` takes it; None and "none" mean none."""
    none = value is None or (isinstance(value, str) and value == "none")
    return spec_of(CORRUPTIONS, "identity" if none else value, slot="corruption")


def specs_of(table: Mapping[str, Any], values: Any, *, slot: str) -> list[dict[str, Any]]:
    """Return the specs of a sequence of pieces, of one piece, or of None."""
    if values is None:
        return []
    if not isinstance(values, Sequence) or isinstance(values, str):
        values = [values]
    return [spec_of(table, value, slot=slot) for value in values]


def batch_size_for(batch_size: Any, n_rows: int) -> int:
    """Resolve ``"auto"``: a power of two near n / 64, from 16 to 256, so that small sets get
    enough steps an epoch and large ones full products."""
    if isinstance(batch_size, str):
        if batch_size != "auto":
            raise UsageError(f"batch_size: must be 'auto' or an integer, got {batch_size!r}.")
        return int(min(256, max(16, 2 ** round(np.log2(max(n_rows / 64, 1))))))
    check_number("batch_size", batch_size, low=1, integer=True)
    return min(int(batch_size), n_rows)


def epochs_of_steps(least: int, an_epoch: int, *, most: int) -> int:
    """Return how many epochs make ``least`` steps, from 50 to ``most``."""
    return min(most, max(50, -(-least // an_epoch)))


def widths_of(widths: Any, name: str = "hidden") -> list[int]:
    """Return widths as a list of integers; ``name`` is the argument's."""
    if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
        raise UsageError(
            f"{name}: must be a sequence of widths, such as (512, 256), got {widths!r}."
        )
    for width in widths:
        check_number(name, width, low=1, integer=True)
    return [int(width) for width in widths]


_PIECES = {
    kind: table
    for table in (AUGMENTATIONS, CORRUPTIONS, LOSSES, PENALTIES)
    for kind in table.values()
}

_NAN = {"float": "nan"}
_PAIRS = "pairs"
"""Key of a dict that is stored as a list of pairs: JSON keys are strings, class labels need not."""


def json_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return constructor arguments as JSON values; a live random state becomes None."""
    return {name: _json(value) for name, value in parameters.items()}


def _json(value: Any) -> Any:
    if type(value) in _PIECES:
        return piece_to_spec(_PIECES[type(value)], value)
    if isinstance(value, np.generic):
        # item() leaves a longdouble as it is
        return _json(float(value) if value.dtype.char == "g" else value.item())
    if isinstance(value, np.ndarray | range):
        return [_json(item) for item in value]
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    if isinstance(value, set | frozenset) and all(isinstance(item, str) for item in value):
        return sorted(value)
    if isinstance(value, Mapping) and not all(isinstance(key, str) for key in value):
        return {_PAIRS: [[_json(key), _json(item)] for key, item in value.items()]}
    if isinstance(value, Mapping):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, np.random.RandomState | np.random.Generator) or value is np.random:
        return None
    if isinstance(value, float) and math.isnan(value):
        return dict(_NAN)
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise UsageError(f"{value!r} has no place in a model file; use names and numbers.")


def known_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a constructor from JSON values, which have no tuples and no NaN."""
    arguments = {k: math.nan if v == _NAN else v for k, v in arguments.items()}
    arguments = {
        k: dict(v[_PAIRS]) if isinstance(v, dict) and {*v} == {_PAIRS} else v
        for k, v in arguments.items()
    }
    return {k: tuple(v) if k == "hidden" else v for k, v in arguments.items()}


class WithDefaults(BaseEstimator):
    """An estimator whose public methods run isolated from the caller's settings of torch.

    Unpickled, it has the default of every parameter that came after it.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        isolate_methods(cls)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(out_of_inference(state))
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if name not in vars(self) and parameter.default is not parameter.empty:
                setattr(self, name, parameter.default)
