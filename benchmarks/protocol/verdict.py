"""Decide whether an estimator wins, ties or loses against a rival.

For every seed s, d_s = e_s - r_s is the difference of the two errors on the same held-out rows,
and w_s its standard error over the groups of those rows (see ``errors``). With S seeds and k
different draws of held-out rows (1 if a small published test half is always used whole, else S):

    d    = mean of d_s
    SE^2 = max( mean of w_s^2 / k,  var(d_s) / S )

The first term is the uncertainty from the held-out rows; the second, with S > 1, also has that from
the training rows and the estimators' own randomness. It is a win if d < -SE, a loss if d > SE, and
a tie otherwise. An estimator that fails, or whose error is not finite, loses. A rival that fails
gives no verdict.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from protocol.errors import Errors

__all__ = ["Verdict", "judge"]


@dataclass(frozen=True)
class Verdict:
    """The result, the mean difference with its standard error, and the mean of both errors."""

    result: str
    difference: float
    standard_error: float
    error: float
    rival_error: float

    @property
    def ratio(self) -> float:
        """Error over the rival's error: below 1 the estimator is better."""
        return self.error / self.rival_error if self.rival_error else math.nan


def judge(pairs: list[tuple[Errors | None, Errors | None]], draws: int) -> Verdict | None:
    """Return the verdict over one pair of (estimator's, rival's) errors per seed.

    None stands for a failure. ``draws`` is k, the number of different draws of held-out rows.
    """
    judged = [(ours, theirs) for ours, theirs in pairs if _finite(theirs)]
    if not judged:
        return None
    rival_error = float(np.mean([theirs.value for _, theirs in judged if theirs]))
    if not all(_finite(ours) for ours, _ in judged):
        return Verdict("lose", math.inf, math.nan, math.nan, rival_error)
    differences, squares = [], []
    for ours, theirs in judged:
        assert ours is not None and theirs is not None
        differences.append(ours.value - theirs.value)
        groups = np.subtract(ours.groups, theirs.groups)
        squares.append(groups.var(ddof=1) / len(groups) if len(groups) > 1 else 0.0)
    d = float(np.mean(differences))
    se = math.sqrt(
        max(
            float(np.mean(squares)) / max(draws, 1),
            float(np.var(differences, ddof=1)) / len(judged) if len(judged) > 1 else 0.0,
        )
    )
    error = float(np.mean([ours.value for ours, _ in judged if ours]))
    result = "win" if d < -se else "lose" if d > se else "tie"
    if abs(d) <= 1e-9 * abs(rival_error):
        result = "tie"  # the same to the last digits of a sum
    return Verdict(result, d, se, error, rival_error)


def _finite(errors: Errors | None) -> bool:
    return errors is not None and math.isfinite(errors.value)
