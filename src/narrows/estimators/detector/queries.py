"""What a fitted anomaly detector answers about rows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from narrows.applications.anomalies.anomaly_score import AnomalyScore
from narrows.applications.anomalies.flagging import (
    FlaggedRows,
    check_rule,
    flag_rows,
    reachable_level,
)
from narrows.applications.anomalies.p_values import conformal_p_values
from narrows.applications.coding.training_rows import warn_of_calibration
from narrows.data.source import Source
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.detector.members import (
    Members,
    comparable,
)
from narrows.estimators.inputs import query_source
from narrows.estimators.parameters import (
    NarrowsEstimator,
)
from narrows.model.model import Model

__all__ = ["FittedDetector"]

DEFAULT_ALPHA = 0.05
"""The level of a detector whose alpha is "auto"."""


class FittedDetector(OutlierMixin, NarrowsEstimator):
    """Questions about rows, each put to all members together."""

    alpha: float | str
    contamination: float | None
    members_: list[AbstractAutoencoder]
    anomaly_scores_: list[AnomalyScore]
    calibration_: np.ndarray
    offset_: float

    @property
    def _members(self) -> Members:
        check_is_fitted(self, "members_")
        return Members(self.members_, self.anomaly_scores_, self.calibration_)

    def _adopt(self, members: Members) -> None:
        self.members_, self.anomaly_scores_ = members.nets, members.scores
        self.calibration_ = members.calibration

    def _scores(self, source: Source) -> np.ndarray:
        """Return - S, the mean over the members."""
        return -comparable(self._members.score_each(source).mean(axis=0))

    @property
    def alpha_(self) -> float:
        """The level that ``predict`` reads: ``alpha``; for "auto" 0.05, or 1 / (n_samples + 1), the
        smallest p-value there can be, where that is larger."""
        check_is_fitted(self, "members_")
        if self.alpha == "auto":
            return reachable_level(DEFAULT_ALPHA, len(self.calibration_))
        return float(self.alpha)

    def find_anomalies(
        self,
        X: Any,
        *,
        alpha: float | None = None,
        contamination: float | None = None,
        X_calibration: Any = None,
    ) -> FlaggedRows:
        """Return S, p-values and which rows are flagged, from one pass over the rows.

        ``alpha`` flags the rows with p <= alpha, ``contamination`` that share of X by the largest
        S (ties at the limit are not flagged). With neither, the detector's own rule holds, that of
        ``predict``: its ``contamination``, a share of the rows of ``fit``, or ``alpha_``.
        ``X_calibration`` as for ``p_values``.

        Raises
        ------
        UsageError (a ValueError)
            If both numbers are given, or one is out of range.
        """
        check_rule(alpha, contamination)
        source = self._validated_query(X)[1]
        of_members = self._members.score_each(source)
        scores = comparable(of_members.mean(axis=0))
        calibration = self.calibration_
        if X_calibration is not None:
            calibration = self._calibration_by(X_calibration, source)
        own = alpha is None and contamination is None
        found = flag_rows(
            scores,
            calibration,
            alpha=self.alpha_ if own and self.contamination is None else alpha,
            contamination=self.contamination if own else contamination,
            training_rows=self._members.contain(source, of_members),
        )
        if own and self.contamination is not None:
            rule = f"S above all but {100 * self.contamination:.3g}% of the training rows"
            return replace(found, flagged=scores > -self.offset_, rule=f"{rule} (contamination)")
        return found

    def _validated_query(self, X: Any, argument: str = "X") -> tuple[Model, Source]:
        """Return the first member's model, for its schema, and rows validated for the detector."""
        check_is_fitted(self, "members_")
        return self.members_[0].model_, query_source(self, X, argument)

    def _calibration_by(self, X_calibration: Any, source: Source) -> np.ndarray:
        """Return the S of normal rows that fit was not given, ascending, (n_samples,)."""
        rows = self._validated_query(X_calibration, "X_calibration")[1]
        each = self._members.score_each(rows)
        warn_of_calibration(rows, source, fitted=self._members.contain(rows, each))
        return np.sort(comparable(each.mean(axis=0)))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return - S of every row, in nats up to a constant, (n_samples,), float64."""
        return self._scores(self._validated_query(X)[1])

    def decision_function(self, X: Any) -> np.ndarray:
        """Return ``score_samples(X) - offset_``: negative for anomalies."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return -1 for anomalies, 1 for other rows, (n_samples,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any, X_calibration: Any = None) -> np.ndarray:
        """Return how often a normal row is as surprising as each row, float64 in (0, 1].

        p = (1 + #{calibration >= S}) / (n + 1), about uniform for rows like those of ``fit``:
        those are scored by one net each and new rows by the mean of all, which is a little less
        extreme. ``X_calibration``, normal rows that ``fit`` was not given, makes it exact.

        Warns
        -----
        CopiesWarning
            If ``X_calibration`` are the rows of ``fit``, or X.
        """
        source = self._validated_query(X)[1]
        scores = -self._scores(source)
        if X_calibration is None:
            return conformal_p_values(scores, self.calibration_)
        return conformal_p_values(scores, self._calibration_by(X_calibration, source))

    def anomaly_contributions(self, X: Any) -> np.ndarray:
        """Return which share each feature has in a row's S, (n_samples, n_features), float32.

        By how much S would fall if the feature stood at its mean, as a share of the sum of these;
        rows add up to 1. Cost: n_features times that of ``score_samples``.
        """
        return self._members.contributions(self._validated_query(X)[1])

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return g(f(x)), the mean over the members, (n_samples, n_features), in input units."""
        return self._members.reconstruct(self._validated_query(X)[1])
