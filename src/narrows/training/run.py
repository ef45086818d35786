"""The state and record of a training run, with its checkpoints and callbacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from narrows.artefact import Artefact
from narrows.errors import DataChanged, ModelFileError, TrainingDiverged
from narrows.training.checkpoint_content import model_part
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.early_stopping import EarlyStopping
from narrows.training.trainer import Trainer

__all__ = [
    "FREE",
    "Epoch",
    "Run",
    "TrainingRecord",
    "Watch",
    "check_identity",
    "epochs_if_finished",
]

FREE = ("max_epochs", "patience")
"""Arguments that may differ when a finished training is resumed."""


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


def _never() -> bool:
    return False


def _ignore(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Watch:
    """Checkpoints and callbacks of a training.

    Attributes
    ----------
    checkpoints : Checkpoints or None
        Where to save the state every so often, at the end, and when a stop is requested.
    resume : bool
        Whether parts of the training continue from their checkpoints.
    saved : Artefact or None
        The checkpoint to continue from. If its training had finished, ``max_epochs`` may be larger
        now; the learning rate then follows the schedule of the new ``max_epochs``.
    identity : mapping
        JSON values that must be equal when the training is resumed: parameters and data
        fingerprint.
    snapshot : callable or None
        Returns the current content of the model file, from the record so far, so that checkpoints
        open as models.
    stop_requested : callable
        Called after every step; True means: save a checkpoint and raise TrainingStopped.
    on_epoch : callable
        Called after every epoch with its number, from 1, and the ``Epoch``.
    on_part : callable
        Called after every epoch of a part, with the part's title first.
    """

    checkpoints: Checkpoints | None = None
    resume: bool = False
    saved: Artefact | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Callable[[TrainingRecord], Artefact] | None = None
    stop_requested: Callable[[], bool] = _never
    on_epoch: Callable[[int, Epoch], None] = _ignore
    on_part: Callable[[str, int, Epoch], None] = _ignore

    @contextmanager
    def part(self, folder: str, title: str) -> Iterator[Watch]:
        """Yield the watch of a part of this training, such as a layer trained on its own.

        Its checkpoints are in a folder beside those of the whole, and its epochs go to ``on_part``.
        """

        def on_epoch(number: int, epoch: Epoch) -> None:
            self.on_part(title, number, epoch)

        part = replace(self, saved=None, snapshot=None, on_epoch=on_epoch)
        if self.checkpoints is None:
            yield part
            return
        with closing(self.checkpoints.beside(folder)) as checkpoints:
            saved = checkpoints.newest() if self.resume else None
            yield replace(part, checkpoints=checkpoints, saved=saved)


class Run:
    """Current state of a training: what a checkpoint holds besides the trainer's tensors."""

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
        self._spent = 0.0
        self._order = trainer.sampler.get_state()

    def begin_epoch(self) -> None:
        """Save the state that determines the order of the rows, and start the clock."""
        self._order = self.trainer.sampler.get_state()
        self._started = time.perf_counter() - self._spent
        self._spent = 0.0

    def end_epoch(self, error: float | None) -> Epoch:
        """Record an epoch and its held-out error, and decide whether to stop."""
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
        """Return whether it is time for a checkpoint."""
        checkpoints = self.watch.checkpoints
        return checkpoints is not None and checkpoints.due()

    def save(self) -> None:
        """Save a checkpoint, if the training has a folder for them."""
        checkpoints, snapshot = self.watch.checkpoints, self.watch.snapshot
        if checkpoints is None:
            return
        self.check_weights()
        best, values = self.stopping.state()
        spec = {
            "identity": dict(self.watch.identity),
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
        if snapshot is not None:
            spec["model"], others = model_part(snapshot(self.record), self.trainer.objective)
            tensors |= others
        checkpoints.save(Artefact("checkpoint", spec, tensors))

    def resume(self, saved: Artefact) -> None:
        """Continue from a checkpoint; a finished training may continue to a later end."""
        ended = epochs_if_finished(saved) is not None
        check_identity(saved.spec["identity"], self.watch.identity, free=FREE if ended else ())
        self.epoch, self.position = saved.spec["epoch"], saved.spec["position"]
        if self.epoch > self.max_epochs:
            raise ModelFileError(
                f"resume: the checkpoint is of a training of {self.epoch} epochs, and max_epochs "
                f"is {self.max_epochs} now; give more, or train anew without resume."
            )
        # "auto" could be measured differently on another machine, or because of noise
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
    """Return ``max_epochs`` of a checkpoint's training, None if it had not ended."""
    spec = saved.spec
    most = int(spec.get("max_epochs", spec["identity"].get("max_epochs", 0)))
    return most if spec["stopped_early"] or spec["epoch"] >= most > 0 else None


def check_identity(
    saved: Mapping[str, Any], current: Mapping[str, Any], *, free: Sequence[str] = ()
) -> None:
    """Refuse a checkpoint of another training; the keys in ``free`` may differ.

    Names of columns may be missing on either side.

    Raises
    ------
    DataChanged
        If the data or the names of their columns differ.
    ModelFileError
        If something else differs; the message names it with both values.
    """
    for key in sorted({*saved, *current} - {*free}):
        if saved.get(key) != current.get(key):
            if key == "data":
                raise DataChanged(
                    "resume: the data are not those of the checkpoint; train anew without resume."
                )
            if key == "names":
                _check_names(saved.get(key), current.get(key))
                continue
            was, now = _difference(key, saved.get(key), current.get(key))
            way_out = ""
            if key in FREE:
                way_out = ", or finish that training first and then go on with more epochs"
            raise ModelFileError(
                f"resume: {was} in the checkpoint and {now} now; train anew without resume"
                f"{way_out}."
            )


def _check_names(was: Sequence[str] | None, now: Sequence[str] | None) -> None:
    """Refuse other names of columns than a checkpoint's; None matches any."""
    if was is None or now is None:
        return
    i = next((i for i, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), 0)
    raise DataChanged(
        f"resume: column {i} was called {was[i]!r} in the checkpoint, and is {now[i]!r} now; give "
        "the columns their names, or train anew without resume."
    )


def _difference(key: str, was: Any, now: Any) -> tuple[str, str]:
    """Describe both values of a key; of mappings, those of the first key that differs."""
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        inner = next(k for k in sorted({*was, *now}) if was.get(k) != now.get(k))
        return _difference(inner, was.get(inner), now.get(inner))
    return f"{key} is {was!r}", f"{now!r}"
