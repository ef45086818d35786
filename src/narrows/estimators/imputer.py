"""Impute missing values of a table with an autoencoder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.impute import MissingIndicator
from sklearn.utils.validation import (
    _check_feature_names_in,  # pyright: ignore[reportPrivateUsage] -- as SimpleImputer has it
    check_is_fitted,
    validate_data,
)

from narrows.applications.filling.cell_rules import CellRules, fit_cell_rules
from narrows.applications.filling.inpainting import METHODS
from narrows.applications.filling.linear_fill import LinearFill, fit_linear_fill
from narrows.applications.filling.net_gain import (
    NetGain,
    hidden_copies,
    promises_gain,
    weighted_gain,
)
from narrows.data.array_sources import array_source
from narrows.data.statistics import check_finite
from narrows.errors import InvalidData, UsageError, unknown_name
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.clean_rows import check_ignored
from narrows.estimators.autoencoders.denoising import DenoisingAutoencoder
from narrows.estimators.autoencoders.plan import admits_missing
from narrows.estimators.columns import check_same_names
from narrows.estimators.given_autoencoder import given_autoencoder, unfitted_copy
from narrows.estimators.inputs import check_columns
from narrows.estimators.missing_values import check_missing_values, mark_missing, without_na
from narrows.estimators.parameters import NarrowsEstimator, forget, keep, seed_from

__all__ = ["CodeImputer"]

_FLOATS: Any = [np.float64, np.float32]
"""scikit-learn casts an array of neither dtype to the first."""

_HIDDEN, _WIDTH, _BATCH = 128, 32, 128
_STEPS_PER_COLUMN, _FEWEST_STEPS, _MOST_STEPS = 30, 300, 1_000
"""The net of the default, and for how many steps it is trained."""

_validate: Any = validate_data  # scikit-learn's annotations mislead the type checker


class CodeImputer(TransformerMixin, NarrowsEstimator):
    """Impute missing values of a table: a linear fill, and what a net adds to it.

    ``fit`` takes tables with NaN; ``transform`` replaces NaN and leaves known values unchanged. By
    default it hides known cells and compares how the column's mean, probabilistic PCA of several
    widths and Gaussians of several shrinkages fill them in. A net is trained on top of the best
    only if a quick test finds structure that is not linear, and it is used only if it lowers the
    error of hidden cells in rows that it was not trained on by more than a standard error.

    Parameters
    ----------
    autoencoder : autoencoder, FrozenEstimator, path or None, default=None
        The autoencoder that imputes, without a linear fill. A fitted one, or the path of a model
        file, is used as it is. An unfitted one is fitted to X first, with ``random_state`` if it
        has none of its own; if X has NaN it needs a corruption that accepts NaN, such as "missing".
        ``clone`` discards a fit: wrap a fitted autoencoder in scikit-learn's FrozenEstimator. None
        is the linear fill, with a net where it helps.
    method : {"auto", "pass", "projection", "code"}, default="auto"
        How the given ``autoencoder`` fills values in, as in ``inpaint``.
    min_value, max_value : "observed", None, float or array-like of shape (n_features,)
        Bounds of the filled-in values. "observed", the default, is the least or largest known value
        of each column at ``fit``; None is no bound.
    whole_numbers : "auto", bool or array-like of bool of shape (n_features,), default="auto"
        Whether to round fills of columns whose known values are all whole numbers; an array says
        so per column. "auto" rounds columns with a standard deviation of at least 3: rounding adds
        1/12 to the squared error of a fill, less than 1% of their variance.
    missing_values : int, float, None or NA, default=nan
        The value that stands for a missing one, besides NaN and None.
    add_indicator : bool, default=False
        Whether to append a column of 0 and 1 for every column with missing values at ``fit``, as in
        ``SimpleImputer``.
    keep_empty_features : bool, default=False
        Whether columns without a known value at ``fit`` are kept and filled with 0, or dropped, as
        in ``SimpleImputer``.
    random_state : int, RandomState or None, default=None
        Seeds the choice of hidden cells, the fit of the net, and the search for codes; an int makes
        them reproducible.
    verbose : int, default=0
        If not 0, a line on stderr says what was chosen, and the error of each candidate.

    Attributes
    ----------
    method_ : {"linear", "linear and net", "autoencoder"}
        How values are filled in.
    errors_ : dict of str to float
        Root mean squared error of hidden cells, in standard deviations of their columns, for every
        linear candidate. If a net was trained: also "best linear, other rows" and "with net, other
        rows", for the rows that it was not trained on. Empty if an autoencoder was given.
    linear_ : LinearFill or None
        The linear fill; ``linear_.name`` says which one. None if an autoencoder was given.
    autoencoder_ : AbstractAutoencoder or None
        Fitted to the columns that have a known value. By default, None or a net that reads
        standardized rows whose missing cells hold the linear fill.
    net_gain_ : NetGain or None
        The weight of that net, and what it gains. None without one.
    statistics_ : ndarray of shape (n_features_in_,)
        The mean of every column's known values, NaN where there are none.
    min_value_, max_value_ : ndarray of shape (n_features_in_,)
        The bounds of each column.
    indicator_ : MissingIndicator or None
    n_features_in_ : int

    Raises
    ------
    ValueError
        At ``fit``, naming the argument that is invalid; if X contains infinity.

    References
    ----------
    Tipping, Bishop (1999), "Probabilistic principal component analysis", JRSS B 61.
    Gondara, Wang (2018), "MIDA: multiple imputation using denoising autoencoders", PAKDD.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from narrows import CodeImputer
    >>> X = load_iris().data.copy()
    >>> X[::7, 2] = np.nan
    >>> imputer = CodeImputer(random_state=0)
    >>> bool(np.isfinite(imputer.fit_transform(X)).all())
    True
    >>> imputer.errors_[imputer.linear_.name] < imputer.errors_["mean"]
    True
    """

    autoencoder: Any
    autoencoder_: Any
    indicator_: Any
    method: str
    min_value: Any
    max_value: Any
    whole_numbers: Any
    missing_values: Any
    add_indicator: bool
    keep_empty_features: bool
    random_state: Any
    verbose: int

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        method: str = "auto",
        min_value: Any = "observed",
        max_value: Any = "observed",
        whole_numbers: Any = "auto",
        missing_values: Any = np.nan,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        keep(self, locals())

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Fit to X, (n_samples, n_features), which may contain NaN; y is ignored.

        ``checkpoint``, ``resume`` and ``stop_requested`` are as in ``Autoencoder.fit``, if a net is
        trained here; to resume by default, ``random_state`` must be an int.
        """
        self._check_arguments()
        forget(self)
        X = self._checked(X, reset=True)
        check_ignored(y, len(X))
        known = ~np.isnan(X)
        n_known = known.sum(axis=0)
        sums = np.where(known, X, 0).sum(axis=0, dtype=np.float64)
        self.statistics_ = np.where(n_known > 0, sums / np.maximum(n_known, 1), np.nan)
        if not self._has_values.any():
            raise InvalidData("X: contains no known value; there is nothing to learn from.")
        rules = fit_cell_rules(
            X, min_value=self.min_value, max_value=self.max_value, whole=self.whole_numbers
        )
        self.min_value_, self.max_value_ = rules.low, rules.high
        self._rules_ = CellRules(*(part[self._has_values] for part in vars(rules).values()))
        self.indicator_ = None
        if self.add_indicator:
            self.indicator_ = MissingIndicator(error_on_new=False).fit(X)
        checkpointing = {
            "checkpoint": checkpoint,
            "resume": resume,
            "stop_requested": stop_requested,
        }
        self.linear_: LinearFill | None = None
        self.net_gain_: NetGain | None = None
        self.errors_: dict[str, float] = {}
        rows = X[:, self._has_values]
        if self.autoencoder is None:
            self._fit_linear_and_net(rows, checkpointing)
        else:
            self._fit_autoencoder(rows, checkpointing)
        if self.verbose:
            print(self._summary(), file=sys.stderr)
        return self

    def _check_arguments(self) -> None:
        if self.method not in METHODS:
            raise unknown_name("method", self.method, METHODS)
        if self.autoencoder is None and self.method != "auto":
            raise UsageError(
                f"method: is {self.method!r}, which says how a given autoencoder fills values in; "
                "pass autoencoder=, such as DenoisingAutoencoder(corruption='missing'), or leave "
                "method='auto'."
            )
        check_missing_values(self.missing_values)

    def _fit_linear_and_net(self, X: np.ndarray, checkpointing: dict[str, Any]) -> None:
        """Fit the linear fill, and a net if it promises and then holds a gain."""
        generator = torch.Generator().manual_seed(seed_from(self.random_state))
        x = torch.from_numpy(X.astype(np.float64))
        self.method_, self.autoencoder_ = "linear", None
        self.linear_ = fit_linear_fill(x, generator=generator)
        self.errors_ = dict(self.linear_.errors)
        copies = hidden_copies(self.linear_, self.linear_.scale.forward(x), generator=generator)
        if copies is None or not promises_gain(copies, generator=generator).worthwhile:
            return
        corrupted, clean = (rows.float().numpy() for rows in copies.training)
        net = _default_net(len(clean), clean.shape[1], seed_from(self.random_state))
        net.fit(corrupted, clean, **checkpointing)
        held_out = copies.filled[copies.held_out]
        gain = weighted_gain(copies, _reconstructed(net, held_out) - held_out)
        self.errors_["best linear, other rows"] = gain.linear_error
        self.errors_["with net, other rows"] = gain.error
        if gain.certain:
            self.method_, self.autoencoder_, self.net_gain_ = "linear and net", net, gain

    def _fit_autoencoder(self, X: np.ndarray, checkpointing: dict[str, Any]) -> None:
        """Fit the given autoencoder, unless it is fitted already."""
        self.method_ = "autoencoder"
        self.autoencoder_ = self._fitted_autoencoder(X, checkpointing)
        if self.autoencoder_.n_features_in_ != X.shape[1]:
            raise InvalidData(
                f"X has {X.shape[1]} features with known values, but the autoencoder "
                f"was fitted to {self.autoencoder_.n_features_in_}."
            )
        names = getattr(self, "feature_names_in_", None)
        fitted = getattr(self.autoencoder_, "feature_names_in_", None)
        check_same_names(None if names is None else names[self._has_values], fitted)

    def _summary(self) -> str:
        """Return what was chosen, and the errors of the candidates, as a line."""
        if self.linear_ is None:
            return f"CodeImputer: fills in by the given {type(self.autoencoder_).__name__}"
        net = "" if self.net_gain_ is None else f" and a net of weight {self.net_gain_.weight:.2f}"
        errors = ", ".join(f"{name} {error:.3g}" for name, error in self.errors_.items())
        return (
            f"CodeImputer: {self.linear_.name}{net}; RMSE of hidden cells, in standard "
            f"deviations: {errors}"
        )

    @property
    def _has_values(self) -> np.ndarray:
        """Mask of the columns that have a known value at ``fit``, (n_features_in_,)."""
        return ~np.isnan(self.statistics_)

    def transform(self, X: Any) -> np.ndarray:
        """Return X with its missing values filled in, (n_samples, n_features), of the dtype of X.

        Columns without a known value at ``fit`` are left out, unless ``keep_empty_features``.
        Indicators come last.
        """
        check_is_fitted(self, "statistics_")
        X = self._checked(X, reset=False)
        missing = np.isnan(X)
        known_columns = X[:, self._has_values]
        holes = missing[:, self._has_values]
        # as float64: a bound that float32 rounds would leave the known range
        filled = self._rules_.apply(self._filled(known_columns).astype(np.float64))
        whole = np.where(missing, 0, X)
        whole[:, self._has_values] = np.where(holes, filled, known_columns)
        rows = whole if self.keep_empty_features else whole[:, self._has_values]
        if self.indicator_ is None:
            return rows
        return np.hstack([rows, np.asarray(self.indicator_.transform(X), dtype=rows.dtype)])

    def _filled(self, X: np.ndarray) -> np.ndarray:
        """Return rows with their missing values filled in, before the rules apply."""
        if self.linear_ is None:
            seed = 0 if self.random_state is None else self.random_state
            rows = array_source(X)  # names have been checked
            filled = self.autoencoder_.impute(rows, method=self.method, random_state=seed)
            return filled.reshape(len(X), -1)  # the autoencoder may have been fitted to images
        z = self.linear_.scale.forward(torch.from_numpy(X.astype(np.float64)))
        filled = self.linear_.fill(z)
        if self.net_gain_ is not None:
            rebuilt = _reconstructed(self.autoencoder_, filled)
            filled = filled + self.net_gain_.weight * (rebuilt - filled)
        return self.linear_.scale.inverse(filled).numpy()

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the column names of ``transform``'s result: X's, without the dropped columns."""
        check_is_fitted(self, "statistics_")
        given = np.asarray(_check_feature_names_in(self, input_features))
        names = given if self.keep_empty_features else given[self._has_values]
        if self.indicator_ is None:
            return names
        return np.concatenate([names, self.indicator_.get_feature_names_out(given)])

    def _checked(self, X: Any, *, reset: bool) -> np.ndarray:
        X = without_na(X)
        check_columns(X)
        with np.errstate(over="ignore"):  # overflow is reported as infinity below
            X = _validate(
                self,
                X,
                reset=reset,
                dtype=_FLOATS,
                ensure_all_finite=False,
                ensure_min_samples=2 if reset else 1,
            )
        X = mark_missing(X, self.missing_values)
        source = array_source(X)
        names = getattr(self, "feature_names_in_", None)
        source.names = None if names is None else [str(name) for name in names]
        check_finite(next(source.in_order(len(X))), source, missing=True)
        return X

    def _fitted_autoencoder(
        self, X: np.ndarray, checkpointing: dict[str, Any]
    ) -> AbstractAutoencoder:
        autoencoder = given_autoencoder(self.autoencoder, DenoisingAutoencoder)
        if hasattr(autoencoder, "model_"):
            return deepcopy(autoencoder)
        if not admits_missing(autoencoder) and np.isnan(X).any():
            raise InvalidData(
                "autoencoder: X contains NaN, which it cannot be fitted to; give one that accepts "
                f"missing values, such as {type(autoencoder).__name__}(corruption='missing'), one "
                "that is already fitted to complete rows, or None."
            )
        return unfitted_copy(autoencoder, self.random_state).fit(X, **checkpointing)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _default_net(n_rows: int, n_features: int, seed: int) -> AbstractAutoencoder:
    """Return the net that corrects a linear fill, for copies (n_rows, n_features) of rows."""
    n_steps = min(_MOST_STEPS, max(_FEWEST_STEPS, _STEPS_PER_COLUMN * n_features))
    return DenoisingAutoencoder(
        _WIDTH,
        hidden=(_HIDDEN,),
        corruption=None,
        loss="squared_error",
        scale="none",  # rows are standardized
        max_epochs=max(1, round(n_steps * _BATCH / n_rows)),
        batch_size=_BATCH,
        learning_rate=3e-3,
        validation_fraction=0.0,
        patience=None,
        precision="float32",  # small products gain nothing from another
        random_state=seed,
    )


def _reconstructed(net: AbstractAutoencoder, filled: torch.Tensor) -> torch.Tensor:
    """Return g(f(x)) of scaled rows (rows, features), float64."""
    return torch.from_numpy(net.reconstruct(filled.float().numpy())).double()
