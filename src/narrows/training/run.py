"""The state of a training between two steps."""

from __future__ import annotations

import math
import time

from narrows.errors import TrainingDiverged
from narrows.training.early_stopping import EarlyStopping, HeldOutErrors
from narrows.training.record import Epoch, TrainingRecord
from narrows.training.trainer import Trainer
from narrows.training.watch import Watch

__all__ = ["Run"]


class Run:
    """Counters, clock and record of a training; ``checkpoint_content`` stores and restores them."""

    def __init__(
        self,
        trainer: Trainer,
        record: TrainingRecord,
        stopping: EarlyStopping,
        watch: Watch,
        *,
        max_epochs: int,
    ) -> None:
        self.trainer, self.record, self.stopping = trainer, record, stopping
        self.watch, self.max_epochs = watch, max_epochs
        self.epoch = self.position = 0
        self.started = self.seconds_before = 0.0
        self.sampler_state = trainer.sampler.get_state()

    def begin_epoch(self) -> None:
        """Keep the state that determines the order of the rows, and start the clock."""
        self.sampler_state = self.trainer.sampler.get_state()
        self.started = time.perf_counter() - self.seconds_before
        self.seconds_before = 0.0

    def end_epoch(self, errors: HeldOutErrors | None) -> Epoch:
        """Record an epoch and its held-out errors, and decide whether to stop."""
        mean = None if errors is None else errors.mean
        epoch = Epoch(*self.trainer.pop_means(), mean, time.perf_counter() - self.started)
        self.record.epochs.append(epoch)
        self.epoch += 1
        self.position = 0
        self.sampler_state = self.trainer.sampler.get_state()
        if errors is not None:
            done = self.stopping.update(self.epoch, errors, self.trainer.objective)
            self.record.stopped_early = done
        return epoch

    def check_finite(self) -> None:
        """Raise TrainingDiverged if a loss or a weight of the epoch so far is not finite."""
        if not self.trainer.finite:
            raise TrainingDiverged(
                f"training: the loss or a weight is not finite in epoch {self.epoch + 1}, by step "
                f"{self.position}; lower learning_rate ({self.trainer.learning_rate:g}) or scale "
                "the data."
            )

    def check_held_out(self, error: float) -> None:
        """Raise TrainingDiverged if the held-out error of the epoch is not finite."""
        if not math.isfinite(error):
            raise TrainingDiverged(
                f"training: the held-out error is not finite after epoch {self.epoch + 1}; lower "
                f"learning_rate ({self.trainer.learning_rate:g}) or scale the data."
            )

    def checkpoint_due(self) -> bool:
        """Return whether it is time for a checkpoint."""
        checkpoints = self.watch.checkpoints
        return checkpoints is not None and checkpoints.due()
