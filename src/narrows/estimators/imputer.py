"""Impute missing values of a table with an autoencoder."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any, Self

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils.validation import (
    _check_feature_names_in,  # pyright: ignore[reportPrivateUsage] -- as SimpleImputer has it
    check_is_fitted,
    validate_data,
)

from narrows.applications.filling.inpainting import METHODS
from narrows.data.array_sources import array_source
from narrows.data.statistics import check_finite
from narrows.errors import InvalidData, unknown_name
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.clean_rows import check_ignored
from narrows.estimators.autoencoders.denoising import DenoisingAutoencoder
from narrows.estimators.autoencoders.plan import admits_missing
from narrows.estimators.columns import check_same_names
from narrows.estimators.given_autoencoder import given_autoencoder, unfitted_copy
from narrows.estimators.inputs import FLOATS, check_columns
from narrows.estimators.parameters import NarrowsEstimator, forget, keep
from narrows.fitting.plan import batch_size_for, epochs_for_steps

__all__ = ["CodeImputer"]

_MIN_STEPS = 5_000

_validate: Any = validate_data  # scikit-learn's annotations mislead the type checker


class CodeImputer(TransformerMixin, NarrowsEstimator):
    """Impute missing values of a table with an autoencoder, as a scikit-learn imputer.

    ``fit`` takes tables with NaN; ``transform`` replaces NaN and leaves known values unchanged. The
    autoencoder does the scaling, and provides the net and the density of its codes.

    Parameters
    ----------
    autoencoder : autoencoder, FrozenEstimator, path or None, default=None
        The autoencoder that imputes. A fitted one, or the path of a model file, is used as it is.
        An unfitted one is fitted to X first, with ``random_state`` if it has none of its own; if X
        has NaN it needs a corruption that accepts NaN, such as "missing". ``clone`` discards a fit:
        wrap a fitted autoencoder in scikit-learn's FrozenEstimator. None fits
        ``DenoisingAutoencoder(corruption="missing:0.4", validation_fraction=0)`` for 50 epochs, or
        on few rows for as many epochs as make 5,000 steps, at most 500: hiding other values in
        every step regularizes it, and early stopping on few held-out rows stopped too soon.
    method : {"auto", "pass", "projection", "code"}, default="auto"
        How values are filled in, as in ``inpaint``.
    keep_empty_features : bool, default=False
        Whether columns without a known value at ``fit`` are kept and filled with 0, or dropped, as
        in ``SimpleImputer``.
    random_state : int, RandomState or None, default=None
        Seeds the fit of the autoencoder and the search for codes; an int makes both reproducible.

    Attributes
    ----------
    autoencoder_ : AbstractAutoencoder
        Fitted to the columns that have a known value.
    statistics_ : ndarray of shape (n_features_in_,)
        The mean of every column's known values, NaN where there are none.
    n_features_in_ : int

    Raises
    ------
    ValueError
        At ``fit``, naming the argument that is invalid; if X contains infinity.

    References
    ----------
    Gondara, Wang (2018), "MIDA: multiple imputation using denoising autoencoders", PAKDD.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from narrows import CodeImputer, DenoisingAutoencoder
    >>> X = load_iris().data.copy()
    >>> X[::7, 2] = np.nan
    >>> net = DenoisingAutoencoder(3, hidden=(16,), corruption="missing", max_epochs=20)
    >>> filled = CodeImputer(net, random_state=0).fit_transform(X)
    >>> bool(np.isfinite(filled).all())
    True
    """

    autoencoder: Any
    method: str
    keep_empty_features: bool
    random_state: Any

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        method: str = "auto",
        keep_empty_features: bool = False,
        random_state: Any = None,
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

        ``checkpoint``, ``resume`` and ``stop_requested`` are as in ``Autoencoder.fit``, if an
        autoencoder is fitted here.
        """
        if self.method not in METHODS:
            raise unknown_name("method", self.method, METHODS)
        forget(self)
        X = self._checked(X, reset=True)
        check_ignored(y, len(X))
        known = ~np.isnan(X)
        n_known = known.sum(axis=0)
        sums = np.where(known, X, 0).sum(axis=0, dtype=np.float64)
        self.statistics_ = np.where(n_known > 0, sums / np.maximum(n_known, 1), np.nan)
        if not self._has_values.any():
            raise InvalidData("X: contains no known value; there is nothing to learn from.")
        checkpointing = {
            "checkpoint": checkpoint,
            "resume": resume,
            "stop_requested": stop_requested,
        }
        self.autoencoder_ = self._fitted_autoencoder(X[:, self._has_values], checkpointing)
        if self.autoencoder_.n_features_in_ != self._has_values.sum():
            raise InvalidData(
                f"X has {self._has_values.sum()} features with known values, but the autoencoder "
                f"was fitted to {self.autoencoder_.n_features_in_}."
            )
        names = getattr(self, "feature_names_in_", None)
        fitted = getattr(self.autoencoder_, "feature_names_in_", None)
        check_same_names(None if names is None else names[self._has_values], fitted)
        return self

    @property
    def _has_values(self) -> np.ndarray:
        """Mask of the columns that have a known value at ``fit``, (n_features_in_,)."""
        return ~np.isnan(self.statistics_)

    def transform(self, X: Any) -> np.ndarray:
        """Return X with its missing values filled in, (n_samples, n_features), of the dtype of X.

        Columns without a known value at ``fit`` are left out, unless ``keep_empty_features``.
        """
        check_is_fitted(self, "autoencoder_")
        X = self._checked(X, reset=False)
        seed = 0 if self.random_state is None else self.random_state
        rows = array_source(X[:, self._has_values])  # names have been checked
        whole = np.where(np.isnan(X), 0, X)
        filled = self.autoencoder_.impute(rows, method=self.method, random_state=seed)
        filled = filled.reshape(len(X), -1)  # the autoencoder may have been fitted to images
        whole[:, self._has_values] = np.where(
            np.isnan(X[:, self._has_values]), filled, X[:, self._has_values]
        )
        return whole if self.keep_empty_features else whole[:, self._has_values]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the column names of ``transform``'s result: X's, without the dropped columns."""
        check_is_fitted(self, "autoencoder_")
        names = np.asarray(_check_feature_names_in(self, input_features))
        return names if self.keep_empty_features else names[self._has_values]

    def _checked(self, X: Any, *, reset: bool) -> np.ndarray:
        check_columns(X)
        with np.errstate(over="ignore"):  # overflow is reported as infinity below
            X = _validate(
                self,
                X,
                reset=reset,
                dtype=FLOATS,
                ensure_all_finite=False,
                ensure_min_samples=2 if reset else 1,
            )
        source = array_source(X)
        names = getattr(self, "feature_names_in_", None)
        source.names = None if names is None else [str(name) for name in names]
        check_finite(next(source.in_order(len(X))), source, missing=True)
        return X

    def _fitted_autoencoder(
        self, X: np.ndarray, checkpointing: dict[str, Any]
    ) -> AbstractAutoencoder:
        autoencoder = given_autoencoder(self.autoencoder, lambda: self._default_autoencoder(len(X)))
        if hasattr(autoencoder, "model_"):
            return deepcopy(autoencoder)
        if not admits_missing(autoencoder) and np.isnan(X).any():
            raise InvalidData(
                "autoencoder: X contains NaN, which it cannot be fitted to; give one that accepts "
                f"missing values, such as {type(autoencoder).__name__}(corruption='missing'), one "
                "that is already fitted to complete rows, or None."
            )
        return unfitted_copy(autoencoder, self.random_state).fit(X, **checkpointing)

    def _default_autoencoder(self, n_rows: int) -> AbstractAutoencoder:
        steps = -(-n_rows // batch_size_for("auto", n_rows))
        return DenoisingAutoencoder(
            corruption="missing:0.4",
            max_epochs=epochs_for_steps(_MIN_STEPS, steps, most=500),
            validation_fraction=0.0,
            patience=None,
            random_state=self.random_state,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
