"""Progress: a bar on a terminal, nothing but the outcome elsewhere; all of it on stderr."""

from __future__ import annotations

import sys
from typing import Any, Self

from narrows.training.run import Epoch

__all__ = ["Progress"]


class Progress:
    """Shows epochs as they pass; ``verbose=0`` shows nothing, 2 prints a line an epoch."""

    def __init__(self, verbose: int, max_epochs: int) -> None:
        self._verbose = verbose
        self._max_epochs = max_epochs
        self._bar: Any = None

    def __enter__(self) -> Self:
        if self._verbose and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=self._max_epochs, unit="epoch", file=sys.stderr)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def epoch(self, number: int, epoch: Epoch) -> None:
        text = f"objective {epoch.objective:.5g}"
        if epoch.validation is not None:
            text += f", held out {epoch.validation:.5g}"
        if self._bar is not None:
            self._bar.n = number
            self._bar.set_postfix_str(text)
        elif self._verbose > 1:
            self.say(f"epoch {number}/{self._max_epochs}: {text} ({epoch.seconds:.1f} s)")

    def layer(self, layer: int, number: int, epoch: Epoch) -> None:
        text = f"pretraining, layer {layer}, epoch {number}: objective {epoch.objective:.5g}"
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif self._verbose > 1:
            self.say(f"{text} ({epoch.seconds:.1f} s)")

    @staticmethod
    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)
