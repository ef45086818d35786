"""Load any estimator that ``save`` wrote."""

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
        A model file, or a checkpoint.
    pieces : sequence of classes, functions or instances, optional
        Your own pieces that the file names: penalties, corruptions, losses, encoders, decoders. An
        instance stands for a class that needs arguments that no file holds; the weights are those
        of the file.

    Raises
    ------
    ModelFileError
        If the file is damaged, foreign, or from a later version, or names a piece that is not
        given; nothing in it is ever run, and nothing that it names imported.
    FileNotFoundError
        If there is no such file.
    """
    with model_file(path, pieces) as artefact:
        spec = artefact.spec
        if "members" in spec:
            return class_named(spec.get("estimator"), DETECTORS).from_artefact(artefact)
        if "head" in spec:
            return class_named(spec["head"].get("estimator"), _HEADS).from_artefact(artefact)
        return autoencoder_in(artefact)
