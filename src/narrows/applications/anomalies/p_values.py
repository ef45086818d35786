"""Compute conformal p-values: the rank of a row's error among the errors of held-out rows.

Vovk, Gammerman, Shafer (2005), "Algorithmic learning in a random world" (conformal p-values);
Bates, Candes, Lei, Romano, Sesia (2023), "Testing for outliers with conformal p-values", Annals of
Statistics 51.
"""

from __future__ import annotations

import numpy as np

__all__ = ["conformal_p_values", "conformal_threshold"]


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
