"""An error over held-out rows, with enough kept of it to pair two methods later.

The held-out rows are dealt into G groups, the same for every method. For any statistic e of the
rows, the pseudo-value of group g is

    p_g = G e - (G - 1) e_(-g)

where e_(-g) leaves the group out (Tukey's jackknife). For a mean over groups of equal size, p_g is
the mean of the group. The difference of two methods has the standard error sd_g(p_g - p'_g) /
sqrt(G), whether e is a mean, a root or an area under a curve.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["GROUPS", "Errors", "jackknifed", "mean_error"]

GROUPS = 20


@dataclass(frozen=True)
class Errors:
    """An error (lower is better) and its pseudo-values over the groups of held-out rows."""

    value: float
    groups: tuple[float, ...]


def jackknifed(statistic: Callable[[np.ndarray], float], n: int) -> Errors:
    """Return ``statistic(indices)`` of all n rows, with pseudo-values of at most 20 groups.

    Row i is in group i mod G. For rows of two classes, sort them by class: every group then has
    rows of both.
    """
    group = np.arange(n) % min(GROUPS, n)
    value = float(statistic(np.arange(n)))
    count = int(group.max()) + 1
    without = [float(statistic(np.flatnonzero(group != g))) for g in range(count)]
    return Errors(value, tuple(count * value - (count - 1) * left for left in without))


def mean_error(errors: np.ndarray) -> Errors:
    """Return the mean of one error per held-out row."""
    errors = np.asarray(errors, np.float64)
    return jackknifed(lambda rows: errors[rows].mean(), len(errors))
