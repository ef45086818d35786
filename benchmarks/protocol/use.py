"""Describe a use of the estimators: its sets, its tasks, its methods and its errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from protocol.data import Data
from protocol.errors import Errors
from protocol.guard import Guard
from protocol.splits import SIZES, Split, split

__all__ = ["Cell", "Method", "Task", "Use", "split_rows"]


@dataclass(frozen=True)
class Cell:
    """One task: a use on a set, at a number of training rows, a seed and a condition."""

    use: str
    set: str
    size: int
    seed: int
    condition: str


class Task(Protocol):
    """What a method gets. Every fit goes through ``guard.fitted``."""

    @property
    def train(self) -> Any: ...
    @property
    def test(self) -> Any: ...
    @property
    def guard(self) -> Guard: ...


Method = Callable[[Any], Mapping[str, Errors]]
"""From a task to errors by the name of their measure; lower is better."""


def split_rows(data: Data, seed: int, condition: str) -> Split:
    """Split the rows of a set, the same for every condition."""
    return split(data.rows, seed, is_test=data.is_test)


@dataclass(frozen=True)
class Use:
    """One use of the estimators beside its rivals.

    Attributes:
        what: A sentence for the report: the task, and the error that is measured.
        kinds: Kinds of sets that it runs on.
        make: Makes the task of a cell from the set and its split.
        estimators, rivals: Methods by name. Rivals run first.
        conditions: Variations of the task, such as the share of hidden cells.
        select: The part of a set that is used, such as its normal rows.
        suits: Whether a set can be used, such as that it has classes.
        split: Draws the held-out rows for a set, a seed and a condition.
        applies: Whether a method, by its name, can be used on a task.
        against: The rivals of an estimator, where it is not all of them.
        sizes: Numbers of training rows.
        fast_sets: Number of sets in a fast run.
    """

    name: str
    what: str
    kinds: tuple[str, ...]
    make: Callable[[Data, Split, Cell], Any]
    estimators: Mapping[str, Method]
    rivals: Mapping[str, Method]
    conditions: tuple[str, ...] = ("",)
    select: Callable[[Data], Data] = lambda data: data
    suits: Callable[[Data], bool] = lambda data: True
    split: Callable[[Data, int, str], Split] = split_rows
    applies: Callable[[str, Any], bool] = lambda name, task: True
    against: Mapping[str, tuple[str, ...]] | None = None
    sizes: tuple[int, ...] = SIZES
    fast_sets: int = 2

    def rivals_of(self, estimator: str) -> tuple[str, ...]:
        """Return the rivals that an estimator is compared with."""
        return (self.against or {}).get(estimator, tuple(self.rivals))
