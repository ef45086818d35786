"""Predict from their codes whether two rows are the same thing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from narrows.core.checks import check_number
from narrows.data.source import Source
from narrows.data.splitting import Selection
from narrows.errors import InvalidData, UsageError
from narrows.estimators.heads.base import CodeHead
from narrows.estimators.heads.fit import (
    check_paired,
    fit_head_to_pairs,
    fit_head_to_rows,
    open_head_stages,
)
from narrows.estimators.heads.kind import HeadKind, RawTargets
from narrows.estimators.held_out import HeldOut
from narrows.estimators.parameters import corruption_spec, keep
from narrows.estimators.shared_texts import documented
from narrows.estimators.targets import read_classes
from narrows.fitting.matcher import fit_matcher
from narrows.fitting.pair_calibration import PairModel, area_under_curve, drawn_pairs
from narrows.fitting.pair_metric import of_length_1
from narrows.training.stages import Stages

__all__ = ["CodeMatcher"]

_SCORED = 20_000
"""Number of pairs that ``score`` draws."""

_NO_EFFECT_IF_FROZEN = "dropout learning_rate weight_decay validation_fraction patience".split()
"""Without effect on a frozen code: the map is solved in closed form, and no rows are held out."""


@documented
class CodeMatcher(ClassNamePrefixFeaturesOutMixin, TransformerMixin, CodeHead):
    """Predict from their codes the probability that two rows are the same thing.

    ``fit`` draws pairs from classes, ``fit_pairs`` takes given pairs. The matcher learns how far
    apart codes of the same thing lie, so that it also matches things that were not in training. A
    linear map of the features turns rows into vectors of length 1, and p falls with their squared
    distance: p(x, x') = p(x', x), and no row matches x better than x itself. Also give ``fit`` the
    unlabeled rows, with y = -1: they determine the origin from which directions are compared.

    Fewer than four classes are taken for all there are: with a frozen encoder, rows are then as far
    apart as along the axes that tell these classes apart, as in linear discriminant analysis.

    The map has a closed form, from the covariance within things. If the encoder is trained too,
    both are trained on all pairs of a batch, and the map is solved again at the end; if it is
    frozen, arguments that only affect training, such as ``dropout``, are refused. Training the
    encoder separates the things of y better; for new things a frozen, narrow code is as good.

    Parameters
    ----------
    autoencoder : ...
    layer : ...
    training : ...
    features : {"auto", "code", "rows"}, default="auto"
        What the matcher reads. "auto" takes dense rows if ``fit`` gets fewer than four classes and
        the encoder is frozen, otherwise the code; ``features_`` says what it took.
    n_components : int or None, default=None
        Number of components that ``transform`` returns, the most discriminative ones; None takes
        the number of features, or that of the classes if they are fewer than four.
    corruption : ...
    dropout : float, default=0.0
        Fraction of the features, and of the units of each encoder layer, that are set to 0 in a
        training step if the encoder is trained; in [0, 1).
    reconstruction_weight : ...
    missing_label : object, default=-1
        Value of y that marks an unknown class; None if every value of y is a class.
    calibration_folds : int or None, default=None
        Number of folds for calibrating p on held-out classes, at least two per fold; on held-out
        rows if there are fewer than four classes; in ``fit_pairs`` on held-out pairs. If the
        encoder is trained, each fold trains its own. None takes 5 for a frozen code, otherwise 2.
    max_epochs : int or None, default=None
        Maximum number of passes over the rows if the encoder is trained. None takes 50, or on few
        rows as many as make about 1,000 steps, at most 500.
    batch_size : ...
    learning_rate : float or None, default=None
        Peak learning rate of Adam if the encoder is trained; None takes 0.0001.
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
        p(same) = sigma(intercept_ - slope_ * squared distance). After ``fit`` it assumes that half
        of all pairs are the same thing, after ``fit_pairs`` as many as of the given pairs.
    calibrated_on_ : {"classes", "rows", "pairs", "training"}
        What was held out for calibration; "training" if there was too little to hold out.
    auc_, calibration_error_ : float or None
        Area under the ROC curve and expected calibration error (15 bins) on the pairs of each fold,
        with odds fitted to the other folds, averaged over folds; None if nothing was held out.
    autoencoder_ : AbstractAutoencoder
        The fitted autoencoder, with the encoder trained further unless ``training`` is "frozen".
    layer_ : int
        Layer that the matcher reads, counted from 0.
    features_ : {"code", "rows"}
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in nats; empty if the encoder is frozen.
    validation_history_ : list of float
        Mean held-out loss of pairs per epoch, in nats.
    n_epochs_, n_features_in_ : int
    max_epochs_ : int
        The resolved ``max_epochs``; 0 if the encoder is frozen.

    Raises
    ------
    ValueError
        At ``fit``, naming the argument that is invalid.

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

    layer: int
    features: str
    n_components: int | None
    corruption: Any
    dropout: float
    missing_label: Any
    calibration_folds: int | None

    intercept_: float
    slope_: float
    calibrated_on_: str
    auc_: float | None
    calibration_error_: float | None

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        layer: int = -1,
        training: str = "frozen",
        features: str = "auto",
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

    @staticmethod
    def _kind() -> HeadKind:
        return HeadKind(
            check_parameters=_check_parameters,
            read_y=_read_y,
            train=partial(_train, paired=False),
            target_spec=_target_spec,
            restore_targets=_restore_odds,
            exported=_exported,
        )

    def fit(
        self,
        X: Any,
        y: Any,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Fit to pairs that are drawn from the classes y.

        Parameters
        ----------
        X : ...
        y : array-like of shape (n_samples,)
            At least two classes; ``missing_label`` where unknown.
        checkpoint : ...
        resume : ...
        stop_requested : ...

        Raises
        ------
        InvalidData (a ValueError)
            If rows or classes are invalid, or no two rows have the same class.
        UsageError (a ValueError)
            If a constructor argument is invalid.
        """
        fit_head_to_rows(
            self,
            X,
            y,
            held_out=HeldOut(),
            stages=open_head_stages(self, checkpoint, resume, stop_requested),
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
        """Fit to given pairs: row i of A, row i of B, and whether they are the same thing.

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
            If rows are invalid, A and B differ in length, or all pairs are of one kind.
        """
        fit_head_to_pairs(
            self,
            A,
            B,
            same,
            stages=open_head_stages(self, checkpoint, resume, stop_requested),
            train=partial(_train, paired=True),
        )
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return a vector of length 1 for every row, (n_samples, n_components), float32.

        Nearer vectors are more probably the same thing, so that an ``Index`` of them finds matches
        by cosine.
        """
        return of_length_1(self._outputs(X)).astype(np.float32)

    def match_distance(self, A: Any, B: Any) -> np.ndarray:
        """Return the squared distance of row i of A and row i of B, (n_pairs,), in [0, 4]."""
        first, second = (self.transform(rows).astype(np.float64) for rows in (A, B))
        check_paired(len(first), len(second))
        return np.square(first - second).sum(axis=1)

    def match_proba(self, A: Any, B: Any) -> np.ndarray:
        """Return the probability that row i of A and row i of B are the same thing, (n_pairs,)."""
        return PairModel(self.intercept_, self.slope_).probability(self.match_distance(A, B))

    def match(self, A: Any, B: Any) -> np.ndarray:
        """Return whether that probability is at least 0.5 for each pair, bool (n_pairs,)."""
        return self.match_proba(A, B) >= 0.5

    def score(self, X: Any, y: Any) -> float:
        """Return the area under the ROC curve of 20,000 pairs of rows X, drawn from classes y.

        Half of them are the same thing. The classes may differ from those of ``fit``.
        """
        embedded = self.transform(X).astype(np.float64)
        indices, _ = read_classes(y, len(embedded), unknown=self.missing_label)
        pairs = drawn_pairs(indices.numpy(), _SCORED, generator=np.random.default_rng(0))
        if not len(pairs):
            raise InvalidData("y: no two rows have the same class.")
        return area_under_curve(-pairs.squared_distances(embedded), pairs.same)

    @property
    def _n_features_out(self) -> int:
        check_is_fitted(self, "head_")
        return self.head_.net.weights[-1].shape[1]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _check_parameters(head: CodeMatcher) -> None:
    if head.features == "both":
        raise UsageError("features: a matcher reads the code or the rows, got 'both'.")
    if np.ndim(head.missing_label):
        raise UsageError(f"missing_label: must be one value, got {head.missing_label!r}.")
    if head.n_components is not None:
        check_number("n_components", head.n_components, low=1, integer=True)
    if head.calibration_folds is not None:
        check_number("calibration_folds", head.calibration_folds, low=2, integer=True)
    if head.training == "frozen":
        for name in _NO_EFFECT_IF_FROZEN:
            head._check_no_effect(name)


def _read_y(head: CodeMatcher, raw: RawTargets) -> Tensor:
    with warnings.catch_warnings():
        # many classes of few rows each are usual here, such as faces
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        targets, _ = read_classes(raw.y, raw.n_rows, unknown=head.missing_label)
    if not len(drawn_pairs(targets.numpy(), 2, generator=np.random.default_rng(0))):
        raise InvalidData(
            "y: no two rows have the same class, so that the variation within a class is "
            "unknown; label more rows."
        )
    return targets


def _train(
    head: CodeMatcher, source: Source, stages: Stages, selection: Selection | None, *, paired: bool
) -> None:
    """Train on rows with targets, and set the fitted attributes."""
    settings = head._settings()
    fitted, calibration = fit_matcher(
        head.autoencoder_.model_,
        source,
        settings,
        stages,
        selection,
        layer=head.layer,
        features=head.features,
        n_components=None if head.n_components is None else int(head.n_components),
        paired=paired,
        corruption=corruption_spec(head.corruption),
        dropout=float(head.dropout),
        calibration_folds=head.calibration_folds,
    )
    if settings.frozen:  # no rows are held out
        head.head_, head.layer_ = fitted.head, fitted.layer
        head._adopt_record(fitted.record, 0)
    else:
        head._adopt(fitted)
    head.calibrated_on_, odds, head.auc_, head.calibration_error_ = calibration
    head.intercept_, head.slope_ = odds.intercept, odds.slope


def _target_spec(head: CodeMatcher) -> dict[str, Any]:
    return {
        "intercept": head.intercept_,
        "slope": head.slope_,
        "calibrated_on": head.calibrated_on_,
        "auc": head.auc_,
        "calibration_error": head.calibration_error_,
    }


def _exported(head: CodeMatcher) -> dict[str, Any]:
    odds = {"intercept": head.intercept_, "slope": head.slope_}
    return {"prediction": "vector", "odds": odds}


def _restore_odds(head: CodeMatcher, spec: dict[str, Any]) -> None:
    head.intercept_, head.slope_ = float(spec["intercept"]), float(spec["slope"])
    if not (math.isfinite(head.intercept_) and 0 < head.slope_ < math.inf):
        raise ValueError(f"odds of intercept {head.intercept_} and slope {head.slope_}")
    head.calibrated_on_ = spec["calibrated_on"]
    if head.calibrated_on_ not in ("classes", "rows", "pairs", "training"):
        raise ValueError(f"calibrated on {head.calibrated_on_!r}")
    head.auc_, head.calibration_error_ = (
        None if spec[name] is None else float(spec[name]) for name in ("auc", "calibration_error")
    )
    for share in (head.auc_, head.calibration_error_):
        if share is not None and not 0 <= share <= 1:
            raise ValueError(f"auc or calibration error of {share}, outside [0, 1]")
