"""Checkpoints and callbacks of a training and of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from narrows.artefact import Artefact
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.record import Epoch, TrainingRecord

__all__ = ["Watch", "never"]


def never() -> bool:
    """Return False: no stop is requested."""
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
    stop_requested: Callable[[], bool] = never
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
        with closing(self.checkpoints.subfolder(folder)) as checkpoints:
            saved = checkpoints.newest() if self.resume else None
            yield replace(part, checkpoints=checkpoints, saved=saved)
