"""Keep checkpoints beside the output of a training command, and write one on Ctrl-C or SIGTERM."""

from __future__ import annotations

import os
import signal
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import click

from narrows.cli._options import CheckpointOptions

__all__ = ["Interruptible", "StopOnSignal"]


class Interruptible:
    """Context that keeps a training's checkpoints in OUTPUT.checkpoints until OUTPUT is written.

    Inside it, Ctrl-C and SIGTERM make the training stop with a checkpoint, and set ``exit_code``,
    the command's exit code; it stays 0 if training finishes.

    Raises
    ------
    UsageError
        If both ``resume`` and ``restart`` are set, or neither is and there are checkpoints.
    """

    def __init__(self, output: Path, options: CheckpointOptions) -> None:
        self.folder = output.with_name(output.name + ".checkpoints")
        self._options = options
        self.exit_code = 0
        _check_existing(self.folder, output, options)
        self._signals = StopOnSignal()

    @property
    def fit_arguments(self) -> dict[str, Any]:
        """The arguments of ``fit`` for checkpoints and signals."""
        return {
            "checkpoint": self.folder,
            "resume": self._options.resume,
            "stop_requested": self._signals.requested,
        }

    def __enter__(self) -> Self:
        self._signals.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        from narrows.training.loop import TrainingStopped

        self._signals.__exit__(kind, error, trace)
        if isinstance(error, TrainingStopped):
            self.exit_code = self._signals.exit_code
            click.echo(
                f"Stopped. The state is in {self.folder}; add --resume to the command to continue.",
                err=True,
            )
            return True
        if error is None and not self._options.keep_checkpoints:
            _clear(self.folder)
        return False


def _check_existing(folder: Path, output: Path, options: CheckpointOptions) -> None:
    """Refuse to overwrite existing checkpoints unless the user chose to resume or to restart."""
    from narrows.errors import UsageError

    if options.resume and options.restart:
        raise UsageError("--resume continues and --restart starts over: give one of them.")
    exist = any(folder.rglob("checkpoint-*.safetensors"))
    if exist and not (options.resume or options.restart):
        raise UsageError(
            f"{folder} holds checkpoints of a training: add --resume to continue it, or "
            "--restart to start over."
        )
    if options.resume and not exist:
        why = (
            f"{output} is finished, and its checkpoints are gone (--keep-checkpoints keeps them)"
            if output.exists()
            else f"No checkpoint in {folder}"
        )
        click.echo(f"{why}: training starts over.", err=True)


def _clear(folder: Path) -> None:
    """Remove the checkpoints, unless another training has started there in the meantime."""
    from narrows.errors import OutputBusy
    from narrows.training.checkpoint_folder import Checkpoints

    with suppress(OutputBusy), closing(Checkpoints(folder)) as checkpoints:
        checkpoints.clear()


_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class StopOnSignal:
    """Context that turns SIGINT and SIGTERM into a request, which the loop reads after each step.

    Before the loop first reads it, while data are read, there is nothing to save: a signal exits
    at once, with the same code. A second signal always does.
    """

    def __init__(self) -> None:
        self.exit_code = 0
        self._in_loop = False
        self._before: dict[int, Any] = {}

    def requested(self) -> bool:
        self._in_loop = True
        return self.exit_code != 0

    def __enter__(self) -> Self:
        for number in _CODES:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        code = _CODES[signal.Signals(number)]
        if self.exit_code or not self._in_loop:
            os._exit(code)
        self.exit_code = code
