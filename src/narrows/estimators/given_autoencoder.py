"""Resolve the argument ``autoencoder`` of heads and of the imputer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from narrows.errors import UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.files import load_autoencoder

__all__ = ["given_autoencoder", "unfitted_copy"]


def given_autoencoder(
    given: Any, default: Callable[[], AbstractAutoencoder]
) -> AbstractAutoencoder:
    """Return the autoencoder of the argument, fitted or not.

    ``given`` is an autoencoder, a FrozenEstimator of one, the path of a model file, or None for
    ``default()``.

    Raises
    ------
    UsageError
        If ``given`` is something else.
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
    """Return an unfitted copy; without a ``random_state`` of its own it gets this one, so that one
    seed determines the whole fit."""
    unfitted: Any = clone(given)
    if unfitted.random_state is None:
        unfitted.set_params(random_state=random_state)
    return unfitted
