"""Score predictions against labels, some of which may be unknown or of classes never seen."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.metrics import r2_score

__all__ = [
    "accuracy",
    "most_frequent_share",
    "number_of",
    "r2_of_known",
    "same_labels",
    "unknown_labels",
    "unseen_classes",
]


def number_of(label: Any) -> Any:
    """Return the number that a text spells, exactly if it is an integer; other labels unchanged.

    Examples
    --------
    >>> number_of("7"), number_of("0.5"), number_of("tea")
    (7, 0.5, 'tea')
    """
    for kind in (int, float):
        try:
            return kind(label) if isinstance(label, str) else label
        except ValueError:
            pass
    return label


def same_labels(labels: Any, other: Any) -> np.ndarray:
    """Return where labels (n_rows,) equal ``other``, (n_rows,) or one label, as booleans.

    NaN equals NaN. A text and a number are equal if the text spells the number.
    """
    labels, other = np.broadcast_arrays(labels, other)
    pairs = zip(labels.tolist(), other.tolist(), strict=True)
    if (labels.dtype.kind == "U") == (other.dtype.kind == "U"):
        return np.array([a == b or (a != a and b != b) for a, b in pairs], dtype=bool)
    return np.array(
        [str(a) == str(b) or number_of(a) == number_of(b) for a, b in pairs], dtype=bool
    )


def unknown_labels(labels: Any, missing_label: Any = None) -> np.ndarray:
    """Return which of the labels (n_rows, ...) are "" or ``missing_label``, bool (n_rows,)."""
    empty = labels == "" if labels.dtype.kind == "U" else np.zeros(len(labels), dtype=bool)
    return empty if missing_label is None else empty | same_labels(labels, missing_label)


def accuracy(labels: Any, predictions: Any) -> float:
    """Return the share of predictions that equal the labels, both (n_rows,)."""
    return float(same_labels(labels, predictions).mean())


def most_frequent_share(labels: Any) -> float:
    """Return the share of the most frequent label, (n_rows,): the accuracy of always giving it."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(counts.max() / counts.sum())


def unseen_classes(labels: Any, classes: Any) -> tuple[int, list[str]]:
    """Return how many of the labels (n_rows,) are none of ``classes``, and their names, sorted."""
    kinds, counts = np.unique(labels, return_counts=True)
    new = ~np.any([same_labels(kinds, label) for label in classes], axis=0)
    return int(counts[new].sum()), [str(label) for label in kinds[new]]


def r2_of_known(values: Any, predictions: Any, unknown: np.ndarray) -> float:
    """Return R^2 of predictions (n_rows,) over the rows whose value is known.

    Raises
    ------
    ValueError
        If a value is no number, or R^2 has no meaning for the rows.
    """
    return float(r2_score(values[~unknown].astype(np.float64), predictions[~unknown]))
