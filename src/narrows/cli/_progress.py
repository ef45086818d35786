"""Progress of commands that go over rows: a bar on a terminal, lines elsewhere; all on stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

__all__ = ["RowsProgress", "quiet_option", "verbosity"]

_SECONDS = 5.0
"""Where there is no bar, a line comes no more often than this."""

quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")


def verbosity(quiet: bool) -> int:
    """Return the estimators' ``verbose``: 0 if quiet, 1 for a bar on a terminal, 2 for lines."""
    return 0 if quiet else 2 - sys.stderr.isatty()


class RowsProgress:
    """Says what is being done, and how many rows of it are; nothing if ``quiet``."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet

    def say(self, text: str) -> None:
        if not self._quiet:
            click.echo(text, err=True)

    @contextmanager
    def counting(self, n_rows: int, what: str) -> Iterator[Callable[[int], None]]:
        """Give a function that is told how many more rows are done."""
        if not self._quiet and sys.stderr.isatty():
            from tqdm import tqdm

            with tqdm(total=n_rows, unit="row", desc=what, file=sys.stderr) as bar:

                def advanced(n: int) -> None:
                    bar.update(n)

                yield advanced
            return
        self.say(f"{what}: {n_rows} rows")
        begun = told = time.monotonic()
        done = 0

        def passed(n: int) -> None:
            nonlocal done, told
            done += n
            now = time.monotonic()
            if now - told >= _SECONDS and done < n_rows:
                told = now
                self.say(f"{what}: {done} of {n_rows} rows ({now - begun:.0f} s)")

        yield passed
