"""What the training loop minimizes, and the terms that it consists of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Generator, Tensor, nn

from narrows._types import PerSample, Scalar
from narrows.core.sparse import Rows

__all__ = ["Terms", "Trainable"]


@dataclass(frozen=True)
class Terms:
    """The objective of a batch and its two parts, each a scalar in the unit of the loss."""

    total: Scalar
    loss: Scalar
    penalty: Scalar


class Trainable(nn.Module, ABC):
    """What the training loop minimizes: the formula, or another objective."""

    stochastic: bool = False
    """Whether its code is drawn at random."""

    judged_by: str = "error"
    """How epochs are compared on held-out rows: by their ``error``, by the "objective" J, or by J
    among the epochs whose error is clearly lower than that of epoch 0, if it is "bounded" so."""

    @abstractmethod
    def forward(
        self,
        x: Rows,
        y: Tensor | None = None,
        *,
        generator: Generator,
        weights: Tensor | None = None,
    ) -> Terms:
        """Return the terms of a batch, averaged over its rows.

        ``weights`` (batch,) say how much each row counts, with mean 1 over all training rows.
        """

    @abstractmethod
    def error(self, x: Rows, y: Tensor | None = None) -> PerSample:
        """Return the error to monitor on held-out rows, (batch,); it draws nothing."""
