"""What a fitted autoencoder says of anomalies: p-values, and the share of every feature."""

from __future__ import annotations

from typing import Any

import numpy as np

from narrows.applications.anomalies.contributions import contributions
from narrows.applications.anomalies.flagging import FlaggedRows, check_rule, flag_rows
from narrows.applications.anomalies.p_values import conformal_p_values
from narrows.applications.coding.training_rows import warn_of_calibration, was_fitted_to
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError
from narrows.estimators.autoencoders.asked import Asked
from narrows.model import coding
from narrows.model.calibration import sorted_errors
from narrows.model.model import Model

__all__ = ["Anomalies"]


class Anomalies(Asked):
    """How surprising the error of a row is, and which features it comes from."""

    def find_anomalies(
        self,
        X: Any,
        *,
        alpha: float | None = None,
        contamination: float | None = None,
        X_calibration: Any = None,
    ) -> FlaggedRows:
        """Return errors, p-values and which rows are flagged, from one pass over the rows.

        Parameters
        ----------
        X : rows of shape (n_samples, n_features)
        alpha : float, optional
            Flag the rows with p <= alpha: of normal rows at most this share.
        contamination : float, optional
            Flag this share of X, in (0, 0.5], by the largest errors. Rows that tie with the
            largest error that is not flagged are not flagged either.
        X_calibration : rows, optional
            As for ``p_values``.

        Returns
        -------
        FlaggedRows
            With ``errors``, ``p_values`` (None if no rows were held out), ``flagged``, and
            ``rule``, the rule in words. With neither number the rule is p <= 0.01, or p <=
            1 / (m + 1) where m held-out rows allow none as small; with fewer than 9 of them, or
            none, the tenth of X with the largest errors.

        Raises
        ------
        UsageError (a ValueError)
            If both numbers are given, or one is out of range; ``alpha`` without held-out rows.
        InvalidData (a ValueError)
            If an error of the calibration is not finite.
        """
        check_rule(alpha, contamination)
        model, source = self._validated_query(X)
        calibration = self._calibration_errors(model, X_calibration, source)
        errors = np.concatenate(list(coding.errors(model, source)))
        return flag_rows(
            errors,
            calibration,
            alpha=alpha,
            contamination=contamination,
            training_rows=was_fitted_to(model, source, errors),
        )

    def p_values(self, X: Any, X_calibration: Any = None) -> np.ndarray:
        """Return how often a normal row has an error as large as each row's, float64 in (0, 1].

        p = (1 + #{held-out errors >= error}) / (n + 1): of rows like those held out at most a
        share a has p <= a, whatever the net. With n held out none is below 1 / (n + 1).

        Parameters
        ----------
        X : rows of shape (n_samples, n_features)
        X_calibration : rows, optional
            Normal rows that training did not see. Without them the rows that ``fit`` held out,
            ``validation_fraction`` of its own, stand for them; the model file keeps their errors.
            Training stopped where it did best on those, which flatters the net a little.

        Raises
        ------
        UsageError (a ValueError)
            If ``fit`` held no rows out, and none are given.
        InvalidData (a ValueError)
            If an error of the calibration is not finite.

        Warns
        -----
        CopiesWarning
            If ``X_calibration`` are the rows of ``fit``, as far as the model knows them, or X.
        """
        model, source = self._validated_query(X)
        held_out = self._calibration_errors(model, X_calibration, source)
        if held_out is None:
            raise UsageError(
                "p_values: the model holds no errors of rows that training did not see "
                "(validation_fraction=0, too few rows, partial_fit, a checkpoint, or a file from "
                "before they were kept); pass X_calibration (--calibrate), normal rows that fit "
                "was not given."
            )
        errors = np.concatenate(list(coding.errors(model, source)))
        return conformal_p_values(errors, held_out)

    def _calibration_errors(
        self, model: Model, X_calibration: Any, source: Source
    ) -> np.ndarray | None:
        """Return the sorted errors of given rows, or those that ``fit`` kept; None if there are
        none. ``source`` are the rows that are asked about."""
        if X_calibration is None:
            return None if model.calibration is None else model.calibration.cpu().numpy()
        rows = self._validated_query(X_calibration, "X_calibration")[1]
        held_out = sorted_errors(model, rows).numpy()
        if not np.isfinite(held_out).all():
            raise InvalidData("X_calibration: a row has an error that is not finite.")
        warn_of_calibration(rows, source, fitted=was_fitted_to(model, rows, held_out))
        return held_out

    def anomaly_contributions(self, X: Any) -> np.ndarray:
        """Return which share each feature has in its row's error, (n_samples, n_features), float32.

        Rows add up to 1. For losses in nats it is the excess over a perfect reconstruction that is
        shared out, so that a feature rebuilt as it is has none.
        """
        return np.concatenate(list(contributions(*self._validated_query(X))))
