"""Load any estimator that ``save`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from narrows.catalog import DETECTORS, HEADS
from narrows.core.isolation import isolate
from narrows.estimators.autoencoders.files import autoencoder_in, class_named, model_file

__all__ = ["load"]

_HEADS = frozenset(head.estimator for head in HEADS.values())


@isolate
def load(path: str | Path) -> Any:
    """Return the fitted estimator that ``save`` wrote.

    Raises
    ------
    ModelFileError
        If the file is damaged, foreign, or from a later version; nothing in it is ever run.
    FileNotFoundError
        If there is no such file.
    """
    with model_file(path) as artefact:
        spec = artefact.spec
        if "members" in spec:
            return class_named(spec.get("estimator"), DETECTORS).from_artefact(artefact)
        if "head" in spec:
            return class_named(spec["head"].get("estimator"), _HEADS).from_artefact(artefact)
        return autoencoder_in(artefact)
