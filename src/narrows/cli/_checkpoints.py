"""Checkpoints beside the output, and signals that leave one, for the commands that train."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import click

__all__ = ["Interruptible", "StopOnSignal", "checkpoint_options"]


def checkpoint_options(command: Any) -> Any:
    """Give a command --resume, --restart and --keep-checkpoints."""
    for option in (
        click.option("--keep-checkpoints", is_flag=True, help="Leave the last checkpoints when the "
                     "file is written, so that --resume with more --epochs can go on."),
        click.option("--restart", is_flag=True,
                     help="Start over, whatever checkpoints there are."),
        click.option("--resume", is_flag=True,
                     help="Go on from the last checkpoint of this output."),
    ):  # fmt: skip
        command = option(command)
    return command


class Interruptible:
    """A training whose checkpoints stand in OUTPUT.checkpoints until its file is written.

    While it is open, Ctrl-C and SIGTERM leave a checkpoint, and ``exit_code`` becomes the command's
    exit code; it stays 0 if training finishes.

    Raises
    ------
    UsageError
        If checkpoints are there, and neither ``resume`` nor ``restart`` is given.
    """

    def __init__(
        self, output: Path, *, resume: bool, restart: bool, keep_checkpoints: bool = False
    ) -> None:
        from narrows.cli._checkpoints import StopOnSignal

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
        """The arguments of ``fit`` for checkpoints and signals."""
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
                f"Stopped. The state is in {self.folder}; the same command with --resume goes on.",
                err=True,
            )
            return True
        if error is None and not self._keep:
            _clear(self.folder)
        return False


def _check_left(folder: Path, output: Path, *, resume: bool, restart: bool) -> None:
    """Refuse to train over what an interrupted training left, unless told to."""
    from narrows.errors import UsageError

    if resume and restart:
        raise UsageError("--resume goes on and --restart begins anew: give one of them.")
    left = any(folder.rglob("checkpoint-*.safetensors"))
    if left and not (resume or restart):
        raise UsageError(
            f"{folder} holds checkpoints of a training: add --resume to go on with it, or "
            "--restart to start over."
        )
    if resume and not left:
        why = (
            f"{output} is finished, and its checkpoints are gone (--keep-checkpoints leaves them)"
            if output.exists()
            else f"No checkpoint in {folder}"
        )
        click.echo(f"{why}: training starts over.", err=True)


def _clear(folder: Path) -> None:
    """Remove the checkpoints, unless another training has begun there meanwhile."""
    from narrows.errors import OutputBusy
    from narrows.training.checkpoints import Checkpoints

    with suppress(OutputBusy), closing(Checkpoints(folder)) as checkpoints:
        checkpoints.clear()


_CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}


class StopOnSignal:
    """While open, turns both signals into a request that the loop reads after its step.

    Outside the loop (reading data, measuring) nobody reads the request: there a signal leaves
    at once, with the same code, since nothing would be lost.
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
