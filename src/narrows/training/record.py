"""The record of a training: its epochs, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Epoch", "TrainingRecord"]


@dataclass(frozen=True)
class Epoch:
    """Means over an epoch, in the unit of the loss, and the held-out error after it."""

    objective: float
    loss: float
    penalty: float
    validation: float | None
    seconds: float


@dataclass
class TrainingRecord:
    """The course of a training, which the model file keeps."""

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    stopped_early: bool = False
    precision: str = "float32"
    n_rows: int = 0
    n_validation_rows: int = 0
    refit_epochs: int | None = None
    """Epochs of the training on all rows, after trials had chosen their number; None without."""
