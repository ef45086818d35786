"""The anomaly detector: autoencoders that score the rows that they did not see."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted
from torch import Generator

from narrows.applications.anomalies.anomaly_score import anomaly_scores
from narrows.applications.anomalies.p_values import conformal_threshold
from narrows.artefact import write_artefact
from narrows.core.checks import check_number
from narrows.data.splitting import Grouping
from narrows.data.statistics import describe
from narrows.errors import InvalidData, NothingFlaggedWarning, UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.clean_rows import check_ignored
from narrows.estimators.detector.files import detector_artefact
from narrows.estimators.detector.members import default_member, fitted_member, rows_of_folds
from narrows.estimators.detector.queries import DetectorQueries, comparable
from narrows.estimators.held_out import grouping_of
from narrows.estimators.inputs import query_source
from narrows.estimators.parameters import documented, forget, json_parameters, keep, seed_from
from narrows.training.precision import resolve_device
from narrows.training.progress import Progress
from narrows.training.stages import Stages, open_stages

__all__ = ["AnomalyDetector"]

_NO_MATTER = ("autoencoder", "device", "random_state", "verbose", "alpha", "contamination")
"""The arguments that do not affect the nets."""


@documented
class AnomalyDetector(DetectorQueries):
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
        X : array-like, CSR matrix, dataframe, tensor or Source of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), optional
            Ignored, as scikit-learn has it.
        groups : array-like of shape (n_samples,), optional
            Which rows depend on each other, such as those of one subject: a group is in one fold.
        block_length : int, optional
            Rows are in order, such as windows of a series: runs of so many rows are the groups.
        gap : int, default=0
            Rows on either side of a fold's blocks that its net is not fitted to.
        validation_data : array-like, CSR matrix, dataframe, tensor or Source, optional
            Normal rows that ``p_values`` counts among, instead of X.
        checkpoint : path, optional
            A folder for the checkpoints of every net.
        resume : bool, default=False
            Go on from the newest sound checkpoints there, to the same end.
        stop_requested : callable, optional
            Asked after every step; True means: checkpoint, and raise TrainingStopped.

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
        grouping = grouping_of(groups, source.n_rows, block_length=block_length, gap=gap)
        made = self._autoencoder(source.n_features, source.n_rows)
        held_out = None
        if validation_data is not None:
            held_out = query_source(self, validation_data, "validation_data")
            describe(held_out, missing=made._admits_missing())
        describe(source, missing=made._admits_missing())  # a bad value is named by its own row
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
            self._fit_members(source, made, stages, grouping)
        if held_out is not None:
            self.members_[0].model_.check_units(held_out)
            self.calibration_ = np.sort(-self._scores(held_out))
        self.offset_ = self._offset(source)
        return self

    def _fit_members(
        self, source: Any, made: AbstractAutoencoder, stages: Stages, grouping: Grouping
    ) -> None:
        """Fit a net to every fold, and score each row by the net that did not see it."""
        fold = self._folds(source.n_rows, grouping, stages.seed)
        n_folds = int(fold.max()) + 1
        if grouping and made.validation_fraction:
            n_groups = int(grouping.of(source.n_rows).max()) + 1
            least = 4 if int(self.n_folds) == 2 else 3
            if n_groups < least:
                name = "groups" if grouping.groups is not None else "block_length"
                raise InvalidData(
                    f"{name}: there are {n_groups} groups, and {least} are needed: one is held "
                    "out of each fold's net, which holds another out by its validation_fraction; "
                    "give more, or an autoencoder with validation_fraction=0."
                )
        self.members_, self.anomaly_scores_, held_out = [], [], []
        for i in range(n_folds):
            selection = grouping.around(fold == i)
            rows, others = (
                part.nonzero()[:, 0] for part in (selection.held_out, selection.training)
            )
            member, score = fitted_member(
                made,
                source.subset(others),
                grouping=grouping.subset(others),
                trim=float(self.trim),
                seed=stages.seed + i,
                may_copy=self.autoencoder is None or i > 0,  # one warning is enough
                stages=stages,
                name=f"net-{i + 1}",
            )
            self.members_.append(member)
            self.anomaly_scores_.append(score)
            held_out.extend(anomaly_scores(member.model_, score, source.subset(rows)))
            if self.verbose:
                Progress.say(f"net {i + 1} of {n_folds} is fitted")
        self.calibration_ = np.sort(comparable(np.concatenate(held_out)))

    def _folds(self, n_rows: int, grouping: Grouping, seed: int) -> torch.Tensor:
        """Return the fold of every row, int64 (n_rows,): a group is in one fold."""
        n = n_rows // 2
        group_of = grouping.of(n_rows)
        n_groups = int(group_of.max()) + 1
        if grouping:
            n = n_groups
            if n < 2:
                raise InvalidData("groups: all rows are of one group; folds need two at least.")
        order = torch.randperm(n_groups, generator=Generator().manual_seed(seed))
        return (order % min(int(self.n_folds), n))[group_of]

    def _autoencoder(self, n_features: int, n_rows: int) -> AbstractAutoencoder:
        """Return the autoencoder to clone for every fold."""
        if self.autoencoder is None:
            return default_member(n_features, n_rows, device=self.device)
        if not isinstance(self.autoencoder, AbstractAutoencoder):
            raise UsageError(
                f"autoencoder: must be an autoencoder or None, got {self.autoencoder!r}."
            )
        made: Any = clone(self.autoencoder)
        return made if self.device == "auto" else made.set_params(device=self.device)

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
        write_artefact(path, detector_artefact(self))

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
