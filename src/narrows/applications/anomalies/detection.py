"""Measure how well scores and flags detect known anomalies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from narrows.errors import InvalidData

__all__ = ["Detection", "anomaly_labels", "measure_detection"]

_NORMAL_LABEL = {"1": "0", "true": "false", "-1": "1"}
"""The label of normal rows, by the label of anomalies."""


@dataclass(frozen=True)
class Detection:
    """Quality of anomaly scores and flags; all but ``n_anomalies`` are in [0, 1].

    ``auroc`` is the share of (anomaly, normal row) pairs in which the anomaly scores higher,
    ``average_precision`` the mean precision at the rank of each anomaly. ``found`` is the share of
    the anomalies that are flagged, ``false_alarms`` the share of the normal rows that are.
    """

    n_anomalies: int
    auroc: float
    average_precision: float
    found: float
    false_alarms: float


def anomaly_labels(labels: np.ndarray, *, origin: str = "labels") -> np.ndarray:
    """Return which rows are anomalies, boolean (n_rows,).

    Labels are 1 and 0, true and false, or, as in scikit-learn's detectors, -1 and 1; the first of
    each pair marks an anomaly.

    Raises
    ------
    InvalidData
        If there are other labels, or only one of the two.
    """
    if labels.dtype.kind == "f" and np.isin(labels, (-1, 0, 1)).all():
        labels = labels.astype(np.int64)
    words = np.char.lower(labels.astype(str))
    for number in ("-1", "0", "1"):  # the text 1.0 means 1 too
        words = np.where(np.isin(words, (f"{number}.0", f"{number}.")), number, words)
    found = set(words.tolist())
    for anomaly, normal in _NORMAL_LABEL.items():
        if found == {anomaly, normal}:
            return words == anomaly
    shown = ", ".join(sorted(found)[:5])
    raise InvalidData(
        f"{origin}: expected both 1 (an anomaly) and 0, or true and false, or -1 (an anomaly) "
        f"and 1; got {shown}{', ...' if len(found) > 5 else ''}."
    )


def measure_detection(scores: np.ndarray, flagged: np.ndarray, is_anomaly: np.ndarray) -> Detection:
    """Measure how well ``scores`` (n_rows,), larger for anomalies, and flags detect anomalies.

    ``flagged`` and ``is_anomaly`` are boolean (n_rows,).
    """
    return Detection(
        n_anomalies=int(is_anomaly.sum()),
        auroc=float(roc_auc_score(is_anomaly, scores)),
        average_precision=float(average_precision_score(is_anomaly, scores)),
        found=float(flagged[is_anomaly].mean()),
        false_alarms=float(flagged[~is_anomaly].mean()),
    )
