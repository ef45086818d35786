"""Size a net and its training to the data, where a setting is "auto"."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from narrows.core.activations import NEARLY_LINEAR
from narrows.core.weights import mean_of_features, mean_over_rows
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.model.baseline import Baseline, fit_baseline, sample_size, sampled_rows

__all__ = [
    "DENSE",
    "DOCUMENTS",
    "FEW_ROWS",
    "HASHED_ROWS",
    "HASHED_WORDS",
    "LAYERS_OF_WORDS",
    "N_FOLDS",
    "REFIT_ROWS",
    "TOO_FEW_ROWS",
    "AutoSettings",
    "beta_for",
    "contraction_for",
    "epochs_for",
    "held_out_fraction",
    "hidden_for",
    "learning_rate_for",
    "patience_for",
]

TOO_FEW_ROWS = 10
"""Of fewer rows none is held out."""

FEW_ROWS = 200
"""Of fewer rows a tenth says too little, and each is held out once, in ``N_FOLDS`` folds."""

N_FOLDS = 5

REFIT_ROWS = 2000
"""Up to this many rows, a net is trained again on all of them, the held-out ones included."""

_WIDEST, _NARROWEST = 512, 64
_WIDTH_PER_FEATURE = 16

_LEAST_STEPS, _MOST_STEPS = 1500, 9000
_LEAST_EPOCHS, _EPOCHS, _MOST_EPOCHS = 30, 50, 500

_CONTRACTION = 0.1
_STEEPEST = 0.25
"""The slope of a sigmoid at 0."""

_FEATURES_OF_HIGHEST_RATE = 64
_ROWS_OF_LOWEST_RATE = 1000
_HIGHEST_RATE = 2e-3


def hidden_for(n_features: int) -> list[int]:
    """Return the widths of two hidden layers: 16 units per feature, from 64 to 512, and half.

    Examples
    --------
    >>> hidden_for(5), hidden_for(20), hidden_for(784)
    ([64, 32], [256, 128], [512, 256])
    """
    width = 2 ** round(math.log2(_WIDTH_PER_FEATURE * n_features))
    width = min(_WIDEST, max(_NARROWEST, width))
    return [width, width // 2]


def learning_rate_for(n_features: int, n_rows: int) -> float:
    """Return 2e-3 for up to 64 features, then less by their square root, unless there are many
    rows: above 1,000 it grows with their number to the power 0.4, up to 2e-3.

    A step of Adam moves every weight alike, so that the first layer's output, a sum over the
    features, moves more the more there are. On few rows large steps soon overfit.

    Examples
    --------
    >>> learning_rate_for(20, 500), learning_rate_for(1024, 500), learning_rate_for(1024, 60_000)
    (0.002, 0.0005, 0.002)
    """
    rate = _HIGHEST_RATE * (_FEATURES_OF_HIGHEST_RATE / n_features) ** 0.5
    return min(_HIGHEST_RATE, rate * max(1.0, n_rows / _ROWS_OF_LOWEST_RATE) ** 0.4)


def held_out_fraction(fraction: float | str, n_rows: int) -> float:
    """Return the share of rows to hold out: "auto" is a tenth, but at least 40 rows.

    Examples
    --------
    >>> held_out_fraction("auto", 200), held_out_fraction("auto", 1000)
    (0.2, 0.1)
    """
    if fraction != "auto":
        return float(fraction)
    if n_rows < TOO_FEW_ROWS:
        return 0.0
    return min(0.2, max(0.1, 40 / n_rows))


def epochs_for(steps_per_epoch: int) -> int:
    """Return the number of epochs: 50; more for 1,500 steps, up to 500; fewer if they take more
    than 9,000 steps, down to 30.

    Examples
    --------
    >>> epochs_for(5), epochs_for(100), epochs_for(235)
    (300, 50, 39)
    """
    wanted = min(_EPOCHS, max(_LEAST_EPOCHS, math.ceil(_MOST_STEPS / steps_per_epoch)))
    return min(_MOST_EPOCHS, max(wanted, math.ceil(_LEAST_STEPS / steps_per_epoch)))


def beta_for(source: Source, scaling: Scaling, n_components: int, *, seed: int) -> float:
    """Return the weight of a KL divergence beside squared error: half of the variance per feature
    that PCA of the same width leaves over. 1 if it leaves none, or the rows have no PCA."""
    found = _linear_code(source, scaling, n_components, seed=seed)
    if found is None:
        return 1.0
    baseline, left_over, _ = found
    return left_over / 2 / max(1, source.n_features - len(baseline.components)) or 1.0


def contraction_for(source: Source, scaling: Scaling, n_components: int, *, seed: int) -> float:
    """Return the weight at which a contractive penalty on a linear start is a tenth of its squared
    error: 0.1 if it has no error, or the rows have no PCA."""
    found = _linear_code(source, scaling, n_components, seed=seed)
    if found is None:
        return _CONTRACTION
    baseline, left_over, variance = found
    _, deviation = NEARLY_LINEAR["sigmoid"]
    slope = _STEEPEST * deviation / variance**0.5 if variance else 0.0
    if not slope * left_over:
        return _CONTRACTION
    return _CONTRACTION * left_over / (len(baseline.components) * slope**2)


def _linear_code(
    source: Source, scaling: Scaling, n_components: int, *, seed: int
) -> tuple[Baseline, float, float] | None:
    """Return PCA, its mean squared error, and the mean variance of its codes; None without PCA."""
    baseline = fit_baseline(source, scaling, n_components, seed=seed)
    if baseline is None:
        return None
    x, weights = sampled_rows(source, scaling, sample_size(source), seed=seed)
    codes = baseline.codes(x)
    centered = codes - mean_of_features(codes, weights)
    variance = float(mean_of_features(centered.square(), weights).mean())
    return baseline, float(mean_over_rows(baseline.error(x), weights)), variance


def patience_for(max_epochs: int) -> int:
    """Return a fifth of the epochs, at least 10."""
    return max(10, max_epochs // 5)


@dataclass(frozen=True)
class AutoSettings:
    """What "auto" stands for in the settings of a kind of net.

    Attributes
    ----------
    hidden : callable of (n_features, n_rows)
        Widths of the hidden layers.
    learning_rate : callable of (n_features, n_rows)
    epochs : callable of (steps per epoch)
    least_batch : int
        Rows per step, at least.
    """

    hidden: Callable[[int, int], list[int]]
    learning_rate: Callable[[int, int], float]
    epochs: Callable[[int], int]
    least_batch: int = 1


DENSE = AutoSettings(lambda n_features, _: hidden_for(n_features), learning_rate_for, epochs_for)


_ROWS_FOR_LAYERS = 8000
_DOCUMENT_EPOCHS, _FEWEST_DOCUMENT_STEPS, _MOST_DOCUMENT_EPOCHS = 40, 160, 160


def _document_epochs(steps_per_epoch: int) -> int:
    """Return 40 epochs, or more for 160 steps: LSA is left step by step, and soon too far."""
    wanted = math.ceil(_FEWEST_DOCUMENT_STEPS / steps_per_epoch)
    return min(_MOST_DOCUMENT_EPOCHS, max(_DOCUMENT_EPOCHS, wanted))


DOCUMENTS = AutoSettings(
    hidden=lambda _, n_rows: [] if n_rows < _ROWS_FOR_LAYERS else [128],
    learning_rate=lambda *_: 5e-3,
    epochs=_document_epochs,
    least_batch=128,
)
"""Of bags of words that start at LSA."""

LAYERS_OF_WORDS = AutoSettings(
    hidden=lambda *_: [500, 250, 125], learning_rate=lambda *_: 2e-3, epochs=lambda _: 20
)
"""Of bags of words that start at random weights."""

HASHED_WORDS = AutoSettings(
    hidden=lambda _, n_rows: [] if n_rows < _ROWS_FOR_LAYERS else [500],
    learning_rate=lambda *_: 3e-3,
    epochs=_document_epochs,
    least_batch=128,
)
"""Of bits of bags of words that start at LSA."""

HASHED_ROWS = AutoSettings(
    hidden=lambda *_: [500], learning_rate=lambda *_: 2e-3, epochs=lambda _: 30
)
"""Of bits of other rows, and of nets that start at random weights."""
