"""Ctrl-C and SIGTERM in training: the first asks for a checkpoint, the second leaves at once."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any, Self

__all__ = ["StopOnSignal"]

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
