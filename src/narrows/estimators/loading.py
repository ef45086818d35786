"""Load a fitted estimator from a model file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from narrows.catalog import DETECTORS, HEADS
from narrows.core.isolation import isolate
from narrows.estimators.autoencoders.files import autoencoder_in, class_named, model_file

__all__ = ["load"]

_HEADS = frozenset(head.estimator for head in HEADS.values())


@isolate
def load(path: str | Path, *, pieces: Iterable[Any] = ()) -> Any:
    """Return the fitted estimator that ``save`` wrote.

    Parameters
    ----------
    path : path
        Path of a model file, or of a checkpoint.
    pieces : sequence of classes, functions or instances, optional
        Your own pieces that the file names: penalties, corruptions, losses, encoders, decoders.
        Give an instance for a class that needs constructor arguments; its weights are replaced by
        those in the file.

    Raises
    ------
    ModelFileError
        If the file is damaged, foreign, or from a later version, or names a piece that is not in
        ``pieces``. Loading never runs code from the file, nor imports what it names.
    FileNotFoundError
        If the file does not exist.
    """
    with model_file(path, pieces) as artefact:
        spec = artefact.spec
        if "members" in spec:
            return class_named(spec.get("estimator"), DETECTORS).from_artefact(artefact)
        if "head" in spec:
            return class_named(spec["head"].get("estimator"), _HEADS).from_artefact(artefact)
        return autoencoder_in(artefact)
