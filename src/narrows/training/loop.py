"""The loop: epochs of shuffled batches, watched, checkpointed and resumable."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Generator

from narrows.artefact import Artefact
from narrows.data.source import Source, with_targets
from narrows.errors import DataChanged, ModelFileError, TrainingDiverged
from narrows.training.checkpoints import Checkpoints
from narrows.training.early_stopping import EarlyStopping
from narrows.training.precision import product_context
from narrows.training.schedule import rate_factor
from narrows.training.trainer import Trainer

__all__ = ["Epoch", "TrainingRecord", "TrainingStopped", "train"]

_CHECK_EVERY = 100
"""Steps between two looks at whether the loss is finite: each look waits for the device."""

EVALUATION_BATCH = 1024


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
    """What happened: goes into the model file."""

    epochs: list[Epoch] = field(default_factory=list)
    best_epoch: int | None = None
    stopped_early: bool = False
    precision: str = "float32"
    n_rows: int = 0
    n_validation_rows: int = 0


class TrainingStopped(BaseException):
    """Raised after the checkpoint that a stop request asked for; no error of the program's."""


def train(
    trainer: Trainer,
    source: Source,
    *,
    max_epochs: int,
    batch_size: int,
    validation: Source | None = None,
    patience: int | None = None,
    augment_until: float = 1.0,
    checkpoints: Checkpoints | None = None,
    identity: Mapping[str, Any] | None = None,
    saved: Artefact | None = None,
    stop_requested: Callable[[], bool] = lambda: False,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
    constant_rate: bool = False,
) -> TrainingRecord:
    """Minimise the trainer's objective over the source, in place.

    Parameters
    ----------
    max_epochs, batch_size : int
        The learning rate follows ``rate_factor`` over ``max_epochs`` epochs, unless
        ``constant_rate``.
    validation : Source, optional
        Held-out rows; the weights of the epoch that did best on them are kept at the end.
    patience : int, optional
        Epochs without a better held-out error before training stops.
    augment_until : float
        Share of the epochs in which the trainer's augmentation is used.
    checkpoints : Checkpoints, optional
        Where to save the state every so often, and when a stop is requested.
    identity : mapping
        JSON values that must be equal at a resumption: parameters and data fingerprint.
    saved : Artefact, optional
        A checkpoint to go on from.

    Raises
    ------
    TrainingDiverged
        When a loss or a weight is not finite; the checkpoints before it stay.
    DataChanged, ModelFileError
        If the checkpoint is of other data or other parameters.
    """
    record = TrainingRecord(
        precision=trainer.precision,
        n_rows=source.n_rows,
        n_validation_rows=validation.n_rows if validation else 0,
    )
    run = _Run(trainer, record, EarlyStopping(patience), checkpoints, dict(identity or {}))
    if saved is not None:
        run.resume(saved)
    batches = source.n_batches(batch_size)
    total = max_epochs * batches

    while run.epoch < max_epochs and not record.stopped_early:
        run.begin_epoch()
        augment = run.epoch < augment_until * max_epochs
        rows = source.shuffled(batch_size, generator=trainer.sampler, start=run.position)
        for raw in rows:
            step = run.epoch * batches + run.position
            factor = 1.0 if constant_rate else rate_factor(step, total)
            trainer.step(raw, factor=factor, augment=augment)
            run.position += 1
            stopped = stop_requested()
            if (step + 1) % _CHECK_EVERY == 0:
                run.look()
            if stopped or run.checkpoint_due():
                run.save()
            if stopped:
                raise TrainingStopped
        error = None
        run.look()
        if validation is not None:
            error = mean_error(trainer, validation)
            run.look_at(error)
        on_epoch(run.epoch + 1, run.end_epoch(error))

    if checkpoints is not None:
        run.save()
    if validation is not None:
        run.stopping.restore_best(trainer.objective)
        record.best_epoch = run.stopping.best_epoch
    return record


