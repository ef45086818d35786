"""What the training loop minimises: something that gives terms for a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Generator, Tensor, nn

from narrows._types import PerSample, Scalar
from narrows.slots import Rows

__all__ = ["Terms", "Trainable"]


@dataclass(frozen=True)
class Terms:
    """The objective of a batch and its two parts, each a scalar in the unit of the loss."""

    total: Scalar
    loss: Scalar
    penalty: Scalar


class Trainable(nn.Module, ABC):
    """What the loop minimises: the formula, or what stands in its place for a while.

    Where it is ``stochastic``, its error says too little, and rows held out are judged by the
    objective itself.
    """

    stochastic: bool = False

    @abstractmethod
    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        """Return the terms of a batch, means over its rows.

        ``weights`` (batch,), of mean 1 over the rows of a training, say how much each row counts.
        """

    @abstractmethod
    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        """Return what to watch on rows held out, per row; it draws nothing."""
