"""Descriptions of parameters that several estimators share."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from textwrap import fill
from typing import Any, TypeVar

__all__ = ["documented"]

Estimator = TypeVar("Estimator", bound=type)

_CONSTRUCTOR_PARAMETERS = {
    "autoencoder": (
        "autoencoder, FrozenEstimator, path or None",
        "The autoencoder whose encoder computes the code. A fitted one, or the path of a model "
        "file, is used as it is. An unfitted one is fitted to X first, with ``random_state`` if it "
        "has none of its own. ``clone`` discards a fit, and ``GridSearchCV`` clones: pass "
        "scikit-learn's FrozenEstimator(autoencoder) or a path. None fits an ``Autoencoder()``.",
    ),
    "layer": ("int", "The encoder's layer that the head reads, counted from 0; -1 is the code."),
    "training": (
        '{"frozen", "fine_tuned", "joint"}',
        '"frozen" trains only the head. "fine_tuned" also trains a copy of the encoder. "joint" '
        "trains the copy on the sum of the task's loss and ``reconstruction_weight`` times the "
        "autoencoder's own J.",
    ),
    "features": (
        '{"auto", "code", "rows", "both"}',
        'What the head reads: the activations of ``layer``, the scaled rows, or both. "auto" takes '
        "the rows, unless folds of the labeled rows predict clearly better (by more than two "
        "standard errors) from both or from the code; ``features_`` says what it took. With hidden "
        "layers, and for sparse rows, it takes the code.",
    ),
    "hidden": ("sequence of int", "Widths of the head's hidden layers; () for a linear head."),
    "activation": ("str", "Activation between the head's layers."),
    "corruption": (
        "str, spec, corruption or None",
        'Corruption x -> x~ of the rows for the task, such as "masking:0.25"; only if the encoder '
        "is trained too.",
    ),
    "dropout": (
        "float",
        "Fraction of the features that are set to 0 in a training step, in [0, 1); if the encoder "
        "is trained too, also of the units of each of its layers.",
    ),
    "reconstruction_weight": ("float", 'Weight of the autoencoder\'s J with training="joint".'),
    "n_components=auto": (
        'int or "auto"',
        'Width of the code. "auto" takes the number of principal components that stand out from '
        "noise, by parallel analysis, up to 32; for images and sparse rows 32, or half of the "
        "number of features if that is less.",
    ),
    "max_features": (
        "int or None",
        "For texts: number of words to count, the most frequent ones; None counts all.",
    ),
    "min_df": (
        "int or float",
        "For texts: words in fewer documents are not counted; a float is a fraction of the "
        "documents.",
    ),
    "max_df": (
        "int or float",
        "For texts: words in more documents are not counted; a float is a fraction of the "
        "documents.",
    ),
    "stop_words": (
        '"english", list of str or None',
        "For texts: words that are not counted; they are dropped before stemming.",
    ),
    "stemmer": (
        "str or None",
        'For texts: words with the same stem count as one word. "porter" or "snowball" for '
        'English, or a language of PyStemmer, such as "german" (then give stop words of that '
        "language, or None).",
    ),
    "token_pattern": (
        "str or None",
        "For texts: regular expression that matches a word. None matches two or more letters, "
        "digits and underscores. Patterns that could take very long on some text are refused.",
    ),
    "analyzer": (
        '{"auto", "word", "char", "char_wb"}',
        "For texts: whether to count words, character n-grams, or character n-grams inside words. "
        '"auto" takes "char_wb", with a warning, if at least a fifth of the characters of the '
        "first 1,000 documents belong to scripts without spaces between words (Chinese, Japanese, "
        'Thai, Lao, Khmer, Burmese), otherwise "word".',
    ),
    "ngram_range": (
        '(int, int) or "auto"',
        'For texts: smallest and largest n of the n-grams. "auto" is (1, 1) for words and '
        "(1, 3) for characters.",
    ),
    "n_neighbors": (
        "int or None",
        "Number k of nearest rows. If k > 0, the net reconstructs a weighted mean of the row (0.4) "
        "and its k nearest rows by cosine (0.6) instead of the row, so that the code keeps what "
        "they share. They are found before training, in time quadratic in n_samples. None takes 10 "
        "for up to 20,000 rows in memory, otherwise 0.",
    ),
    "neighbors_by": (
        '{"auto", "rows", "code"}',
        "How nearest rows are found: from the rows themselves, or from the code of a neighbor "
        "model: a hasher of 128 bits in 4 groups, trained first, on 30% of the words at a time, "
        'which takes longer than the fit itself. "auto" takes the rows; from random weights the '
        "code, for up to 20,000 texts or rows of counts.",
    ),
    "linear_start": (
        "bool",
        "Whether there is a linear path beside the layers, at which training starts: the untrained "
        "net is the linear code of the training rows, which is PCA for squared error. It stays so "
        "unless the error of the held-out rows falls by more than two standard errors: "
        "that of clean rows, unless a corruption, penalty or weight is asked for. With an encoder "
        "or decoder of your own, or clean rows as y, there is no path.",
    ),
    "scale": (
        '{"auto", "none", "unit", "center", "standard", "proportions", "tfidf"}',
        'Applied before f and undone after g. "auto" scales bytes (images) to [0, 1] and sparse '
        "counts to proportions, leaves values in [0, 1] unchanged, standardizes other tables, and "
        'obeys a named loss. "center" subtracts the mean, as PCA does; "tfidf" weights the '
        "logarithm of counts by how rare a feature is.",
    ),
    "penalties": (
        "penalty or sequence of them",
        "Terms that are added to J, such as ``L1(1e-3)`` or 'l1:0.001', beside the loss and the "
        "estimator's own terms.",
    ),
    "augmentation": (
        "str, spec or augmentation",
        'Random transformations that make new clean images in training, such as "affine".',
    ),
    "encoder": (
        "nn.Module or None",
        "Your own module in place of the variant's encoder, from rows (batch, n_features) to codes "
        "(batch, n_components), pretrained or not. Its frozen parameters stay frozen. See "
        "docs/custom_pieces.md.",
    ),
    "decoder": (
        "nn.Module or None",
        "Your own module in place of the variant's decoder, from codes (batch, n_components) to "
        "rows (batch, n_features): means, or logits if the loss has a link.",
    ),
    "max_epochs": (
        "int",
        "Maximum number of passes over the data. The learning rate warms up over the first tenth, "
        "then decays as a cosine.",
    ),
    "max_epochs=auto": (
        'int or "auto"',
        "Maximum number of passes over the data. The learning rate warms up over the first tenth, "
        'then decays as a cosine. "auto" makes 50 passes; more for 1,500 steps, up to 500 passes; '
        "fewer if they take more than 9,000 steps, down to 30.",
    ),
    "batch_size": (
        'int or "auto"',
        'Rows per step; "auto" takes a power of two near n_samples / 64, from 16 (or 32, of 700 '
        "samples or more) to 256.",
    ),
    "learning_rate": ("float", "Peak learning rate of Adam."),
    "learning_rate=auto": (
        'float or "auto"',
        'Peak learning rate of Adam. "auto" is 0.002 for up to 64 features d, and 0.002 sqrt(64 / '
        "d) for more; of more than 1,000 rows n it is that times (n / 1000)^0.4, up to 0.002.",
    ),
    "weight_decay": (
        "float",
        "Decoupled weight decay: every step shrinks each weight matrix by the fraction learning "
        "rate x weight_decay. 0.1 helps nets on few rows to generalize. The penalty "
        "``WeightDecay`` is a term of J instead.",
    ),
    "validation_fraction": (
        "float",
        "Fraction of the rows to hold out, in [0, 1); the weights with the lowest error on them "
        "are kept.",
    ),
    "validation_fraction=auto": (
        'float or "auto"',
        "Fraction of the rows to hold out, in [0, 1); the weights with the lowest error on them "
        'are kept. "auto" holds out a tenth, or 40 rows of fewer than 400, and trains again on all '
        "rows, for as many epochs as were best, if there are at most 2,000. Of 10 to 199 rows each "
        "is held out once, in five folds; of fewer none is, and a net that starts at PCA stays so.",
    ),
    "patience=auto": (
        'int, "auto" or None',
        "Epochs without a lower held-out error before training stops; None never stops early. "
        '"auto" is a fifth of ``max_epochs``, at least 10.',
    ),
    "patience": (
        "int or None",
        "Epochs without a lower held-out error before training stops; None never stops early.",
    ),
    "precision": (
        '{"auto", "float32", "bfloat16"}',
        'Number format of matrix products in training. "auto" times a step in both formats, for '
        "nets of 100,000 weights or more, once per process and shape, and takes bfloat16 if it "
        "needs at most 0.9 of the time. Near that limit two processes may decide differently: name "
        "a format to get the same bits from the same seed. Weights and results are float32.",
    ),
    "device": ("str", '"cpu", "cuda", ...; "auto" takes a GPU if there is one.'),
    "random_state": (
        "int, RandomState or None",
        "An int makes a fit reproducible to the bit on one machine with one number of threads.",
    ),
    "verbose": (
        "int",
        "1 shows a progress bar and, at the end, the error beside PCA's, on stderr; 2 also prints "
        "a line per epoch if no bar is shown, or about 30 lines for many epochs.",
    ),
}

_FIT_PARAMETERS = {
    "X": (
        "array-like, CSR matrix, dataframe, tensor or Source of shape (n_samples, n_features)",
        "``narrows.read`` makes a Source from a file, even one larger than memory.",
    ),
    "groups": (
        "array-like of shape (n_samples,)",
        "Group of every row, for rows that depend on each other, such as rows of one subject: a "
        "group is held out as a whole or not at all. ``validation_fraction`` is then a fraction of "
        "the groups, at least one; folds consist of whole groups.",
    ),
    "block_length": (
        "int",
        "For rows in order, such as windows of a series: runs of this many rows are the groups.",
    ),
    "gap": (
        "int",
        "Number of rows on either side of a held-out block to leave out of training: the length "
        "of a window, if windows overlap.",
    ),
    "checkpoint": (
        "path",
        "Folder for checkpoints, written every minute and at the end of every net. Remove it once "
        "the model is saved, as the command line does. ``narrows.load`` can open a checkpoint of a "
        "whole net.",
    ),
    "resume": (
        "bool",
        "Whether to continue from the newest intact checkpoints in that folder. A finished "
        "training continues if ``max_epochs`` or ``patience`` is larger now.",
    ),
    "stop_requested": (
        "callable",
        "Called after every step; if it returns True, a checkpoint is saved and TrainingStopped "
        "raised.",
    ),
}
"""Type and description of each shared parameter of ``fit``."""

_OPTIONAL = (None, inspect.Parameter.empty)


def documented(cls: Estimator) -> Estimator:
    """Fill in the lines "name : ..." in the docstrings of a class and of its methods.

    Defaults are read from the signatures.
    """
    if cls.__doc__:  # python -OO has none
        cls.__doc__ = _filled(cls.__doc__, cls.__init__, _CONSTRUCTOR_PARAMETERS, 4)
    for member in vars(cls).values():
        if inspect.isfunction(member) and member.__doc__:
            member.__doc__ = _filled(member.__doc__, member, _FIT_PARAMETERS, 8)
    return cls


def _filled(
    doc: str, function: Callable[..., Any], texts: dict[str, tuple[str, str]], indent: int
) -> str:
    """Return a docstring with its lines "name : ..." at this indent replaced by their texts."""
    parameters, blank = inspect.signature(function).parameters, " " * indent

    def text(match: re.Match[str]) -> str:
        name = match[1]
        default = parameters[name].default
        kind, meaning = texts.get(f"{name}={default}") or texts[name]
        shown = json.dumps(default) if isinstance(default, str) else repr(default)
        if texts is _FIT_PARAMETERS and default in _OPTIONAL:
            suffix = "" if default is inspect.Parameter.empty else ", optional"
        else:
            suffix = f", default={shown}"
        deeper = blank + " " * 4
        meaning = fill(meaning, 100, initial_indent=deeper, subsequent_indent=deeper)
        return f"{blank}{name} : {kind}{suffix}\n{meaning}"

    return re.sub(rf"^{blank}(\w+) : \.\.\.$", text, doc, flags=re.MULTILINE)
