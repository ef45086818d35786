"""What a fitted anomaly detector answers: scores, verdicts, p-values, shares."""

from __future__ import annotations

from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import OutlierMixin
from sklearn.utils.validation import check_is_fitted

from narrows.applications.anomalies.anomaly_score import AnomalyScore, anomaly_scores, occlusions
from narrows.applications.anomalies.contributions import as_contributions
from narrows.applications.anomalies.flagging import (
    FlaggedRows,
    check_rule,
    flag_rows,
    reachable_level,
)
from narrows.applications.anomalies.p_values import conformal_p_values
from narrows.applications.coding.training_rows import contains_calibration, warn_of_calibration
from narrows.data.source import Source
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.inputs import query_source
from narrows.estimators.parameters import WithDefaults
from narrows.model.model import Model

__all__ = ["DEFAULT_ALPHA", "DetectorQueries", "comparable"]

DEFAULT_ALPHA = 0.05
"""The level of a detector whose alpha is "auto"."""


class DetectorQueries(OutlierMixin, WithDefaults):
    """The questions, each put to all members together."""

    alpha: float | str
    contamination: float | None
    members_: list[AbstractAutoencoder]
    anomaly_scores_: list[AnomalyScore]
    calibration_: np.ndarray
    offset_: float

    def _scores(self, source: Any) -> np.ndarray:
        """Return - S, the mean over the members."""
        return -comparable(self._member_scores(source).mean(axis=0))

    def _member_scores(self, source: Any) -> np.ndarray:
        """Return S of every row by every member, (n_members, n_samples), float64."""
        return np.stack(
            [
                np.concatenate(list(anomaly_scores(member.model_, score, source)))
                for member, score in zip(self.members_, self.anomaly_scores_, strict=True)
            ]
        )

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
        of_members = self._member_scores(source)
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
            training_rows=self._was_fitted_to(source, of_members),
        )
        if own and self.contamination is not None:
            rule = f"S above all but {100 * self.contamination:.3g}% of the training rows"
            return replace(found, flagged=scores > -self.offset_, rule=f"{rule} (contamination)")
        return found

    def _validated_query(self, X: Any, argument: str = "X") -> tuple[Model, Source]:
        """Return the first member's model, for its schema, and the rows asked about."""
        check_is_fitted(self, "members_")
        return self.members_[0].model_, query_source(self, X, argument)

    def _calibration_by(self, X_calibration: Any, source: Source) -> np.ndarray:
        """Return the S of normal rows that fit was not given, ascending, (n_samples,)."""
        rows = self._validated_query(X_calibration, "X_calibration")[1]
        of_members = self._member_scores(rows)
        warn_of_calibration(rows, source, fitted=self._was_fitted_to(rows, of_members))
        return np.sort(comparable(of_members.mean(axis=0)))

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

    def _was_fitted_to(self, source: Any, of_members: np.ndarray) -> bool:
        """Return whether these are the rows of ``fit``, by their number and what each member says
        of those that it did not see: ``of_members`` (n_members, n_samples)."""
        if source.n_rows != len(self.calibration_):
            return False
        return contains_calibration(comparable(of_members.ravel()), self.calibration_)

    def anomaly_contributions(self, X: Any) -> np.ndarray:
        """Return which share each feature has in a row's S, (n_samples, n_features), float32.

        By how much S would fall if the feature stood at its mean, as a share of the sum of these;
        rows add up to 1. Cost: n_features times that of ``score_samples``.
        """
        source = self._validated_query(X)[1]
        drops = 0.0
        for member, score in zip(self.members_, self.anomaly_scores_, strict=True):
            drops = drops + np.concatenate(list(occlusions(member.model_, score, source)))
        return as_contributions(np.asarray(drops))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return g(f(x)), the mean over the members, (n_samples, n_features), in input units."""
        source = self._validated_query(X)[1]
        source = copy(source)
        source.units_checked = True  # by the first member's range: once is enough
        return np.mean([member.reconstruct(source) for member in self.members_], axis=0)


def comparable(values: np.ndarray) -> np.ndarray:
    """Return values that can be compared: what overflowed surprises most."""
    return np.nan_to_num(values, nan=_MOST, posinf=_MOST, neginf=-_MOST)


_MOST = float(np.finfo(np.float64).max)
