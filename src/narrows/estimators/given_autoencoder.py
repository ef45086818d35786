"""The argument ``autoencoder`` of what is put on a code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from narrows.errors import UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.files import load_autoencoder

__all__ = ["given_autoencoder", "unfitted_copy"]


def given_autoencoder(
    given: Any, default: Callable[[], AbstractAutoencoder]
) -> AbstractAutoencoder:
    """Return the autoencoder that was given, fitted or not: itself, frozen, by path, or None.

    Raises
    ------
    UsageError
        If it is something else.
    """
    if isinstance(given, FrozenEstimator):
        given = given.estimator
    if isinstance(given, str | Path):
        given = load_autoencoder(given)
    if given is None:
        given = default()
    if not isinstance(given, AbstractAutoencoder):
        raise UsageError(
            "autoencoder: must be an autoencoder, FrozenEstimator(one), or the path of a model "
            f"file, got {given!r}."
        )
    return given


def unfitted_copy(given: AbstractAutoencoder, random_state: Any) -> Any:
    """Return an autoencoder to fit: unless it has a seed of its own, with this one, so that what
    is put on its code repeats as a whole."""
    fresh: Any = clone(given)
    return fresh.set_params(random_state=random_state) if fresh.random_state is None else fresh
