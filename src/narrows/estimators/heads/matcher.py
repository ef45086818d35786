"""The matcher on a code: are these two the same thing?"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from narrows.applications.heads.matching import PairOdds, area_under_curve, drawn_pairs
from narrows.applications.heads.pair_metric import of_length_1
from narrows.core.checks import check_number
from narrows.data.array_sources import stacked
from narrows.data.source import Source
from narrows.data.splitting import Selection
from narrows.data.statistics import describe
from narrows.errors import InvalidData, UsageError
from narrows.estimators.autoencoders.plan import admits_missing
from narrows.estimators.given_autoencoder import given_autoencoder
from narrows.estimators.heads.base import CodeHead, GivenTargets
from narrows.estimators.heads.fit import (
    check_in_memory,
    fit_rows,
    fit_to,
    fitted_autoencoder,
    opened,
)
from narrows.estimators.held_out import HeldOut
from narrows.estimators.inputs import fit_source, query_source
from narrows.estimators.parameters import forget, keep
from narrows.estimators.shared_texts import documented
from narrows.estimators.targets import read_classes, read_same
from narrows.estimators.texts import is_texts
from narrows.fitting.matcher import MatcherSettings, fit_matcher
from narrows.training.stages import Stages

__all__ = ["CodeMatcher"]

_SCORED = 20_000
"""Pairs that ``score`` draws."""

_UNREAD = ("dropout", "learning_rate", "weight_decay", "validation_fraction", "patience")
"""What a frozen code does not read: the map has a closed form, and no row is held out."""


@documented
class CodeMatcher(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CodeHead):
    """Say how probably two rows are the same thing, from their codes.

    ``fit`` draws pairs from classes, ``fit_pairs`` takes pairs as they are. Things may be matched
    that were never seen: what is learned is how far codes of one thing lie apart. Rows become
    vectors of length 1 by a linear map of their features, and p falls with the square of their
    distance: p(x, x') = p(x', x), and nothing matches x better than x. Give ``fit`` the rows
    without a label too, y = -1: they place the origin, from which directions are compared.

    The map has a closed form, from the covariance within things. Where the encoder trains too, both
    learn from all pairs of a batch, and the map is then solved for once more; where it is frozen,
    what only a training reads (``corruption``, ``dropout``, ``learning_rate``, ``weight_decay``,
    ``validation_fraction``, ``patience``) is refused. Training the encoder tells the things
    of y apart better; for things never seen a frozen, narrow code is as good.

    Parameters
    ----------
    autoencoder : ...
    layer : ...
    training : ...
    n_components : int or None, default=None
        How many numbers ``transform`` makes of a row, those that tell most; None: as many as the
        layer has.
    corruption : ...
    dropout : float, default=0.0
        Share of the features, and of each of the encoder's layers' units, that are 0 in a step,
        where the encoder trains; in [0, 1).
    reconstruction_weight : ...
    missing_label : object, default=-1
        The value of y where the class is not known; None: every y is a class.
    calibration_folds : int or None, default=None
        p is calibrated on classes held out, two or more in a fold; on rows held out where there
        are fewer than four classes, and in ``fit_pairs`` on pairs held out. Where the encoder
        trains, each fold is a training of its own. None takes 5 for a frozen code, else 2.
    max_epochs : int or None, default=None
        Where the encoder trains, passes over the rows at most; None takes 50, and where rows are
        few as many as make about 1,000 steps, 500 at most.
    batch_size : ...
    learning_rate : float or None, default=None
        The highest rate of Adam, where the encoder trains; None takes 0.0001.
    weight_decay : ...
    validation_fraction : ...
    patience : ...
    precision : ...
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    intercept_, slope_ : float
        p(same) = sigma(intercept_ - slope_ * squared distance). After ``fit`` it is the
        probability where half of the pairs are the same thing, after ``fit_pairs`` where as many
        are as of the pairs given.
    calibrated_on_ : {"classes", "rows", "pairs", "training"}
        What was held out; "training" where there was too little to hold any out.
    auc_, calibration_error_ : float or None
        Area under the ROC curve, and expected calibration error in 15 bins, of the pairs of a
        fold by odds fitted to the other folds, mean over folds; None if nothing was held out.
    autoencoder_ : AbstractAutoencoder
        The fitted autoencoder, trained on where ``training`` says so.
    layer_ : int
        The layer that is read, counted from 0.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in nats; empty where the encoder is frozen.
    validation_history_ : list of float
        Mean held-out error of pairs per epoch, in nats.
    n_epochs_, n_features_in_ : int
    max_epochs_ : int
        What ``max_epochs`` came to; 0 where the encoder is frozen.

    Raises
    ------
    ValueError
        At ``fit``, by the argument that owns the value.

    References
    ----------
    Hatch, Kajarekar, Stolcke (2006), "Within-class covariance normalization for SVM-based speaker
    recognition", Interspeech. Chopra, Hadsell, LeCun (2005), "Learning a similarity metric
    discriminatively", CVPR.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from narrows import Autoencoder, CodeMatcher
    >>> X, y = load_digits(return_X_y=True)
    >>> ae = Autoencoder(16, hidden=(64,), scale="unit", max_epochs=20, random_state=0).fit(X)
    >>> matcher = CodeMatcher(ae, random_state=0).fit(X[y < 7], y[y < 7])
    >>> matcher.match_proba(X[:1], X[:1]) > 0.9
    array([ True])
    >>> matcher.score(X[y >= 7], y[y >= 7]) > 0.8  # digits never seen
    True
    """

    n_components: int | None
    missing_label: Any
    calibration_folds: int | None

    # Attributes set by fit.
    intercept_: float
    slope_: float
    calibrated_on_: str
    auc_: float | None
    calibration_error_: float | None

    _answer = "vector"

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        layer: int = -1,
        training: str = "frozen",
        n_components: int | None = None,
        corruption: Any = "identity",
        dropout: float = 0.0,
        reconstruction_weight: float = 0.1,
        missing_label: Any = -1,
        calibration_folds: int | None = None,
        max_epochs: int | None = None,
        batch_size: int | str = "auto",
        learning_rate: float | None = None,
        weight_decay: float = 0.0,
        validation_fraction: float = 0.0,
        patience: int | None = None,
        precision: str = "auto",
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Fit to pairs drawn from classes y.

        Parameters
        ----------
        X : ...
        y : array-like of shape (n_samples,)
            Classes, of two kinds or more; ``missing_label`` where unknown.
        checkpoint : ...
        resume : ...
        stop_requested : ...

        Raises
        ------
        InvalidData (a ValueError)
            Rows or classes that cannot be, or no two rows of one class.
        UsageError (a ValueError)
            A constructor argument that cannot be.
        """
        fit_rows(
            self,
            X,
            y,
            held_out=HeldOut(),
            stages=lambda: opened(self, checkpoint, resume, stop_requested),
            learn=lambda head, *given: self._learn(*given, paired=False),
        )
        return self

    def fit_pairs(
        self,
        A: Any,
        B: Any,
        same: Any,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Fit to pairs: row i of A and row i of B, and whether they are the same thing.

        Parameters
        ----------
        A, B : array-like, CSR matrix, dataframe or Source of shape (n_pairs, n_features)
        same : array-like of shape (n_pairs,), of bool or 0 and 1
        checkpoint : ...
        resume : ...
        stop_requested : ...

        Raises
        ------
        InvalidData (a ValueError)
            Rows that cannot be, A and B of different lengths, or pairs of one kind only.
        """
        self._check_parameters()
        forget(self)
        with opened(self, checkpoint, resume, stop_requested) as stages:
            autoencoder = None
            if is_texts(A):
                autoencoder = fitted_autoencoder(self, [*A, *B], None, None, stages)
                A = autoencoder._validated_query(A, "A")[1]
                B = autoencoder._validated_query(B, "B")[1]
            first = fit_source(self, A, argument="A")
            second = query_source(self, B, "B")
            known = autoencoder or given_autoencoder(self.autoencoder, self._default_autoencoder)
            for source in (first, second):
                check_in_memory(source)
                describe(source, missing=admits_missing(known))  # while rows have their numbers
            if first.n_rows != second.n_rows:
                raise InvalidData(
                    f"B: {second.n_rows} rows for {first.n_rows} rows of A; pairs match."
                )
            answers = read_same(same, first.n_rows)
            both = stacked(first, second)
            autoencoder = autoencoder or fitted_autoencoder(self, both, None, None, stages)
            fit_to(
                self,
                both,
                answers.repeat(2),
                autoencoder,
                stages,
                learn=lambda head, *given: self._learn(*given, paired=True),
            )
        return self

    def _learn(
        self, source: Source, stages: Stages, selection: Selection | None, *, paired: bool
    ) -> None:
        """Train on rows with their y, and set the attributes that this leaves."""
        own = MatcherSettings(
            None if self.n_components is None else int(self.n_components),
            self.calibration_folds,
            paired,
        )
        model, settings = self.autoencoder_.model_, self._settings()
        done = fit_matcher(model, source, settings, own, stages, selection)
        if settings.frozen:  # every row is learned from
            self.head_, self.layer_ = done.fitted.head, done.fitted.layer
            self._adopt_record(done.fitted.record, 0)
        else:
            self._adopt(done.fitted)
        self.calibrated_on_ = done.calibrated_on
        odds, self.auc_, self.calibration_error_ = done.calibration
        self.intercept_, self.slope_ = odds.intercept, odds.slope

    def transform(self, X: Any) -> np.ndarray:
        """Return a vector of length 1 for every row, (n_samples, n_components), float32.

        Rows are the same thing the more probably the nearer theirs are: an ``Index`` of them
        finds by cosine what matches.
        """
        return of_length_1(self._outputs(X)).astype(np.float32)

    def match_distance(self, A: Any, B: Any) -> np.ndarray:
        """Return the squared distance, 0 to 4, of row i of A and row i of B, (n_pairs,)."""
        first, second = (self.transform(rows).astype(np.float64) for rows in (A, B))
        if len(first) != len(second):
            raise InvalidData(f"B: {len(second)} rows for {len(first)} rows of A; pairs match.")
        return np.square(first - second).sum(axis=1)

    def match_proba(self, A: Any, B: Any) -> np.ndarray:
        """Return how probably row i of A and row i of B are the same thing, (n_pairs,)."""
        squared = self.match_distance(A, B)
        return PairOdds(self.intercept_, self.slope_).probability(squared)

    def match(self, A: Any, B: Any) -> np.ndarray:
        """Return whether row i of A and row i of B are rather the same thing, (n_pairs,)."""
        return self.match_proba(A, B) >= 0.5

    def score(self, X: Any, y: Any) -> float:
        """Return the area under the ROC curve of 20,000 pairs drawn from classes y of rows X.

        Half of them are the same thing. The classes may be others than those of ``fit``.
        """
        embedded = self.transform(X).astype(np.float64)
        positions, _ = read_classes(y, len(embedded), unknown=self.missing_label)
        pairs = drawn_pairs(positions.numpy(), _SCORED, generator=np.random.default_rng(0))
        if not len(pairs):
            raise InvalidData("y: no two rows are of one class.")
        return area_under_curve(-pairs.squared_distances(embedded), pairs.same)

    def _odds(self) -> dict[str, float]:
        return {"intercept": self.intercept_, "slope": self.slope_}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if np.ndim(self.missing_label):
            raise UsageError(f"missing_label: must be one value, got {self.missing_label!r}.")
        if self.n_components is not None:
            check_number("n_components", self.n_components, low=1, integer=True)
        if self.calibration_folds is not None:
            check_number("calibration_folds", self.calibration_folds, low=2, integer=True)
        if self.training == "frozen":
            for name in _UNREAD:
                self._check_no_effect(name)

    def _read_y(self, given: GivenTargets) -> Tensor:
        with warnings.catch_warnings():
            # of faces, say, there are few of each and many
            warnings.filterwarnings("ignore", "The number of unique classes is greater")
            unknown = self.missing_label
            targets, _ = read_classes(given.y, given.n_rows, unknown=unknown)
        if not len(drawn_pairs(targets.numpy(), 2, generator=np.random.default_rng(0))):
            raise InvalidData(
                "y: no two rows are of one class, so that nothing is known of how far one thing "
                "varies; label more rows."
            )
        return targets

    @property
    def _n_features_out(self) -> int:
        check_is_fitted(self, "head_")
        return self.head_.net.weights[-1].shape[1]

    def _target_spec(self) -> dict[str, Any]:
        return {
            "intercept": self.intercept_,
            "slope": self.slope_,
            "calibrated_on": self.calibrated_on_,
            "auc": self.auc_,
            "calibration_error": self.calibration_error_,
        }

    def _restore_targets(self, spec: dict[str, Any], n_outputs: int) -> None:
        self.intercept_, self.slope_ = float(spec["intercept"]), float(spec["slope"])
        if not (math.isfinite(self.intercept_) and 0 < self.slope_ < math.inf):
            raise ValueError(f"odds of intercept {self.intercept_} and slope {self.slope_}")
        self.calibrated_on_ = spec["calibrated_on"]
        if self.calibrated_on_ not in ("classes", "rows", "pairs", "training"):
            raise ValueError(f"calibrated on {self.calibrated_on_!r}")
        self.auc_, self.calibration_error_ = (
            None if spec[name] is None else float(spec[name])
            for name in ("auc", "calibration_error")
        )
        for share in (self.auc_, self.calibration_error_):
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"a share of {share}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
