"""Where a training stands, and what happened in it: what a checkpoint and a model file keep."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from narrows.artefact import Artefact
from narrows.errors import DataChanged, ModelFileError, TrainingDiverged
from narrows.training.checkpoint_model import model_part
from narrows.training.checkpoints import Checkpoints
from narrows.training.early_stopping import EarlyStopping
from narrows.training.trainer import Trainer

__all__ = [
    "FREE",
    "Described",
    "Epoch",
    "Run",
    "TrainingRecord",
    "check_identity",
    "epochs_if_finished",
]

FREE = ("max_epochs", "patience")
"""What may differ where a checkpoint's training had ended: it then goes on to another end."""


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


Described = Callable[[TrainingRecord], Artefact]
"""A function from the record so far to the file of the model as it stands."""


class Run:
    """Where a training stands: what a checkpoint holds beside the trainer's tensors.

    ``described`` has checkpoints hold the model too, so that each opens as one.
    """

    def __init__(
        self,
        trainer: Trainer,
        record: TrainingRecord,
        stopping: EarlyStopping,
        checkpoints: Checkpoints | None,
        identity: dict[str, Any],
        *,
        max_epochs: int,
        described: Described | None = None,
    ) -> None:
        self.trainer, self.record, self.stopping = trainer, record, stopping
        self.checkpoints, self.identity = checkpoints, identity
        self.max_epochs, self.described = max_epochs, described
        self.epoch = self.position = 0
        self._spent = 0.0
        self._order = trainer.sampler.get_state()

    def begin_epoch(self) -> None:
        self._order = self.trainer.sampler.get_state()
        self._started = time.perf_counter() - self._spent
        self._spent = 0.0

    def end_epoch(self, error: float | None) -> Epoch:
        epoch = Epoch(*self.trainer.pop_means(), error, time.perf_counter() - self._started)
        self.record.epochs.append(epoch)
        self.epoch += 1
        self.position = 0
        self._order = self.trainer.sampler.get_state()
        if error is not None:
            done = self.stopping.update(self.epoch, error, self.trainer.objective)
            self.record.stopped_early = done
        return epoch

    def check_weights(self) -> None:
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
        return self.checkpoints is not None and self.checkpoints.due()

    def save(self) -> None:
        if self.checkpoints is None:
            return
        self.check_weights()
        best, values = self.stopping.state()
        spec = {
            "identity": self.identity,
            "epoch": self.epoch,
            "position": self.position,
            "seconds": time.perf_counter() - self._started if self.position else 0.0,
            "max_epochs": self.max_epochs,
            "precision": self.trainer.precision,
            "epochs": [asdict(epoch) for epoch in self.record.epochs],
            "stopped_early": self.record.stopped_early,
            "stopping": values,
        }
        tensors = {**self.trainer.state(), **best, "random.sampler": self._order}
        if self.described is not None:
            spec["model"], others = model_part(self.described(self.record), self.trainer.objective)
            tensors |= others
        self.checkpoints.save(Artefact("checkpoint", spec, tensors))

    def resume(self, saved: Artefact) -> None:
        """Go on from a checkpoint; one whose training had ended may go on to another end."""
        ended = epochs_if_finished(saved) is not None
        check_identity(saved.spec["identity"], self.identity, free=FREE if ended else ())
        self.epoch, self.position = saved.spec["epoch"], saved.spec["position"]
        if self.epoch > self.max_epochs:
            raise ModelFileError(
                f"resume: the checkpoint is of a training of {self.epoch} epochs, and max_epochs "
                f"is {self.max_epochs} now; give more, or train anew without resume."
            )
        # another machine, or noise, would measure another one for "auto" today
        self.trainer.precision = saved.spec.get("precision", self.trainer.precision)
        self.record.precision = self.trainer.precision
        self._spent = saved.spec["seconds"]
        self.record.epochs = [Epoch(**epoch) for epoch in saved.spec["epochs"]]
        self.record.stopped_early = saved.spec["stopped_early"]
        self.stopping.restore(saved.tensors, saved.spec["stopping"])
        if ended and self.max_epochs > saved.spec.get("max_epochs", self.max_epochs):
            self.stopping.begin_again(self.epoch)
        if ended:
            self.record.stopped_early = self.stopping.waited_enough(self.epoch)
        self.trainer.restore(saved.tensors)
        self.trainer.sampler.set_state(saved.tensors["random.sampler"])


def epochs_if_finished(saved: Artefact) -> int | None:
    """Return the epochs that a checkpoint's training was to have, None if it had not ended."""
    spec = saved.spec
    most = int(spec.get("max_epochs", spec["identity"].get("max_epochs", 0)))
    return most if spec["stopped_early"] or spec["epoch"] >= most > 0 else None


def check_identity(
    saved: Mapping[str, Any], ours: Mapping[str, Any], *, free: Sequence[str] = ()
) -> None:
    """Refuse a checkpoint of something else; ``free`` names what may differ.

    Names of columns may be missing on either side.

    Raises
    ------
    DataChanged
        If it was made of other data, or of columns with other names.
    ModelFileError
        Naming what differs, and both values.
    """
    for key in sorted({*saved, *ours} - {*free}):
        if saved.get(key) != ours.get(key):
            if key == "data":
                raise DataChanged(
                    "resume: the data are not those of the checkpoint; train anew without resume."
                )
            if key == "names":
                _check_names(saved.get(key), ours.get(key))
                continue
            was, now = _difference(key, saved.get(key), ours.get(key))
            way_out = ""
            if key in FREE:
                way_out = ", or finish that training first and then go on with more epochs"
            raise ModelFileError(
                f"resume: {was} in the checkpoint and {now} now; train anew without resume"
                f"{way_out}."
            )


def _check_names(was: Sequence[str] | None, now: Sequence[str] | None) -> None:
    """Refuse other names of columns than a checkpoint's; None says nothing."""
    if was is None or now is None:
        return
    i = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), 0)
    raise DataChanged(
        f"resume: column {i} was called {was[i]!r} in the checkpoint, and is {now[i]!r} now; give "
        "the columns their names, or train anew without resume."
    )


def _difference(key: str, was: Any, now: Any) -> tuple[str, str]:
    """Return what differs under a key, down to the first key of a mapping that does."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        inner = next(k for k in sorted({*was, *now}) if was.get(k) != now.get(k))
        return _difference(inner, was.get(inner), now.get(inner))
    return f"{key} is {was!r}", f"{now!r}"
