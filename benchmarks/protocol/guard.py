"""Let every fit pass one door, where held-out rows are recognized and refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from protocol.digests import row_digests

__all__ = ["Guard", "Leak"]


class Leak(Exception):
    """A held-out row was given to a fit, or to a choice that counts as training."""


class Guard:
    """Knows the held-out rows of one split, and records every row given to a fit.

    Args:
        train, test: The rows of the split as they were read. Any row in both is a leak.

    Attributes:
        fits: Number of fits and choices that passed.
        seen: Digests of all rows that they were given.
    """

    def __init__(self, train: Any, test: Any) -> None:
        self.held_out = set(row_digests(test))
        self.seen: set[int] = set()
        self.fits = 0
        both = self.held_out.intersection(row_digests(train))
        if both:
            raise Leak(f"the training rows contain {len(both)} of the held-out rows")

    def hold(self, *tests: Any, beside: Sequence[Any] = ()) -> None:
        """Also recognize held-out rows in another form: scaled, flattened, with noise, as codes.

        Different rows may look the same in that form, such as two texts without a known word. Give
        the training rows in the same form as ``beside``: those are not counted as leaks. Before
        that, ``__init__`` has made sure that the rows themselves differ.
        """
        known = {digest for rows in beside for digest in row_digests(rows)}
        for rows in tests:
            self.held_out.update(set(row_digests(rows)) - known)

    def check(self, *given: Any) -> None:
        """Raise Leak if any array, list of texts or collection of them holds a held-out row."""
        for rows in _arrays(given):
            digests = row_digests(rows)
            leaked = self.held_out.intersection(digests)
            if leaked:
                raise Leak(f"{len(leaked)} held-out rows were given to a fit")
            self.seen.update(digests)

    def fitted(self, model: Any, rows: Any, y: Any = None, **more: Any) -> Any:
        """Return ``model.fit(rows, y, **more)`` after checking every row in the arguments."""
        self.check(rows, y, *more.values())
        self.fits += 1
        return model.fit(rows, **more) if y is None else model.fit(rows, y, **more)

    def chosen(self, options: Iterable[Any], error: Callable[..., float], *rows: Any) -> Any:
        """Return the option with the least ``error(option, *rows)`` after checking the rows."""
        self.check(*rows)
        self.fits += 1
        return min(options, key=lambda option: error(option, *rows))


def _arrays(given: Any) -> Iterable[Any]:
    """Yield everything inside that has rows; numbers, words and labels have none."""
    if sparse.issparse(given):
        yield given
    elif isinstance(given, dict):
        for one in given.values():
            yield from _arrays(one)
    elif isinstance(given, (list, tuple)) and len(given):
        first = given[0]
        if isinstance(first, str):
            yield given
        elif isinstance(first, (list, tuple)) and _are_numbers(first):
            yield np.asarray(given)  # rows as lists of numbers
        else:
            for one in given:
                yield from _arrays(one)
    elif hasattr(given, "__array__"):  # arrays, tensors, dataframes
        array = np.asarray(given)
        if array.dtype.kind in "UO" and array.ndim == 1:
            yield [str(text) for text in array]
        elif array.ndim > 1:
            yield array


def _are_numbers(row: Any) -> bool:
    return all(isinstance(one, (int, float, np.number)) for one in row)
