"""What a fitted autoencoder says of anomalies: p-values, and the share of every feature."""

from __future__ import annotations

from typing import Any

import numpy as np

from narrows.applications import anomalies, coding
from narrows.data.source import Source
from narrows.errors import InvalidData, UsageError
from narrows.estimators._asked import Asked

__all__ = ["Anomalies"]


class Anomalies(Asked):
    """How surprising the error of a row is, and which features it comes from."""

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
        """
        model, source = self._asked(X)
        if X_calibration is not None:
            held_out = anomalies.sorted_errors(*self._asked(X_calibration)).numpy()
            if not np.isfinite(held_out).all():
                raise InvalidData("X_calibration: a row has an error that is not finite.")
        elif model.calibration is None:
            raise UsageError(
                "p_values: the model holds no errors of rows that training did not see "
                "(validation_fraction=0, too few rows, partial_fit, or a file from before they "
                "were kept); pass X_calibration (--calibrate), normal rows that fit was not given."
            )
        else:
            held_out = model.calibration.cpu().numpy()
        errors = np.concatenate(list(coding.errors(model, source)))
        return anomalies.conformal_p_values(errors, held_out)

    def _was_fitted_to(self, source: Source, errors: np.ndarray) -> bool:
        """Return whether these are the rows of ``fit``, by their number and those held out."""
        record, calibration = self.model_.record, self.model_.calibration
        n_rows = (record.get("n_rows") or 0) + (record.get("n_validation_rows") or 0)
        if calibration is None or n_rows != source.n_rows:
            return False
        return anomalies.hold_calibration(errors, calibration.cpu().numpy())

    def anomaly_shares(self, X: Any) -> np.ndarray:
        """Return which share each feature has in its row's error, (n_samples, n_features), float32.

        Rows add up to 1. For losses in nats it is the excess over a perfect reconstruction that is
        shared out, so that a feature rebuilt as it is has none.
        """
        return np.concatenate(list(anomalies.shares(*self._asked(X))))
