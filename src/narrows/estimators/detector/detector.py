"""The anomaly detector: a cross-conformal ensemble of autoencoders."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from narrows.applications.anomalies.p_values import tail_threshold
from narrows.artefact import Artefact, write_artefact
from narrows.core.checks import check_number
from narrows.data.source import identity_of
from narrows.data.statistics import describe
from narrows.errors import NothingFlaggedWarning, warn
from narrows.estimators.autoencoders.clean_rows import check_ignored
from narrows.estimators.autoencoders.plan import admits_missing
from narrows.estimators.columns import keep_names
from narrows.estimators.detector.members import (
    Members,
    fit_members,
    member_to_fit,
    rows_of_folds,
)
from narrows.estimators.detector.queries import FittedDetector
from narrows.estimators.held_out import HeldOut
from narrows.estimators.inputs import query_source
from narrows.estimators.parameters import (
    forget,
    json_parameters,
    keep,
    known_arguments,
    seed_from,
)
from narrows.estimators.shared_texts import documented
from narrows.training.precision import resolve_device
from narrows.training.stages import open_stages

__all__ = ["AnomalyDetector"]

_NOT_OF_NETS = ("autoencoder", "device", "random_state", "verbose", "trim", "row_weight", "alpha",
                "contamination")  # fmt: skip
"""Arguments that do not affect the nets, or are compared separately when resuming."""


@documented
class AnomalyDetector(FittedDetector):
    """Detect anomalous rows of a table, with p-values.

    There is one member per fold of the rows, fitted to the other folds. The score of its net,
    S(x) = sum_j (x_j - r_j)^2 / (2 v_j) - log p(f(x)), is the reconstruction error minus the
    log-density of the code. Its training rows add the mean distance to the nearest five of them,
    with columns divided by their interquartile ranges and in their own units, and how far out each
    value is in its column, on the scale of S over held-out rows. A new row's score is the mean over
    the members. Its p-value ranks it among the scores of the training rows, each by the member that
    was not fitted to that row.

    Parameters
    ----------
    autoencoder : autoencoder or None, default=None
        The autoencoder to clone and fit for every fold; its ``random_state`` is set, and its
        ``device`` too unless the detector's is "auto". None is an ``Autoencoder`` with one hidden
        layer and a code as wide as the rows, up to 32: the density of a wide code detects what a
        narrow code would leave to the reconstruction error.
    n_folds : int, default=5
        Number of folds and nets, at least 2, and no more than half the number of rows.
    trim : float, default=0.1
        Fraction of the rows, those of highest score by the net, that the variances v and the
        density p are not fitted to, in [0, 0.5]: they are most likely anomalies.
    row_weight : float, default=20
        How far the distance to the nearest rows spreads over held-out rows, in spreads of the net's
        score. 0 leaves only the net's score, and no training rows in the model file; otherwise it
        holds up to 10,000 of them, and 262,144 of their values (1 MiB) unless that is fewer than 50
        rows.
    alpha : float or "auto", default="auto"
        ``predict`` flags rows with p <= alpha, which is about this share of normal rows. "auto" is
        0.05, or 1 / (n_samples + 1) if that is larger (fewer than 19 rows). A smaller p-value than
        this bound comes from an exponential tail, fitted to the largest scores.
    contamination : float or None, default=None
        If given, in (0, 0.5], ``predict`` ignores alpha and flags rows whose score is above the
        scores of all but this share of the training rows; ties at the limit are not flagged.
    device : ...
    random_state : ...
    verbose : int, default=0
        If above 0, prints a line on stderr when a net has been fitted.

    Attributes
    ----------
    members_ : list of fitted autoencoders
        One per fold.
    calibration_ : ndarray of shape (n_samples,)
        The scores of the training rows, each by the member that was not fitted to it, in ascending
        order.
    alpha_ : float
        Level that ``predict`` uses.
    offset_ : float
        Rows with ``score_samples`` below it are anomalies.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Column names, if X had them.

    Raises
    ------
    ValueError
        At ``fit``, naming the argument that is invalid; if X is streamed from a file, or texts.

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
    >>> detector.predict(odd).tolist(), int(detector.anomaly_contributions(odd).argmax())
    ([-1], 3)
    """

    autoencoder: Any
    n_folds: int
    trim: float
    row_weight: float
    alpha: float | str
    contamination: float | None
    device: str
    random_state: Any
    verbose: int

    n_features_in_: int
    feature_names_in_: np.ndarray
    loss_unit_ = "nats, up to a constant"

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        n_folds: int = 5,
        trim: float = 0.1,
        row_weight: float = 20.0,
        alpha: float | str = "auto",
        contamination: float | None = None,
        device: str = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        groups: Any = None,
        block_length: int | None = None,
        gap: int = 0,
        validation_data: Any = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Fit one member per fold of X, and score each row by the one that was not fitted to it.

        Parameters
        ----------
        X : ...
        y : array-like of shape (n_samples,), optional
            Ignored, as in scikit-learn.
        groups : ...
        block_length : ...
        gap : ...
        validation_data : array-like, CSR matrix, dataframe, tensor or Source, optional
            Normal rows to rank p-values among, instead of X.
        checkpoint : ...
        resume : ...
        stop_requested : ...

        Returns
        -------
        self

        Raises
        ------
        InvalidData (a ValueError)
            If values of X are invalid (the row and column are named), or X has fewer than 4 rows.
        UsageError (a ValueError)
            If a constructor argument is invalid.
        """
        self._check_parameters()
        forget(self)
        source = rows_of_folds(self, X)
        check_ignored(y, source.n_rows)
        grouping = HeldOut(groups, block_length, gap).grouping(source.n_rows)
        template = member_to_fit(self.autoencoder, source, device=self.device)
        held_out = None
        if validation_data is not None:
            held_out = query_source(self, validation_data, "validation_data")
            describe(held_out, missing=admits_missing(template))
        describe(source, missing=admits_missing(template))  # here errors name the row's own number
        own = {k: v for k, v in self.get_params(deep=False).items() if k not in _NOT_OF_NETS}
        with open_stages(
            checkpoint,
            {
                "estimator": type(self).__name__,
                **json_parameters(own),
                "net": type(template).__name__,
                "net_arguments": json_parameters(template.get_params(deep=False)),
                **(identity_of(source) if checkpoint is not None else {}),
                **grouping.identity(),
            },
            seed=seed_from(self.random_state),
            seed_is_drawn=self.random_state is None,
            resume=resume,
            stop_requested=stop_requested,
        ) as stages:
            self._adopt(
                fit_members(
                    template,
                    source,
                    stages=stages,
                    grouping=grouping,
                    n_folds=int(self.n_folds),
                    trim=float(self.trim),
                    row_weight=float(self.row_weight),
                    may_copy=self.autoencoder is None,
                    verbose=self.verbose,
                )
            )
        if held_out is not None:
            self.members_[0].model_.check_units(held_out)
            self.calibration_ = np.sort(-self._scores(held_out))
        self.offset_ = self._offset(source)
        return self

    def _offset(self, source: Any) -> float:
        if self.contamination is not None:
            return float(np.percentile(self._scores(source), 100 * self.contamination))
        threshold = tail_threshold(self.calibration_, self.alpha_)
        if np.isinf(threshold):
            warn(
                f"alpha={self.alpha!r}: flags nothing, because the largest scores of the "
                f"{len(self.calibration_)} training rows are equal, so no p-value can be below "
                f"{1 / (len(self.calibration_) + 1):.3g}, 1 / (n_samples + 1); give more rows, a "
                "larger alpha, or contamination.",
                NothingFlaggedWarning,
            )
        return -threshold

    def save(self, path: str | Path) -> None:
        """Write the model file: all members and their scores. ``narrows.load`` reads it.

        It holds ``n_stored_rows`` training rows; none with ``row_weight=0``.

        Raises
        ------
        ResourceError
            If the file cannot be written; an existing file stays as it was.
        """
        check_is_fitted(self, "members_")
        write_artefact(path, self.to_artefact())

    def to_artefact(self) -> Artefact:
        """Return the content of the model file, with the content of each member's."""
        arguments = self.get_params(deep=False)
        autoencoder = arguments.pop("autoencoder")
        names = getattr(self, "feature_names_in_", None)
        members, tensors = self._members.parts()
        spec = {
            "estimator": type(self).__name__,
            "arguments": json_parameters(arguments),
            "autoencoder_given": autoencoder is not None,
            "names": None if names is None else names.tolist(),
            # JSON has no infinity, the threshold that no row reaches
            "offset": self.offset_ if np.isfinite(self.offset_) else None,
            "members": members,
        }
        return Artefact("model", spec, tensors)

    @classmethod
    def from_artefact(cls, artefact: Artefact) -> Self:
        """Return the fitted detector of a model file's content.

        Raises
        ------
        ModelFileError, UsageError, LookupError, TypeError, ValueError
            If its parts do not fit each other.
        """
        spec = artefact.spec
        members = Members.from_parts(spec["members"], artefact.tensors)
        # a detector with the default autoencoder recreates it when it is refitted
        autoencoder: Any = clone(members.nets[0]) if spec["autoencoder_given"] else None
        estimator = cls(autoencoder, **known_arguments(spec["arguments"]))
        estimator._adopt(members)
        if spec["offset"] is not None and type(spec["offset"]) not in (int, float):
            raise ValueError(f"offset {spec['offset']!r}")
        estimator._check_parameters()
        if spec["offset"] is not None:
            estimator.offset_ = float(spec["offset"])
        else:  # in older files also of levels that only a tail reaches
            estimator.offset_ = -tail_threshold(members.calibration, estimator.alpha_)
        estimator.n_features_in_ = members.nets[0].n_features_in_
        keep_names(estimator, spec["names"])
        return estimator

    def _check_parameters(self) -> None:
        own = {k: v for k, v in self.get_params(deep=False).items() if k != "autoencoder"}
        json_parameters(own)  # raises early if a model file could not hold them
        resolve_device(self.device)
        check_number("n_folds", self.n_folds, low=2, high=100, integer=True)
        check_number("trim", self.trim, low=0, high=0.5)
        check_number("row_weight", self.row_weight, low=0, high=1e6)
        if self.alpha != "auto":
            check_number("alpha", self.alpha, low=0, high=1, low_open=True, high_open=True)
        if self.contamination is not None:
            check_number("contamination", self.contamination, low=0, high=0.5, low_open=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
