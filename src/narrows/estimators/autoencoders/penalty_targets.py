"""Read y as the targets of a penalty that is a task of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from narrows.core.pieces import name_of
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError, unknown_name
from narrows.estimators.targets import (
    classes_from_spec,
    read_classes,
    read_values,
    spec_of_classes,
)
from narrows.model.model import Model

__all__ = ["TargetEncoding", "n_outputs_of", "read_encoding", "read_targets", "task_of"]

TASKS = ("classification", "regression")


@dataclass(frozen=True)
class TargetEncoding:
    """How y becomes targets: the first y determines it, and every later y is read in the same way.

    Both parts are None if no penalty reads y, or for older files, until a y is read.
    """

    classes: np.ndarray | None = None
    """The classes of a classification, sorted, (n_classes,)."""

    moments: tuple[float, float] | None = None
    """Mean and standard deviation of the y of a regression."""

    @property
    def n_classes(self) -> int | None:
        return None if self.classes is None else len(self.classes)

    def to_spec(self) -> dict[str, Any]:
        """Return what a model file stores; {} if no y was read."""
        spec = {} if self.classes is None else spec_of_classes(self.classes)
        if self.moments is not None:
            spec["y_mean"], spec["y_deviation"] = self.moments
        return spec


def task_of(estimator: Any) -> str | None:
    """Return the task of an estimator's first penalty that reads y; None if none does.

    A penalty of the user reads y if it has an attribute ``task``.

    Raises
    ------
    UsageError
        If such a task is unknown.
    """
    for penalty in estimator._choice().parameters.get("penalties", ()):
        if name_of(penalty) == "auxiliary":
            return penalty["task"]
        task = None if isinstance(penalty, Mapping) else getattr(penalty, "task", None)
        if task is not None:
            if task not in TASKS:
                raise unknown_name(f"penalties: {type(penalty).__name__}.task", task, TASKS)
            return task
    return None


def n_outputs_of(model: Model) -> int | None:
    """Return the number of outputs of the auxiliary penalty; None if there is none."""
    specs = model.parameters.get("penalties", ())
    return next((spec["n_outputs"] for spec in specs if name_of(spec) == "auxiliary"), None)


def read_encoding(spec: Mapping[str, Any], model: Model) -> TargetEncoding:
    """Return the encoding in the spec of a model file.

    Raises
    ------
    LookupError, TypeError, ValueError
        If the file is damaged.
    """
    if "classes" in spec:  # absent in older files
        return TargetEncoding(classes=classes_from_spec(spec, n_outputs_of(model)))
    if "y_mean" in spec:
        mean, deviation = float(spec["y_mean"]), float(spec["y_deviation"])
        if not (math.isfinite(mean) and math.isfinite(deviation) and deviation > 0):
            raise ValueError(f"y of mean {mean} and deviation {deviation}")
        return TargetEncoding(moments=(mean, deviation))
    return TargetEncoding()


def read_targets(
    task: str,
    y: Any,
    source: Source,
    known: TargetEncoding,
    *,
    counted: torch.Tensor | None = None,
    n_classes: int | None = None,
) -> tuple[torch.Tensor, TargetEncoding]:
    """Return y as targets of a penalty, (n_rows,), and their encoding: ``known``, or that of y.

    Parameters
    ----------
    task : {"classification", "regression"}
    counted : Tensor of bool, optional
        Mask of the rows that mean and deviation are computed over, (n_rows,); None counts all.
    n_classes : int, optional
        Number of classes that the net has; None if it is not yet built, or has no outputs.

    Raises
    ------
    UsageError
        If y is missing, or the rows are streamed.
    InvalidData
        If y does not fit the rows, the task or the encoding.
    """
    if not source.holds_targets:
        raise UsageError(
            f"y: {source.origin} is streamed, and a penalty that needs y needs rows in memory."
        )
    if y is None:
        raise UsageError("y: is missing, but a penalty needs it; call fit(X, y).")
    if task == "regression":
        targets, *moments = read_values(
            y,
            source.n_rows,
            missing=True,
            counted=None if counted is None else counted.numpy(),
            weights=None if source.weights is None else source.weights.numpy(),
            moments=known.moments,
        )
        return targets, TargetEncoding(moments=(moments[0], moments[1]))
    targets, classes = read_classes(y, source.n_rows, unknown=-1, classes=known.classes)
    if n_classes is not None and len(classes) != n_classes:
        raise InvalidData(
            f"y: has {len(classes)} classes, but the net was built for {n_classes}; give rows of "
            "every class, or call fit."
        )
    return targets, TargetEncoding(classes=classes)
