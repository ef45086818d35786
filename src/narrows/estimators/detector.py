"""The anomaly detector: autoencoders that score the rows that they did not see."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.validation import check_is_fitted
from torch import Generator

from narrows.applications.anomalies import conformal_p_values, sharing
from narrows.applications.surprise import (
    Surprise,
    concentrated,
    fit_surprise,
    occlusions,
    surprises,
)
from narrows.artefact import write_artefact
from narrows.checks import check_number
from narrows.data.source import Source
from narrows.data.statistics import describe
from narrows.errors import CopyingWarning, UsageError
from narrows.estimators._arguments import json_parameters
from narrows.estimators._base import AbstractAutoencoder
from narrows.estimators._detector_files import detector_artefact
from narrows.estimators._input import fit_source, query_source
from narrows.estimators._parameters import documented
from narrows.estimators._settings import forget, keep, seed_from
from narrows.estimators.autoencoder import Autoencoder
from narrows.model import Model

__all__ = ["AnomalyDetector"]

_BATCH, _STEPS = 128, 500
_WIDEST = 32


@documented
class AnomalyDetector(OutlierMixin, BaseEstimator):
    """Find the rows of a table that are not like the others, with p-values.

    S(x) = sum_j (x_j - r_j)^2 / (2 v_j) - log p(f(x)) says how surprising a row is: by what the net
    does not rebuild, and by where its code stands among the codes of the training. Everything is
    fitted twice, the second time without the rows that surprised most at first, which are the
    likeliest anomalies. There is a net for every fold of the rows, fitted to the other folds: a
    new row's S is their mean, and the rows' own, each by the net that did not see it, are what
    its p-value is counted among.

    Parameters
    ----------
    autoencoder : autoencoder or None, default=None
        What is fitted to every fold, as ``clone`` leaves it; its ``random_state`` is set. None is
        an ``Autoencoder`` of one hidden layer whose code is as wide as the rows, up to 32: p says
        of a code what a narrow one would have to leave to the error.
    n_folds : int, default=5
        How many nets, from 2; no more than there are rows.
    trim : float, default=0.1
        Share of the rows that the second fit leaves out, in [0, 0.5]; 0 fits once.
    alpha : float, default=0.05
        ``predict`` calls rows with p <= alpha anomalies: of normal ones about this share. With
        fewer than 1 / alpha - 1 rows none is so rare.
    contamination : float or None, default=None
        Where it is given, in (0, 0.5], rows are anomalies that surprise more than all but this
        share of the training, whatever alpha is.
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    members_ : list of fitted autoencoders
        One a fold.
    calibration_ : ndarray of shape (n_samples,)
        S of the rows of ``fit``, each by the net that did not see it, in ascending order.
    offset_ : float
        ``score_samples`` below it is an anomaly.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X had column names.

    Raises
    ------
    ValueError
        At ``fit``, by the argument that owns the value; rows that stream from a file.

    References
    ----------
    Hennhofer, Preisach (2024), "Leave-one-out-, bootstrap- and cross-conformal anomaly detectors",
    ICKG.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from narrows import AnomalyDetector
    >>> X = load_wine().data
    >>> detector = AnomalyDetector(n_folds=2, random_state=0).fit(X)
    >>> odd = X[:1].copy()
    >>> odd[0, 3] = 300  # alkalinity of ash: from 10 to 30 in the others
    >>> detector.predict(odd).tolist(), int(detector.anomaly_shares(odd).argmax())
    ([-1], 3)
    """

    autoencoder: Any
    n_folds: int
    trim: float
    alpha: float
    contamination: float | None
    device: str
    random_state: Any
    verbose: int

    members_: list[AbstractAutoencoder]
    surprises_: list[Surprise]
    calibration_: np.ndarray
    offset_: float
    n_features_in_: int
    feature_names_in_: np.ndarray
    loss_unit_ = "nats, up to a constant"

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        n_folds: int = 5,
        trim: float = 0.1,
        alpha: float = 0.05,
        contamination: float | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit a net to every fold of X, and score each row by the one that did not see it.

        Parameters
        ----------
        X : array-like, CSR matrix, dataframe, tensor or Source of shape (n_samples, n_features)
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        InvalidData (a ValueError)
            Rows that cannot be, by row and column; fewer than 4.
        UsageError (a ValueError)
            A constructor argument that cannot be.
        """
        self._check_parameters()
        forget(self)
        source: Any = fit_source(self, X, min_samples=4)
        if not source.holds_targets:
            raise UsageError(f"X: {source.origin} is streamed; folds need rows in memory.")
        made = self._autoencoder(source.n_features, source.n_rows)
        describe(source, missing=made._admits_missing())  # a bad value is named by its own row
        seed, n = seed_from(self.random_state), source.n_rows
        n_folds = min(int(self.n_folds), n // 2)
        fold = torch.randperm(n, generator=Generator().manual_seed(seed)) % n_folds
        self.members_, self.surprises_, held_out = [], [], []
        for i in range(n_folds):
            rows, others = (fold == i).nonzero()[:, 0], (fold != i).nonzero()[:, 0]
            member, surprise = self._member(made, source.subset(others), seed + i)
            self.members_.append(member)
            self.surprises_.append(surprise)
            held_out.extend(surprises(member.model_, surprise, source.subset(rows)))
        self.calibration_ = np.sort(_numbers(np.concatenate(held_out)))
        self.offset_ = self._offset(source)
        return self

    def _autoencoder(self, n_features: int, n_rows: int) -> AbstractAutoencoder:
        """Return the autoencoder to clone for every fold."""
        if self.autoencoder is None:
            return Autoencoder(
                min(_WIDEST, n_features),
                hidden=(64,),
                scale="standard",
                max_epochs=int(np.clip(_STEPS * _BATCH // n_rows, 10, _STEPS)),
                batch_size=_BATCH,
                validation_fraction=0.0,
                patience=None,
                device=self.device,
            )
        if not isinstance(self.autoencoder, AbstractAutoencoder):
            raise UsageError(
                f"autoencoder: must be an autoencoder or None, got {self.autoencoder!r}."
            )
        return self.autoencoder

    def _member(
        self, made: AbstractAutoencoder, source: Any, seed: int
    ) -> tuple[AbstractAutoencoder, Surprise]:
        """Fit an autoencoder and its S, both again without the rows that S finds odd."""
        fresh: Any = clone(made)
        fresh.set_params(random_state=seed % 2**31)
        with warnings.catch_warnings():
            if self.autoencoder is None:  # that the code is wide is no accident
                warnings.simplefilter("ignore", CopyingWarning)
            fresh.fit(source)
            if self.trim:
                kept = concentrated(fresh.model_, source, trim=float(self.trim), seed=seed)
                source = source.subset(kept)
                fresh.fit(source)
        return fresh, fit_surprise(fresh.model_, source, seed=seed)

    def _offset(self, source: Any) -> float:
        if self.contamination is not None:
            return float(np.percentile(self._scores(source), 100 * self.contamination))
        n = len(self.calibration_) + 1
        most = int((np.arange(1, n + 1) / n <= self.alpha).sum()) - 1  # as p is rounded
        return -np.inf if most < 0 else -float(self.calibration_[-1 - most])

    def _scores(self, source: Any) -> np.ndarray:
        """Return - S, the mean over the members."""
        total = np.zeros(source.n_rows)
        for member, surprise in zip(self.members_, self.surprises_, strict=True):
            total += np.concatenate(list(surprises(member.model_, surprise, source)))
        return -_numbers(total / len(self.members_))

    def _asked(self, X: Any) -> tuple[Model, Source]:
        """Return the first member's model, for its schema, and the rows asked about."""
        check_is_fitted(self, "members_")
        return self.members_[0].model_, query_source(self, X)

    def score_samples(self, X: Any) -> np.ndarray:
        """Return - S of every row, in nats up to a constant, (n_samples,), float64."""
        return self._scores(self._asked(X)[1])

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
        """
        scores = -self.score_samples(X)
        if X_calibration is None:
            return conformal_p_values(scores, self.calibration_)
        return conformal_p_values(scores, np.sort(-self.score_samples(X_calibration)))

    def anomaly_shares(self, X: Any) -> np.ndarray:
        """Return which share each feature has in a row's S, (n_samples, n_features), float32.

        By how much S would fall if the feature stood at its mean, as a share of the sum of these;
        rows add up to 1. Cost: n_features times that of ``score_samples``.
        """
        source = self._asked(X)[1]
        drops = 0.0
        for member, surprise in zip(self.members_, self.surprises_, strict=True):
            drops = drops + np.concatenate(list(occlusions(member.model_, surprise, source)))
        return sharing(np.asarray(drops))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return g(f(x)), the mean over the members, (n_samples, n_features), in input units."""
        source = self._asked(X)[1]
        return np.mean([member.reconstruct(source) for member in self.members_], axis=0)

    def save(self, path: str | Path) -> None:
        """Write the model file: every member with its S. ``narrows.load`` reads it.

        Raises
        ------
        ResourceError
            If it cannot be written; a file that stood there is untouched.
        """
        check_is_fitted(self, "members_")
        write_artefact(path, detector_artefact(self))

    def _check_parameters(self) -> None:
        own = {k: v for k, v in self.get_params(deep=False).items() if k != "autoencoder"}
        json_parameters(own)  # what no file can hold is said now
        check_number("n_folds", self.n_folds, low=2, high=100, integer=True)
        check_number("trim", self.trim, low=0, high=0.5)
        check_number("alpha", self.alpha, low=0, high=1, low_open=True, high_open=True)
        if self.contamination is not None:
            check_number("contamination", self.contamination, low=0, high=0.5, low_open=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _numbers(values: np.ndarray) -> np.ndarray:
    """Return values that can be compared: what overflowed surprises most."""
    return np.nan_to_num(values, nan=_MOST, posinf=_MOST, neginf=-_MOST)


_MOST = float(np.finfo(np.float64).max)
