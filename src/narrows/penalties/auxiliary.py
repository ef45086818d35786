"""Auxiliary task as a penalty: a linear map of the code must predict y."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from narrows._types import Codes, Scalar
from narrows.core.checks import check_number
from narrows.core.slots import Forward
from narrows.core.targets import target_errors
from narrows.core.weights import mean_over_rows
from narrows.encoders.dense import glorot_uniform
from narrows.errors import UsageError

__all__ = ["Auxiliary", "AuxiliaryTask"]


@dataclass(frozen=True)
class Auxiliary:
    """Omega = weight * mean over the batch of T(y, h V + d).

    ``task`` "classification": T is the cross-entropy of softmax(h V + d), in nats; "regression":
    the squared error, in squared units of the standardized y. The code then keeps more of what
    predicts y. Rows with unknown y (-1 for a class, NaN for a value) add 0. Shapes: y
    (batch,), V (components, n_outputs); ``n_outputs`` is the number of classes, or 1 for a value,
    and ``fit(X, y)`` sets it.

    Raises
    ------
    UsageError
        If ``weight`` is negative, or ``task`` unknown; in use, if there is no y.

    References
    ----------
    Goodfellow, Bengio, Courville (2016), "Deep learning", section 14.2; Le, Patterson, White
    (2018), "Supervised autoencoders: improving generalization performance with unsupervised
    regularizers", NeurIPS.

    Examples
    --------
    >>> import torch
    >>> from narrows import Auxiliary
    >>> from narrows.core.slots import Code, Forward
    >>> penalty = Auxiliary(n_outputs=3).bind(2, generator=torch.Generator())
    >>> h, y = torch.zeros(2, 2), torch.tensor([2, -1])
    >>> step = Forward(h, h, Code(h), h, encoder=None, decoder=None, y=y)
    >>> round(penalty(step).item(), 4)  # log(3) for the first row, 0 for the second
    0.5493
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
        """Return the penalty with weights V and d for codes of this width."""
        return AuxiliaryTask(self, n_components, generator=generator)


class AuxiliaryTask(nn.Module):
    """``Auxiliary`` with its map: weight V (n_components, n_outputs), bias d (n_outputs,)."""

    def __init__(self, task: Auxiliary, n_components: int, *, generator: Generator) -> None:
        super().__init__()
        self.task = task
        self.weight = glorot_uniform(n_components, task.n_outputs, generator=generator)
        self.bias = nn.Parameter(torch.zeros(task.n_outputs))

    def predict(self, h: Codes) -> Tensor:
        """Return logits (batch, n_outputs), or standardized values (batch, 1)."""
        return torch.addmm(self.bias, h, self.weight)

    def forward(self, step: Forward) -> Scalar:
        if step.y is None:
            raise UsageError("Auxiliary: needs y; call fit(X, y).")
        predictions = self.predict(step.code.h)
        classification = self.task.task == "classification"
        losses, _ = target_errors(predictions, step.y, classification=classification)
        return self.task.weight * mean_over_rows(losses, step.weights)
