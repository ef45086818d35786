"""How well scores tell anomalies from other rows, where it is known which are which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from narrows.errors import InvalidData

__all__ = ["Detection", "measure_detection", "anomaly_labels"]

_ODD = {"1": {"0"}, "true": {"false"}, "-1": {"1"}}
"""The word for an anomaly, and that for no anomaly beside it."""


@dataclass(frozen=True)
class Detection:
    """What scores are worth, in [0, 1].

    ``auroc`` is the share of (anomaly, other row) pairs of which the anomaly is the more
    surprising, ``average_precision`` the mean precision at every anomaly's rank. ``found`` is
    the share of the anomalies that are flagged and ``false_alarms`` that of the other rows.
    """

    n_anomalies: int
    auroc: float
    average_precision: float
    found: float
    false_alarms: float


def anomaly_labels(labels: np.ndarray, *, origin: str = "labels") -> np.ndarray:
    """Return which rows are anomalies, boolean (n_rows,).

    Labels are 1 and 0, true and false, or, as scikit-learn's detectors say it, -1 and 1.

    Raises
    ------
    InvalidData
        If they are others, or all rows are of one kind.
    """
    if labels.dtype.kind == "f" and np.isin(labels, (-1, 0, 1)).all():
        labels = labels.astype(np.int64)
    words = np.char.lower(labels.astype(str))
    for number in ("-1", "0", "1"):  # of texts 1.0 is 1 too
        words = np.where(np.isin(words, (f"{number}.0", f"{number}.")), number, words)
    found = set(words.tolist())
    for odd, usual in _ODD.items():
        if found == {odd} | usual:
            return words == odd
    shown = ", ".join(sorted(found)[:5])
    raise InvalidData(
        f"{origin}: expected both 1 (an anomaly) and 0, or true and false, or -1 (an anomaly) "
        f"and 1; got {shown}{', ...' if len(found) > 5 else ''}."
    )


def measure_detection(score: np.ndarray, flagged: np.ndarray, odd: np.ndarray) -> Detection:
    """Measure how well ``score`` (n_rows,), larger for odder rows, finds the anomalies ``odd``.

    ``flagged`` and ``odd`` are boolean (n_rows,).
    """
    return Detection(
        n_anomalies=int(odd.sum()),
        auroc=float(roc_auc_score(odd, score)),
        average_precision=float(average_precision_score(odd, score)),
        found=float(flagged[odd].mean()),
        false_alarms=float(flagged[~odd].mean()),
    )
