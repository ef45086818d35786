"""List the cells of a measurement, small ones first, and run what the log doesn't hold yet."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from protocol.data import Data
from protocol.digests import row_digests
from protocol.errors import Errors
from protocol.guard import Leak
from protocol.log import Log
from protocol.sets import SETS, DataSet, available, half_of
from protocol.splits import Split, sizes_up_to
from protocol.use import Cell, Use
from protocol.uses import USES

__all__ = ["Choice", "cells", "run"]


@dataclass(frozen=True)
class Choice:
    """What to measure.

    ``fast`` keeps the smallest sets of a use (one of a slow use), the fewest rows, the first
    condition and one seed.
    """

    half: str = "tuning"
    uses: Sequence[str] = tuple(USES)
    sets: Sequence[str] = ()
    sizes: Sequence[int] = ()
    seeds: int = 3
    fast: bool = False


@cache
def _loaded(name: str) -> Data:
    return SETS[name].load()


@cache
def _selected(use: str, name: str) -> Data | None:
    data = USES[use].select(_loaded(name))
    return data if USES[use].suits(data) else None


@cache
def _split(use: str, name: str, seed: int, condition: str) -> Split | None:
    data = _selected(use, name)
    return None if data is None else USES[use].split(data, seed, condition)


def sets_of(use: Use, choice: Choice) -> list[DataSet]:
    """Return the available sets of a use in the chosen half, the smallest first."""
    found = [
        one
        for one in SETS.values()
        if one.kind in use.kinds and available(one) and half_of(one.name) == choice.half
        and (not choice.sets or one.name in choice.sets)
    ]  # fmt: skip
    return sorted(found, key=lambda one: one.rows)


def cells(choice: Choice) -> Iterator[Cell]:
    """Yield the cells, fewest training rows first, so that a time limit leaves something useful.

    Within a number of rows the first seed of all sets and uses comes before the second.
    """
    if choice.fast:
        yield from _fast_cells(choice)
        return
    chosen = [(USES[name], one) for name in choice.uses for one in sets_of(USES[name], choice)]
    ladder = sorted({size for use, _ in chosen for size in use.sizes})
    for rung, size in enumerate(ladder):
        below = ladder[rung - 1] if rung else 0
        for seed in range(choice.seeds):
            for use, one in chosen:
                for condition in use.conditions:
                    for n in _sizes(use, one, seed, condition, choice):
                        if below < n <= size:
                            yield Cell(use.name, one.name, n, seed, condition)


def _sizes(use: Use, one: DataSet, seed: int, condition: str, choice: Choice) -> list[int]:
    if use.sizes[0] * 0.6 > one.rows:
        return []
    split = _split(use.name, one.name, seed, condition)
    found = [] if split is None else sizes_up_to(len(split.train), use.sizes)
    return [n for n in found if not choice.sizes or n in choice.sizes]


def _fast_cells(choice: Choice) -> Iterator[Cell]:
    for name in choice.uses:
        use, found = USES[name], 0
        for one in sets_of(use, choice):
            sizes = _sizes(use, one, 0, use.conditions[0], choice)
            if sizes and found < use.fast_sets:
                found += 1
                yield Cell(name, one.name, sizes[0], 0, use.conditions[0])


def make_task(cell: Cell) -> tuple[Any, int]:
    """Return the task of a cell, and a digest of its held-out rows."""
    use = USES[cell.use]
    data, split = (
        _selected(cell.use, cell.set),
        _split(cell.use, cell.set, cell.seed, cell.condition),
    )
    assert data is not None and split is not None
    return use.make(data, split, cell), row_digests(np.sort(split.test)[None])[0]


def run(
    choice: Choice, log: Log, *, say: Callable[[str], None] = print, until: float = float("inf")
) -> None:
    """Run the cells of a choice until ``time.monotonic()`` passes ``until``."""
    for cell in cells(choice):
        use = USES[cell.use]
        methods = [
            name
            for name in (*use.rivals, *use.estimators)
            if (cell.use, cell.set, cell.size, cell.seed, cell.condition, name) not in log
        ]
        if not methods:
            continue
        task, test = make_task(cell)
        for name in methods:
            if not use.applies(name, task):
                continue
            if time.monotonic() > until:
                say("The time limit is reached; the same command continues.")
                return
            record = _measured(use, name, task)
            head = {"half": half_of(cell.set), **vars(cell), "method": name, "test": test}
            log.add({**head, **record})
            say(_line(log, cell, name))


def _measured(use: Use, name: str, task: Any) -> dict[str, Any]:
    """Run a method. Its failure is a result; a leak is not, and stops the measurement."""
    is_rival = name in use.rivals
    method = (use.rivals if is_rival else use.estimators)[name]
    fits, failure, scores = task.guard.fits, None, {}
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            scores = dict(method(task))
        except Leak:
            raise
        except Exception as error:  # noqa: BLE001 -- any failure at defaults is a finding
            failure = f"{type(error).__name__}: {str(error)[:300]}"
    return {
        "role": "rival" if is_rival else "estimator",
        "seconds": time.perf_counter() - started,
        "scores": {measure: [e.value, list(e.groups)] for measure, e in scores.items()},
        "failure": failure,
        "warnings": len(caught),
        "fits": task.guard.fits - fits,
        "features": _features(task.train),
    }


def _features(rows: Any) -> int:
    return 0 if isinstance(rows, list) else int(np.prod(rows.shape[1:]))


def errors_of(record: dict[str, Any] | None, measure: str) -> Errors | None:
    """Return the errors of a record, None if the run failed."""
    if record is None or record["failure"] or measure not in record["scores"]:
        return None
    value, groups = record["scores"][measure]
    return Errors(value, tuple(groups))


def _line(log: Log, cell: Cell, name: str) -> str:
    """Return one line on a run: errors, their ratios to the first rival's, seconds."""
    key = (cell.use, cell.set, cell.size, cell.seed, cell.condition)
    record, use = log.runs[*key, name], USES[cell.use]
    where = " ".join(str(part) for part in key if part != "")
    if record["failure"]:
        return f"{where} {name}: {record['failure']}"
    first = next(iter(use.rivals_of(name) if name in use.estimators else use.rivals))
    shown = []
    for measure, (value, _) in record["scores"].items():
        beside = errors_of(log.runs.get((*key, first)), measure)
        ratio = f" ({value / beside.value:.3f} of {first})" if beside and beside.value else ""
        shown.append(f"{measure} {value:.4g}{ratio}")
    return f"{where} {name}: {', '.join(shown)}, {record['seconds']:.1f} s"


def listed(choice: Choice) -> Iterable[str]:
    """Yield a line per use with its sets in the chosen half."""
    for name in choice.uses:
        use = USES[name]
        names = ", ".join(one.name for one in sets_of(use, choice))
        yield f"{name} ({', '.join(use.estimators)}; rivals {', '.join(use.rivals)}): {names}"
