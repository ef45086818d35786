"""Compute conformal p-values: the rank of a row's error among the errors of held-out rows.

Beyond the largest of these errors all ranks are equal; there a tail can be fitted.

Vovk, Gammerman, Shafer (2005), "Algorithmic learning in a random world" (conformal p-values);
Bates, Candes, Lei, Romano, Sesia (2023), "Testing for outliers with conformal p-values", Annals of
Statistics 51.
Renyi (1953), "On the theory of order statistics", Acta Mathematica Hungarica 4 (the gaps between
the largest of exponential variables are independent).
"""

from __future__ import annotations

import numpy as np

__all__ = ["conformal_p_values", "conformal_threshold", "tail_p_values", "tail_threshold"]

_SHARE = 0.1
_FEWEST, _MOST = 5, 100
"""The tail is a tenth of the scores, but not fewer or more than this."""


def conformal_p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Return p = (1 + #{calibration >= score}) / (n + 1) of every score, float64.

    ``calibration`` (n,) holds the sorted scores of rows that training did not see. A new row of
    the same distribution has P(p <= a) <= a, whatever the scores are. Cost: O(log n) per score.

    Examples
    --------
    >>> import numpy as np
    >>> conformal_p_values(np.array([0.5, 9.0]), np.array([1.0, 2.0, 3.0]))
    array([1.  , 0.25])
    """
    n = len(calibration)
    return (1 + n - np.searchsorted(calibration, scores, side="left")) / (n + 1)


def conformal_threshold(calibration: np.ndarray, alpha: float) -> float:
    """Return the score t for which p <= alpha exactly if a score is greater than t.

    ``calibration`` (n,) is sorted. Return inf if n is too small for a p-value of ``alpha``.
    """
    n = len(calibration) + 1
    most = int((np.arange(1, n + 1) / n <= alpha).sum()) - 1  # compared as p is rounded
    return np.inf if most < 0 else float(calibration[-1 - most])


def tail_p_values(scores: np.ndarray, calibration: np.ndarray) -> np.ndarray:
    """Return conformal p-values, continued below 1 / (n + 1) by an exponential tail, float64.

    A score beyond the largest calibration score c_1 has p = (1 + (score - c_1) / t)^-k / (n + 1),
    where t = sum_i (i + 1) (c_i - c_(i+1)) over the k largest gaps. If the scores above c_(k+1) are
    exponential, P(p <= a) = a for a below 1 / (n + 1) too, however few rows there are: the gaps,
    times their rank, are then independent and equally distributed. k is n / 10, at least 5.

    Examples
    --------
    >>> import numpy as np
    >>> tail_p_values(np.array([0.5, 3.0, 9.0]), np.array([1.0, 2.0, 3.0])).round(4)
    array([1.    , 0.5   , 0.0517])
    """
    found = conformal_p_values(scores, calibration)
    k, total = _tail(calibration)
    beyond = scores > calibration[-1]
    if total > 0:
        with np.errstate(over="ignore"):
            excess = (scores[beyond] - calibration[-1]) / total
        found[beyond] *= np.maximum((1 + excess) ** -k, np.finfo(np.float64).tiny)
    return found


def tail_threshold(calibration: np.ndarray, alpha: float) -> float:
    """Return the score above which ``tail_p_values`` gives p <= alpha, up to rounding.

    It is inf if alpha is below 1 / (n + 1) and there is no tail because the largest scores are
    equal.
    """
    found = conformal_threshold(calibration, alpha)
    if np.isfinite(found):
        return found
    k, total = _tail(calibration)
    if not total > 0:
        return np.inf
    excess = (alpha * (len(calibration) + 1)) ** (-1 / k) - 1
    return float(calibration[-1] + excess * total)


def _tail(calibration: np.ndarray) -> tuple[int, float]:
    """Return k and the sum t of the tail of sorted scores (n,); t is 0 if there is none."""
    n = len(calibration)
    k = min(max(_FEWEST, min(_MOST, round(_SHARE * n))), n - 1)
    if k < 1:
        return 0, 0.0
    with np.errstate(over="ignore"):
        gaps = np.diff(calibration[-k - 1 :])[::-1]  # the gap below the largest score is first
        total = float((np.arange(2, k + 2) * gaps).sum())
    return k, total if np.isfinite(total) else 0.0
