"""Progress: a bar on a terminal, nothing but the outcome elsewhere; all of it on stderr."""

from __future__ import annotations

import sys
from typing import Any, Self

from narrows.training.run import Epoch

__all__ = ["Progress"]

_LINES = 30
"""Lines of a training at most, give or take one."""


class Progress:
    """Shows epochs as they pass; ``verbose=0`` shows nothing, 2 prints lines where no bar is.

    A line an epoch, or of more than 30 epochs the first, the last and some evenly between; of
    every part that is trained before, a layer or a teacher, of ``part_epochs`` each, too.
    """

    def __init__(self, verbose: int, max_epochs: int, part_epochs: int = 0) -> None:
        self._verbose = verbose
        self._max_epochs, self._part_epochs = max_epochs, part_epochs
        self._untold: str | None = None
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._verbose and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self._max_epochs, unit="epoch", file=sys.stderr)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._untold is not None:  # training ended before its last epoch
            self.say(self._untold)

    def epoch(self, number: int, epoch: Epoch) -> None:
        text = f"objective {epoch.objective:.5g}"
        if epoch.validation is not None:
            text += f", held out {epoch.validation:.5g}"
        if self._bar is not None:
            self._bar.n = number
            self._bar.set_postfix_str(text)
        elif self._verbose > 1:
            line = f"epoch {number}/{self._max_epochs}: {text} ({epoch.seconds:.1f} s)"
            self._tell(line, number, self._max_epochs)

    def part(self, part: str, number: int, epoch: Epoch) -> None:
        text = f"pretraining, {part}, epoch {number}: objective {epoch.objective:.5g}"
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif self._verbose > 1:
            self._tell(f"{text} ({epoch.seconds:.1f} s)", number, self._part_epochs)

    def _tell(self, line: str, number: int, of: int) -> None:
        """Print the line of an epoch if it is among those that are shown."""
        every = 1 if of <= _LINES else -(-of // (_LINES - 1))
        shown = number in (1, of) or number % every == 0
        self._untold = None if shown else line
        if shown:
            self.say(line)

    @staticmethod
    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
