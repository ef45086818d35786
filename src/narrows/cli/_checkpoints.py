"""Keep checkpoints beside the output of a training command, and stop at signals with one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import click

__all__ = ["Interruptible", "StopOnSignal"]


class Interruptible:
    """Context of a training that keeps checkpoints in OUTPUT.checkpoints until OUTPUT is written.

    Inside it, Ctrl-C and SIGTERM make the training stop with a checkpoint, and set ``exit_code``,
    the command's exit code; it stays 0 if training finishes.

    Raises
    ------
    UsageError
        If there are checkpoints, and neither ``resume`` nor ``restart`` is given.
    """

    def __init__(
        self, output: Path, *, resume: bool, restart: bool, keep_checkpoints: bool = False
    ) -> None:
        self.folder = output.with_name(output.name + ".checkpoints")
        self.resume, self._keep = resume, keep_checkpoints
        self.exit_code = 0
        _check_left(self.folder, output, resume=resume, restart=restart)
        self._signals = StopOnSignal()

    @property
    def stop_requested(self) -> Callable[[], bool]:
        return self._signals.requested

    @property
    def of_fit(self) -> dict[str, Any]:
        """Return the arguments of ``fit`` for checkpoints and signals."""
        return {
            "checkpoint": self.folder,
            "resume": self.resume,
            "stop_requested": self.stop_requested,
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
        if error is None and not self._keep:
            _clear(self.folder)
        return False


def _check_left(folder: Path, output: Path, *, resume: bool, restart: bool) -> None:
    """Refuse to train over the checkpoints of an interrupted training without a decision."""
    from narrows.errors import UsageError

    if resume and restart:
        raise UsageError("--resume continues and --restart starts over: give one of them.")
    left = any(folder.rglob("checkpoint-*.safetensors"))
    if left and not (resume or restart):
        raise UsageError(
            f"{folder} holds checkpoints of a training: add --resume to continue it, or "
            "--restart to start over."
        )
    if resume and not left:
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

    Outside the loop (reading data, measuring) nothing reads the request and nothing would be lost:
    there a signal exits at once, with the same code.
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
