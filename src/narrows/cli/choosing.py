"""Choose an experiment's settings on validation rows, before its test half is read.

Not a command: the scripts in papers/ use it, beside ``main`` of ``paper.py``.

    study = Study(load_test, choices=["net"])
    setting = study.choose("net", candidates, error_on_validation_rows)
    ...                     # refit with this setting on the whole training half
    test = study.test()     # raises Leak while a choice is open; no choice is possible afterwards
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

import numpy as np

__all__ = ["Leak", "Study", "choice_lines", "validation_split"]

Setting = TypeVar("Setting")
Rows = TypeVar("Rows")


class Leak(RuntimeError):
    """Test rows were read before all settings were chosen, or a setting was chosen after that."""


class Study(Generic[Rows]):
    """The choices of one experiment, then its test half.

    Parameters
    ----------
    load_test : callable
        Returns the test half; called once, by ``test``.
    choices : iterable of str
        Names of all choices. Each must be made before ``test`` can be called.
    """

    def __init__(self, load_test: Callable[[], Rows], *, choices: Iterable[str]) -> None:
        self._load = load_test
        self._open = list(choices)
        self._test: list[Rows] = []
        self._record: list[dict[str, Any]] = []
        if not self._open:
            raise ValueError("Study: choices must name at least one choice, got none.")

    def choose(
        self,
        name: str,
        candidates: Mapping[str, Setting],
        error: Callable[[Setting], float],
        *,
        unit: str = "validation error",
    ) -> Setting:
        """Return the candidate with the smallest error; of equal ones, the first.

        ``error`` fits on training rows without the validation rows, and measures on these. A
        candidate whose error is not finite counts as the worst.

        Raises
        ------
        Leak
            If the test half was read already, or if ``error`` reads it.
        ValueError
            For a name that was not announced or was chosen already, fewer than two candidates, or
            if no error is finite.
        """
        if self._test:
            raise Leak(f"{name}: chosen after the test half was read; choose first.")
        if name not in self._open:
            raise ValueError(f"{name}: not among the open choices {self._open}.")
        if len(candidates) < 2:
            raise ValueError(f"{name}: at least two candidates are needed, got {[*candidates]}.")
        errors = {label: float(error(setting)) for label, setting in candidates.items()}
        finite = {label: value for label, value in errors.items() if math.isfinite(value)}
        if not finite:
            raise ValueError(f"{name}: no candidate has a finite error: {errors}.")
        chosen = min(finite, key=finite.__getitem__)
        self._open.remove(name)
        self._record.append(
            {
                "choice": name,
                "chosen": chosen,
                "unit": unit,
                "validation": {label: finite.get(label) for label in errors},
            }
        )
        print(*choice_lines(self._record[-1:]), sep="\n", file=sys.stderr, flush=True)
        return candidates[chosen]

    def test(self) -> Rows:
        """Return the test half.

        Raises
        ------
        Leak
            If a choice is still open.
        """
        if self._open:
            raise Leak(f"the test half was read before these were chosen: {self._open}.")
        if not self._test:
            self._test.append(self._load())
        return self._test[0]

    @property
    def record(self) -> list[dict[str, Any]]:
        """Each choice: its name, the chosen candidate, and every candidate's validation error."""
        return [dict(choice) for choice in self._record]


def validation_split(
    n_rows: int, *, seed: int, share: float = 1 / 6, y: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers of the training half to fit candidates on, and to compare them on.

    Both are sorted. With classes ``y`` (n_rows,), every class gives the same share; a class of
    one row stays in the first part.
    """
    rng = np.random.default_rng([seed, n_rows])
    strata = [np.arange(n_rows)]
    if y is not None:
        strata = [np.flatnonzero(y == label) for label in np.unique(y)]
    held = [rng.permutation(rows)[: round(share * len(rows))] for rows in strata if len(rows) > 1]
    validation = np.sort(np.concatenate(held)) if held else np.empty(0, np.intp)
    if not 0 < len(validation) < n_rows:
        raise ValueError(f"validation_split: {share:.3g} of {n_rows} rows leave one part empty.")
    return np.setdiff1d(np.arange(n_rows), validation), validation


def choice_lines(choices: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return one line for each choice: what was chosen, and all validation errors."""
    lines = []
    for choice in choices:
        errors = ", ".join(
            f"{label} {'failed' if value is None else format(value, '.5g')}"
            for label, value in choice["validation"].items()
        )
        lines.append(f"{choice['choice']}: {choice['chosen']} ({choice['unit']}: {errors})")
    return lines
