"""Another task as penalty: the code must also say y."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from narrows._types import Codes, Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.terms import mean_over_rows, target_errors
from narrows.errors import UsageError

__all__ = ["Auxiliary", "AuxiliaryTask"]


@dataclass(frozen=True)
class Auxiliary:
    """Omega = weight * mean over the batch of the loss of predicting y from h by a linear map.

    ``task`` "classification": cross-entropy of softmax(h V + d), in nats; "regression": squared
    error of h V + d, in squared units of the standardized y. What the code keeps shifts towards
    what y needs. Rows whose y is missing (-1 for a class, NaN for a value) do not count.
    ``n_outputs`` is the number of classes, or 1: ``fit(X, y)`` sets it.

    Raises
    ------
    UsageError
        If ``weight`` is negative, ``task`` is neither, or training has no y.

    References
    ----------
    Goodfellow, Bengio, Courville (2016), "Deep learning", section 14.2; Le, Patterson, White
    (2018), "Supervised autoencoders: improving generalization performance with unsupervised
    regularizers", NeurIPS.
    """

    weight: float = 1.0
    task: str = "classification"
    n_outputs: int = 1

    def __post_init__(self) -> None:
        check_number("Auxiliary: weight", self.weight, low=0)
        check_number("Auxiliary: n_outputs", self.n_outputs, low=1, integer=True)
        if self.task not in ("classification", "regression"):
            raise UsageError(
                f"Auxiliary: task must be 'classification' or 'regression', got {self.task!r}."
            )

    def bind(self, n_components: int, *, generator: Generator) -> AuxiliaryTask:
        """Return the penalty with its own weights."""
        return AuxiliaryTask(self, n_components, generator=generator)


class AuxiliaryTask(nn.Module):
    """The linear map of an Auxiliary: weight (n_components, n_outputs), bias (n_outputs,)."""

    def __init__(self, task: Auxiliary, n_components: int, *, generator: Generator) -> None:
        super().__init__()
        limit = (6 / (n_components + task.n_outputs)) ** 0.5
        start = torch.empty(n_components, task.n_outputs)
        self.task = task
        self.weight = nn.Parameter(start.uniform_(-limit, limit, generator=generator))
        self.bias = nn.Parameter(torch.zeros(task.n_outputs))

    def predict(self, h: Codes) -> Tensor:
        """Return logits (batch, n_outputs), or standardized values (batch, 1)."""
        return torch.addmm(self.bias, h, self.weight)

    def forward(self, step: Forward) -> Scalar:
        if step.y is None:
            raise UsageError("Auxiliary: needs y; call fit(X, y).")
        said = self.predict(step.code.h)
        of_classes = self.task.task == "classification"
        each, _ = target_errors(said, step.y, classification=of_classes)
        return self.task.weight * mean_over_rows(each, step.weights)
