"""The argument ``autoencoder`` of what is put on a code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sklearn.frozen import FrozenEstimator

from narrows.errors import UsageError
from narrows.estimators._base import AbstractAutoencoder

__all__ = ["given_autoencoder"]


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
        from narrows.estimators import load

        given = load(given)
    if given is None:
        given = default()
    if not isinstance(given, AbstractAutoencoder):
        raise UsageError(
            "autoencoder: must be an autoencoder, FrozenEstimator(one), or the path of a model "
            f"file, got {given!r}."
        )
    return given
