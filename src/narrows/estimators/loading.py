"""From a model file back to a fitted estimator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from narrows.artefact import Artefact, read_artefact
from narrows.errors import ModelFileError, UsageError
from narrows.estimators.detector.files import restore_detector
from narrows.estimators.heads.files import restore_head
from narrows.estimators.parameters import known_arguments
from narrows.model.model import Model
from narrows.model.older_files import upgraded
from narrows.training.checkpoint_model import model_in

__all__ = ["estimator_from_file"]


def estimator_from_file(path: str | Path, classes: Mapping[str, type]) -> Any:
    """Return the fitted estimator of a model file, or of a checkpoint as training left it.

    Raises
    ------
    ModelFileError
        If the file is damaged, foreign, or its parts do not fit each other.
    """
    artefact = read_artefact(path, kind="model", also="checkpoint")
    try:
        if artefact.kind == "checkpoint":
            artefact = model_in(artefact)
        artefact = Artefact(artefact.kind, upgraded(artefact.spec), artefact.tensors)
        spec = artefact.spec
        cls = classes.get(spec.get("estimator", ""))
        if cls is None:
            raise ModelFileError(f"unknown estimator {spec.get('estimator')!r}.")
        if "members" in spec:
            return restore_detector(cls, artefact, classes)
        model = Model.from_artefact(artefact)
        estimator = cls(**known_arguments(spec["arguments"]))
        estimator._restore(model, spec, artefact.tensors)
        estimator._check_parameters()
        estimator._admits_missing()
        if "head" in spec:
            estimator = restore_head(estimator, spec["head"], artefact.tensors, classes)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from None
    except (
        UsageError, LookupError, TypeError, ValueError, AttributeError, RuntimeError, OverflowError
    ) as error:  # fmt: skip
        raise ModelFileError(f"{path}: the estimator cannot be rebuilt: {error}.") from None
    return estimator