class _Run:
    """Where a training stands: what a checkpoint holds beside the trainer's tensors."""

    def __init__(
        self,
        trainer: Trainer,
        record: TrainingRecord,
        stopping: EarlyStopping,
        checkpoints: Checkpoints | None,
        identity: dict[str, Any],
    ) -> None:
        self.trainer, self.record, self.stopping = trainer, record, stopping
        self.checkpoints, self.identity = checkpoints, identity
        self.epoch = self.position = 0
        self._spent = 0.0
        self._order = trainer.sampler.get_state()

    def begin_epoch(self) -> None:
        self._order = self.trainer.sampler.get_state()
        self._started = time.perf_counter() - self._spent
        self._spent = 0.0

    def end_epoch(self, error: float | None) -> Epoch:
        epoch = Epoch(*self.trainer.take_means(), error, time.perf_counter() - self._started)
        self.record.epochs.append(epoch)
        self.epoch += 1
        self.position = 0
        self._order = self.trainer.sampler.get_state()
        if error is not None:
            done = self.stopping.see(self.epoch, error, self.trainer.objective)
            self.record.stopped_early = done
        return epoch

    def look(self) -> None:
        if not self.trainer.finite:
            raise TrainingDiverged(
                f"training: the loss or a weight is not finite in epoch {self.epoch + 1}, by step "
                f"{self.position}; lower learning_rate ({self.trainer.learning_rate:g}) or scale "
                "the data."
            )

    def look_at(self, error: float) -> None:
        if not math.isfinite(error):
            raise TrainingDiverged(
                f"training: the held-out error is not finite after epoch {self.epoch + 1}; lower "
                f"learning_rate ({self.trainer.learning_rate:g}) or scale the data."
            )

    def checkpoint_due(self) -> bool:
        return self.checkpoints is not None and self.checkpoints.due()

    def save(self) -> None:
        if self.checkpoints is None:
            return
        self.look()
        best, values = self.stopping.state()
        spec = {
            "identity": self.identity,
            "epoch": self.epoch,
            "position": self.position,
            "seconds": time.perf_counter() - self._started if self.position else 0.0,
            "epochs": [asdict(epoch) for epoch in self.record.epochs],
            "stopped_early": self.record.stopped_early,
            "stopping": values,
        }
        tensors = {**self.trainer.state(), **best, "random.sampler": self._order}
        self.checkpoints.save(Artefact("checkpoint", spec, tensors))

    def resume(self, saved: Artefact) -> None:
        _check_identity(saved.spec["identity"], self.identity)
        self.epoch, self.position = saved.spec["epoch"], saved.spec["position"]
        self._spent = saved.spec["seconds"]
        self.record.epochs = [Epoch(**epoch) for epoch in saved.spec["epochs"]]
        self.record.stopped_early = saved.spec["stopped_early"]
        self.stopping.restore(saved.tensors, saved.spec["stopping"])
        self.trainer.restore(saved.tensors)
        self.trainer.sampler.set_state(saved.tensors["random.sampler"])


@torch.no_grad()
def mean_error(trainer: Trainer, source: Source) -> float:
    """Return the mean error over a source, in the precision of the training.

    Where the code is random it is the mean of J, of one code a row: the error of the mean code
    alone says nothing of what the code costs.
    """
    total = torch.zeros((), dtype=torch.float64, device=trainer.device)
    objective = trainer.objective
    noise = Generator(trainer.device).manual_seed(0)  # the same draws after every epoch
    with product_context(trainer.precision, trainer.device):
        for raw, y in with_targets(source, source.at_a_time(EVALUATION_BATCH)):
            x = trainer.scaling.forward(raw.to(trainer.device))
            y = None if y is None else y.to(trainer.device)
            if objective.stochastic:
                total += objective(x, y, generator=noise).total.double() * len(x)
            else:
                total += objective.error(x, y).double().sum()
    return float(total / source.n_rows)


def _check_identity(saved: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    for key in sorted({*saved, *ours}):
        if saved.get(key) != ours.get(key):
            if key == "data":
                raise DataChanged(
                    "resume: the data are not those of the checkpoint; train anew without resume."
                )
            was, now = _difference(key, saved.get(key), ours.get(key))
            raise ModelFileError(
                f"resume: {was} in the checkpoint and {now} now; train anew without resume."
            )


def _difference(key: str, was: Any, now: Any) -> tuple[str, str]:
    """Return what differs under a key, down to the first key of a mapping that does."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        inner = next(k for k in sorted({*was, *now}) if was.get(k) != now.get(k))
        return _difference(inner, was.get(inner), now.get(inner))
    return f"{key} is {was!r}", f"{now!r}"
