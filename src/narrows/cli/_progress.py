"""Show progress over rows on stderr: a bar on a terminal, lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

__all__ = ["RowsProgress", "verbosity"]

_SECONDS = 5.0
"""Least time between two lines."""


def verbosity(quiet: bool) -> int:
    """Return the estimators' ``verbose``: 0 if quiet, 1 for a bar on a terminal, 2 for lines."""
    return 0 if quiet else 2 - sys.stderr.isatty()


class RowsProgress:
    """Print the current step and how many rows are done; print nothing if ``quiet``."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def say(self, text: str) -> None:
        if not self._quiet:
            click.echo(text, err=True)

    @contextmanager
    def counting(self, n_rows: int, what: str) -> Iterator[Callable[[int], None]]:
        """Yield a function to call with the number of rows done since its last call."""
        if not self._quiet and sys.stderr.isatty():
            from tqdm import tqdm

            with tqdm(total=n_rows, unit="row", desc=what, file=sys.stderr) as bar:

                def advanced(n: int) -> None:
                    bar.update(n)

                yield advanced
            return
        self.say(f"{what}: {n_rows} rows")
        started = printed = time.monotonic()
        done = 0

        def passed(n: int) -> None:
            nonlocal done, printed
            done += n
            now = time.monotonic()
            if now - printed >= _SECONDS and done < n_rows:
                printed = now
                self.say(f"{what}: {done} of {n_rows} rows ({now - started:.0f} s)")

        yield passed
