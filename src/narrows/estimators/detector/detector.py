"""The anomaly detector: autoencoders that score the rows that they did not see."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from narrows.applications.anomalies.p_values import conformal_threshold
from narrows.artefact import Artefact, write_artefact
from narrows.core.checks import check_number
from narrows.data.statistics import describe
from narrows.errors import NothingFlaggedWarning
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

_NO_MATTER = ("autoencoder", "device", "random_state", "verbose", "alpha", "contamination")
"""The arguments that do not affect the nets."""


@documented
class AnomalyDetector(FittedDetector):
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
        What is fitted to every fold, as ``clone`` leaves it; its ``random_state`` is set, and its
        ``device`` unless that of the detector is "auto". None is an ``Autoencoder`` of one hidden
        layer whose code is as wide as the rows, up to 32: p says of a code what a narrow one would
        have to leave to the error.
    n_folds : int, default=5
        How many nets, from 2; no more than there are rows.
    trim : float, default=0.1
        Share of the rows that the second fit leaves out, in [0, 0.5]; 0 fits once.
    alpha : float or "auto", default="auto"
        ``predict`` calls rows with p <= alpha anomalies: of normal ones about this share. No p is
        below 1 / (n_samples + 1): "auto" is 0.05, or that bound where it is larger (fewer than 19
        rows); a number below the bound flags nothing, with a warning.
    contamination : float or None, default=None
        Where it is given, in (0, 0.5], rows are anomalies that score more than all but this
        share of the training rows, whatever alpha is; rows that tie at the limit are not flagged.
    device : ...
    random_state : ...
    verbose : int, default=0
        Above 0 each net is named on stderr when it is fitted.

    Attributes
    ----------
    members_ : list of fitted autoencoders
        One a fold.
    calibration_ : ndarray of shape (n_samples,)
        S of the rows of ``fit``, each by the net that did not see it, in ascending order.
    alpha_ : float
        The level that ``predict`` reads.
    offset_ : float
        ``score_samples`` below it is an anomaly.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Where X had column names.

    Raises
    ------
    ValueError
        At ``fit``, by the argument that owns the value; rows that stream from a file; texts.

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
        """Fit a net to every fold of X, and score each row by the one that did not see it.

        Parameters
        ----------
        X : ...
        y : array-like of shape (n_samples,), optional
            Ignored, as scikit-learn has it.
        groups : ...
        block_length : ...
        gap : ...
        validation_data : array-like, CSR matrix, dataframe, tensor or Source, optional
            Normal rows that ``p_values`` counts among, instead of X.
        checkpoint : ...
        resume : ...
        stop_requested : ...

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
        source = rows_of_folds(self, X)
        check_ignored(y, source.n_rows)
        grouping = HeldOut(groups, block_length, gap).grouping(source.n_rows)
        made = member_to_fit(self.autoencoder, source, device=self.device)
        held_out = None
        if validation_data is not None:
            held_out = query_source(self, validation_data, "validation_data")
            describe(held_out, missing=admits_missing(made))
        describe(source, missing=admits_missing(made))  # a bad value is named by its own row
        own = {k: v for k, v in self.get_params(deep=False).items() if k not in _NO_MATTER}
        with open_stages(
            checkpoint,
            {
                "estimator": type(self).__name__,
                **json_parameters(own),
                "net": type(made).__name__,
                "net_arguments": json_parameters(made.get_params(deep=False)),
                **(source.identity() if checkpoint is not None else {}),
                **grouping.identity(),
            },
            seed=seed_from(self.random_state),
            seed_is_drawn=self.random_state is None,
            resume=resume,
            stop_requested=stop_requested,
        ) as stages:
            self._adopt(
                fit_members(
                    made,
                    source,
                    stages=stages,
                    grouping=grouping,
                    n_folds=int(self.n_folds),
                    trim=float(self.trim),
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
        smallest = 1 / (len(self.calibration_) + 1)
        if self.alpha_ < smallest:
            warnings.warn(
                f"alpha={self.alpha!r}: flags nothing, because no p-value can be below "
                f"{smallest:.3g}, 1 / (n_samples + 1); give more rows, a larger alpha, or "
                "contamination.",
                NothingFlaggedWarning,
                stacklevel=3,
            )
        return -conformal_threshold(self.calibration_, self.alpha_)

    def save(self, path: str | Path) -> None:
        """Write the model file: every member with its S. ``narrows.load`` reads it.

        Raises
        ------
        ResourceError
            If it cannot be written; a file that stood there is untouched.
        """
        check_is_fitted(self, "members_")
        write_artefact(path, self.to_artefact())

    def to_artefact(self) -> Artefact:
        """Return the content of the model file: the members' files side by side."""
        arguments = self.get_params(deep=False)
        given = arguments.pop("autoencoder")
        names = getattr(self, "feature_names_in_", None)
        members, tensors = self._members.parts()
        spec = {
            "estimator": type(self).__name__,
            "arguments": json_parameters(arguments),
            "autoencoder_given": given is not None,
            "names": None if names is None else names.tolist(),
            # JSON has no infinity: a threshold that no row reaches
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
            Where its parts do not fit each other.
        """
        spec = artefact.spec
        members = Members.from_parts(spec["members"], artefact.tensors)
        # fitted again, a detector of its own kind of autoencoder makes that again
        given: Any = clone(members.nets[0]) if spec["autoencoder_given"] else None
        estimator = cls(given, **known_arguments(spec["arguments"]))
        estimator._adopt(members)
        if spec["offset"] is not None and type(spec["offset"]) not in (int, float):
            raise ValueError(f"offset {spec['offset']!r}")
        estimator.offset_ = -np.inf if spec["offset"] is None else float(spec["offset"])
        estimator._check_parameters()
        estimator.n_features_in_ = members.nets[0].n_features_in_
        keep_names(estimator, spec["names"])
        return estimator

    def _check_parameters(self) -> None:
        own = {k: v for k, v in self.get_params(deep=False).items() if k != "autoencoder"}
        json_parameters(own)  # what no file can hold is said now
        resolve_device(self.device)
        check_number("n_folds", self.n_folds, low=2, high=100, integer=True)
        check_number("trim", self.trim, low=0, high=0.5)
        if self.alpha != "auto":
            check_number("alpha", self.alpha, low=0, high=1, low_open=True, high_open=True)
        if self.contamination is not None:
            check_number("contamination", self.contamination, low=0, high=0.5, low_open=True)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
