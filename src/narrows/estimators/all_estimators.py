"""All estimators by their kind, for what must hold of each."""

from __future__ import annotations

from importlib import import_module

from narrows.catalog import DETECTORS as _DETECTORS
from narrows.catalog import HEADS as _HEADS
from narrows.catalog import HOMES, VARIANTS
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.heads.base import CodeHead

__all__ = ["AUTOENCODERS", "DETECTORS", "HEADS"]


def _classes(names: list[str]) -> tuple[type, ...]:
    return tuple(getattr(import_module(HOMES[name]), name) for name in dict.fromkeys(names))


AUTOENCODERS: tuple[type[AbstractAutoencoder], ...] = _classes(
    [v.estimator for v in VARIANTS.values()]
)
HEADS: tuple[type[CodeHead], ...] = _classes([head.estimator for head in _HEADS.values()])
DETECTORS = _classes([*_DETECTORS])
