"""Progress: a bar on a terminal, nothing but the outcome elsewhere; all of it on stderr."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Self

from narrows.training.run import Epoch, TrainingRecord

__all__ = ["Progress"]

_RECENT = 10
"""Epochs whose mean time predicts that of the rest."""

_LINES = 30
"""Lines of a training at most, give or take one."""


class Progress:
    """Shows epochs as they pass; ``verbose=0`` shows nothing, 2 prints lines where no bar is.

    A line an epoch, or of more than 30 epochs the first, the last and some evenly between; of every
    part that is trained before, a layer or a neighbor model, of ``part_epochs`` each, too. Lines
    say about how long the rest takes, if nothing stops it early; the last one says how many epochs
    there were, in what time, why they ended, and which was the best on held-out rows.
    """

    def __init__(self, verbose: int, max_epochs: int, part_epochs: int = 0) -> None:
        self._verbose = verbose
        self._max_epochs, self._part_epochs = max_epochs, part_epochs
        self._untold: str | None = None
        self._seconds: list[float] = []
        self._record: TrainingRecord | None = None
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
        shown = self._bar is not None or self._verbose > 1
        if shown and self._record is not None and self._record.epochs:
            self.say(_outcome(self._record, self._max_epochs))

    def ended(self, record: TrainingRecord) -> None:
        """Keep the record, whose summary is printed at the end."""
        self._record = record

    def epoch(self, number: int, epoch: Epoch) -> None:
        self._seconds.append(epoch.seconds)
        text = f"objective {epoch.objective:.5g}"
        if epoch.validation is not None:
            text += f", held out {epoch.validation:.5g}"
        if self._bar is not None:
            self._bar.n = number
            self._bar.set_postfix_str(text)
        elif self._verbose > 1:
            left = _left(self._seconds[-_RECENT:], self._max_epochs - number)
            line = f"epoch {number}/{self._max_epochs}: {text} ({epoch.seconds:.1f} s{left})"
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


def _left(seconds: Sequence[float], n: int) -> str:
    """Return how long ``n`` more epochs take, by the times of earlier ones; "" if none are left."""
    return f", {_time(n * sum(seconds) / len(seconds))} left at most" if n > 0 else ""


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def _outcome(record: TrainingRecord, max_epochs: int) -> str:
    """Return how a training ended."""
    n = len(record.epochs)
    text = f"{n} epoch{'s' * (n != 1)} in {_time(sum(epoch.seconds for epoch in record.epochs))}"
    if record.stopped_early and n < max_epochs:
        text += f" of {max_epochs}: stopped early, as the held-out error no longer fell"
    elif n >= max_epochs:
        text += ", all that were asked for"
    if record.best_epoch:
        text += f"; the weights are those of epoch {record.best_epoch}, the best on held-out rows"
    return text
