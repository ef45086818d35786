"""Draw the few labeled rows among the training rows."""

from __future__ import annotations

import numpy as np

from protocol.data import Data

__all__ = ["few_per_class", "has_classes", "has_numbers"]


def few_per_class(y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Return indices of n rows of every class, or all rows of a class that has fewer."""
    order = np.random.default_rng([seed, 5]).permutation(len(y))
    return np.concatenate([order[y[order] == label][:n] for label in np.unique(y)])


def has_classes(data: Data) -> bool:
    return data.classes is not None


def has_numbers(data: Data) -> bool:
    return data.numeric_y
