"""Show the progress of training on stderr: a bar on a terminal, or lines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Self

from narrows.training.record import Epoch, TrainingRecord

__all__ = ["Progress"]

_RECENT = 10
"""Number of last epochs whose mean time predicts the time left."""

_LINES = 30
"""Most lines of a training, give or take one."""


class Progress:
    """Show epochs as they pass: nothing if ``verbose`` is 0, lines without a terminal if it is 2.

    There is a line for every epoch or, of more than 30 epochs, for the first, the last and some
    evenly between; likewise for every part that is trained before, a layer or a neighbor model, of
    ``part_epochs`` each. A trial, which holds rows out, has one line at its end. Lines give the
    time left unless training stops early; the last line gives the number of epochs, their time, why
    they ended, and the best on held-out rows.
    """

    def __init__(self, verbose: int, max_epochs: int, part_epochs: int = 0) -> None:
        self._verbose = verbose
        self._max_epochs, self._part_epochs = max_epochs, part_epochs
        self._pending: str | None = None
        self._part: str | None = None
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
        self._say_pending()
        shown = self._bar is not None or self._verbose > 1
        if shown and self._record is not None and self._record.epochs:
            self.say(_outcome(self._record, self._max_epochs))

    def ended(self, record: TrainingRecord) -> None:
        """Keep the record, whose summary is printed at the end."""
        self._record = record

    def epoch(self, number: int, epoch: Epoch) -> None:
        """Show an epoch of the training itself."""
        if self._part is not None:
            self._part = None
            self._say_pending()
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
            self._print_some(line, number, self._max_epochs)

    def part(self, part: str, number: int, epoch: Epoch) -> None:
        """Show an epoch of a part that is trained before."""
        if part != self._part:
            self._part = part
            self._say_pending()
        text = f"{part}, epoch {number}: objective {epoch.objective:.5g}"
        if epoch.validation is not None:
            text += f", held out {epoch.validation:.5g}"
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif self._verbose > 1 and epoch.validation is not None:
            self._pending = text
        elif self._verbose > 1:
            self._print_some(f"{text} ({epoch.seconds:.1f} s)", number, self._part_epochs)

    def _print_some(self, line: str, number: int, n_epochs: int) -> None:
        """Print the line of an epoch if it is one of those that are shown."""
        every = 1 if n_epochs <= _LINES else -(-n_epochs // (_LINES - 1))
        shown = number in (1, n_epochs) or number % every == 0
        self._pending = None if shown else line
        if shown:
            self.say(line)

    def _say_pending(self) -> None:
        """Print the line of the last epoch, if a training ended before its maximum."""
        if self._pending is not None:
            self.say(self._pending)
            self._pending = None

    @staticmethod
    def say(text: str) -> None:
        """Print a line on stderr."""
        print(text, file=sys.stderr, flush=True)


def _left(seconds: Sequence[float], n: int) -> str:
    """Return the time of ``n`` more epochs, from the times of earlier ones; "" if none are left."""
    return f", {_time(n * sum(seconds) / len(seconds))} left at most" if n > 0 else ""


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02} min"


def _outcome(record: TrainingRecord, max_epochs: int) -> str:
    """Describe how a training ended."""
    n = len(record.epochs)
    text = f"{n} epoch{'s' * (n != 1)} in {_time(sum(epoch.seconds for epoch in record.epochs))}"
    if record.stopped_early and n < max_epochs:
        text += f" of {max_epochs}: stopped early, as the held-out error no longer fell"
    elif n >= max_epochs:
        text += ", the maximum"
    if record.best_epoch == 0:
        text += "; the net stays the linear code it started as: training did not improve on it"
    elif record.best_epoch:
        text += f"; the weights are those of epoch {record.best_epoch}, the best on held-out rows"
    return text
