"""Score rows and flag anomalies with a fitted detector."""

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
from narrows.applications.anomalies.p_values import tail_p_values
from narrows.applications.anomalies.row_score import RowScore
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
from narrows.model.training_rows import warn_of_calibration

__all__ = ["FittedDetector"]

DEFAULT_ALPHA = 0.05
"""The level that alpha="auto" stands for."""


class FittedDetector(OutlierMixin, NarrowsEstimator):
    """Methods of a fitted detector on query rows, each an average over its members."""

    alpha: float | str
    contamination: float | None
    members_: list[AbstractAutoencoder]
    anomaly_scores_: list[AnomalyScore]
    calibration_: np.ndarray
    offset_: float
    _row_score: RowScore | None

    @property
    def _members(self) -> Members:
        check_is_fitted(self, "members_")
        return Members(self.members_, self.anomaly_scores_, self.calibration_, self._row_score)

    def _adopt(self, members: Members) -> None:
        self.members_, self.anomaly_scores_ = members.nets, members.scores
        self.calibration_, self._row_score = members.calibration, members.row_score

    def _scores(self, source: Source) -> np.ndarray:
        """Return minus S, the mean over the members, (n_samples,)."""
        return -comparable(self._members.score_each(source).mean(axis=0))

    @property
    def n_stored_rows(self) -> int:
        """Number of training rows that new rows are compared with; the model file holds them."""
        check_is_fitted(self, "members_")
        return 0 if self._row_score is None else len(self._row_score.rows)

    @property
    def alpha_(self) -> float:
        """The level that ``predict`` uses: ``alpha``; for "auto" 0.05, or the smallest possible
        p-value, 1 / (n_samples + 1), if it is larger."""
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
        """Return S, p-values and flags of rows, from one pass over the rows.

        ``alpha`` flags rows with p <= alpha; ``contamination`` flags this share of X with the
        largest S (ties at the limit are not flagged). By default the rule is that of ``predict``:
        the detector's own ``contamination``, a share of the training rows, or ``alpha_``.
        ``X_calibration`` is as in ``p_values``.

        Raises
        ------
        UsageError (a ValueError)
            If both ``alpha`` and ``contamination`` are given, or one is out of range.
        """
        check_rule(alpha, contamination)
        source = self._validated_query(X)[1]
        each = self._members.score_each(source)
        scores = comparable(each.mean(axis=0))
        calibration = self.calibration_
        if X_calibration is not None:
            calibration = self._calibration_by(X_calibration, source)
        own_rule = alpha is None and contamination is None
        flagged = flag_rows(
            scores,
            calibration,
            alpha=self.alpha_ if own_rule and self.contamination is None else alpha,
            contamination=self.contamination if own_rule else contamination,
            training_rows=self._members.contain(source, each),
            tail=True,
        )
        if own_rule and self.contamination is not None:
            rule = f"S above all but {100 * self.contamination:.3g}% of the training rows"
            return replace(flagged, flagged=scores > -self.offset_, rule=f"{rule} (contamination)")
        return flagged

    def _validated_query(self, X: Any, argument: str = "X") -> tuple[Model, Source]:
        """Validate query rows for the fitted detector, and return the first member's model and the
        rows."""
        check_is_fitted(self, "members_")
        return self.members_[0].model_, query_source(self, X, argument)

    def _calibration_by(self, X_calibration: Any, source: Source) -> np.ndarray:
        """Return the sorted S of ``X_calibration``, (n_samples,). ``source`` is the query."""
        rows = self._validated_query(X_calibration, "X_calibration")[1]
        each = self._members.score_each(rows)
        warn_of_calibration(rows, source, fitted=self._members.contain(rows, each))
        return np.sort(comparable(each.mean(axis=0)))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return minus S of every row, in nats up to a constant, (n_samples,), float64."""
        return self._scores(self._validated_query(X)[1])

    def decision_function(self, X: Any) -> np.ndarray:
        """Return ``score_samples(X) - offset_``: negative for anomalies."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> np.ndarray:
        """Return -1 for anomalies, 1 for other rows, (n_samples,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: Any, X_calibration: Any = None) -> np.ndarray:
        """Return each row's p-value: the probability that a normal row has as large an S,
        (n_samples,), float64 in (0, 1].

        p = (1 + #{calibration >= S}) / (n + 1) is approximately uniform for rows like the training
        rows: these are scored by one member each, and new rows by the mean of all members, which is
        slightly less extreme. It is exact with ``X_calibration``, normal rows that were not in X of
        ``fit``. Beyond the largest calibration score p falls below 1 / (n + 1) by an exponential
        tail, fitted to the largest scores.

        Warns
        -----
        CopiesWarning
            If ``X_calibration`` appears to be the rows of ``fit``, or X itself.
        """
        source = self._validated_query(X)[1]
        scores = -self._scores(source)
        if X_calibration is None:
            return tail_p_values(scores, self.calibration_)
        return tail_p_values(scores, self._calibration_by(X_calibration, source))

    def anomaly_contributions(self, X: Any) -> np.ndarray:
        """Return the share of each feature in a row's score, (n_samples, n_features), float32.

        It is the drop in the net's score when the feature is set to its mean, plus what the feature
        adds to the distances and tails, as a share of the sum over all features; each row sums to
        1. Costs n_features times as much as ``score_samples``.
        """
        return self._members.contributions(self._validated_query(X)[1])

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return g(f(x)), the mean over the members, (n_samples, n_features), in input units."""
        return self._members.reconstruct(self._validated_query(X)[1])
