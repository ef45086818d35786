"""Texts of parameters that several estimators have, written once."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from textwrap import fill
from typing import Any, TypeVar

__all__ = ["documented"]

Estimator = TypeVar("Estimator", bound=type)

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
    "penalties": (
        "penalty or sequence of them",
        "Terms that J has beside the loss, such as ``L1(1e-3)`` or 'l1:0.001', and beside those of "
        "the estimator itself.",
    ),
    "augmentation": (
        "str, spec or augmentation",
        'More clean images out of those there are, such as "affine".',
    ),
    "encoder": (
        "nn.Module or None",
        "A module of your own in place of the variant's encoder, from rows (batch, n_features) to "
        "codes (batch, n_components), pretrained or not; what it has frozen stays. See "
        "docs/own_pieces.md.",
    ),
    "decoder": (
        "nn.Module or None",
        "A module of your own in place of the variant's decoder, from codes (batch, n_components) "
        "to rows (batch, n_features): means, or logits where the loss has a link.",
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

_OF_FIT = {
    "X": (
        "array-like, CSR matrix, dataframe, tensor or Source of shape (n_samples, n_features)",
        "``narrows.read`` makes a Source of a file, bigger than memory or not.",
    ),
    "groups": (
        "array-like of shape (n_samples,)",
        "Which rows depend on each other, such as those of one subject: all rows of a group are "
        "trained on, or all are held out. ``validation_fraction`` is then of the groups, at least "
        "one of them; folds are of groups.",
    ),
    "block_length": (
        "int",
        "Rows are in order, such as windows of a series: runs of so many rows are the groups.",
    ),
    "gap": (
        "int",
        "Rows on either side of a held-out block that are left out of training: as many as a "
        "window is long, where windows overlap.",
    ),
    "checkpoint": (
        "path",
        "A folder for checkpoints, one a minute and one at the end of every net; remove it when "
        "the model is saved, as the command line does. ``narrows.load`` opens one of a whole net.",
    ),
    "resume": (
        "bool",
        "Go on from the newest sound checkpoints there, to the same end; or, where that training "
        "had ended, with more ``max_epochs`` or ``patience`` to another.",
    ),
    "stop_requested": (
        "callable",
        "Called after every step; True means: checkpoint, and raise TrainingStopped.",
    ),
}
"""Parameters of ``fit``."""

_OPTIONAL = (None, inspect.Parameter.empty)


def documented(cls: Estimator) -> Estimator:
    """Fill in the lines "name : ..." of the docstrings of a class and of its methods.

    Defaults are read from the signatures.
    """
    if cls.__doc__:  # python -OO has none
        cls.__doc__ = _filled(cls.__doc__, cls.__init__, _SHARED, 4)
    for member in vars(cls).values():
        if inspect.isfunction(member) and member.__doc__:
            member.__doc__ = _filled(member.__doc__, member, _OF_FIT, 8)
    return cls


def _filled(
    doc: str, function: Callable[..., Any], texts: dict[str, tuple[str, str]], indent: int
) -> str:
    """Return a docstring whose parameters begin at a column, with the texts of those it shares."""
    parameters, blank = inspect.signature(function).parameters, " " * indent

    def text(match: re.Match[str]) -> str:
        name = match[1]
        kind, meaning = texts[name]
        default = parameters[name].default
        shown = json.dumps(default) if isinstance(default, str) else repr(default)
        if texts is _OF_FIT and default in _OPTIONAL:
            given = "" if default is inspect.Parameter.empty else ", optional"
        else:
            given = f", default={shown}"
        deeper = blank + " " * 4
        meaning = fill(meaning, 100, initial_indent=deeper, subsequent_indent=deeper)
        return f"{blank}{name} : {kind}{given}\n{meaning}"

    return re.sub(rf"^{blank}(\w+) : \.\.\.$", text, doc, flags=re.MULTILINE)
