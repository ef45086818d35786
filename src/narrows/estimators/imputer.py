"""The imputer: a table's missing values from a code of its rows."""

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
from narrows.data.arrays import array_source
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
from narrows.fitting.plan import batch_size_for, epochs_of_steps

__all__ = ["CodeImputer"]

_LEAST_STEPS = 5_000

_validate: Any = validate_data  # scikit-learn's annotations mislead the type checker


class CodeImputer(TransformerMixin, NarrowsEstimator):
    """Fill in a table's missing values by an autoencoder; scikit-learn's manners of an imputer.

    ``fit`` takes tables with NaN, ``transform`` fills it in and leaves what is known as it is. The
    scaling, the net and the density of its codes are those of the autoencoder.

    Parameters
    ----------
    autoencoder : autoencoder, FrozenEstimator, path or None, default=None
        What fills in. A fitted one, or the path of a model file, is used as it is; one that is not
        is fitted to X first, by ``random_state`` if it has none of its own, and needs a corruption
        that admits NaN where X has any, such as "missing". ``clone`` forgets a fit: wrap a fitted
        one in scikit-learn's FrozenEstimator. None fits
        ``DenoisingAutoencoder(corruption="missing:0.4", validation_fraction=0)`` for 50 epochs,
        and where rows are few for as many as make 5,000 steps, 500 at most: the values hidden
        anew in each step hold it back, and early stopping on the few rows held out came too soon.
    method : {"auto", "pass", "projection", "code"}, default="auto"
        As in ``inpaint``.
    keep_empty_features : bool, default=False
        Columns without a known value at ``fit`` are dropped, or kept and filled with 0, as
        ``SimpleImputer`` has it.
    random_state : int, RandomState or None, default=None
        Of the autoencoder that None fits, and of the search; an int makes both repeat.

    Attributes
    ----------
    autoencoder_ : AbstractAutoencoder
        Fitted to the columns that are not empty.
    statistics_ : ndarray of shape (n_features_in_,)
        The mean of every column's known values, NaN where there are none.
    n_features_in_ : int

    Raises
    ------
    ValueError
        At ``fit``, by the argument that owns the value; infinity anywhere.

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
        """Learn the columns of X, (n_samples, n_features), which may hold NaN; y is not read.

        ``checkpoint``, ``resume`` and ``stop_requested`` are those of ``Autoencoder.fit``, for an
        autoencoder that is fitted here.
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
        self._told = n_known > 0
        if not self._told.any():
            raise InvalidData("X: holds no known value; there is nothing to learn from.")
        of_fit = {"checkpoint": checkpoint, "resume": resume, "stop_requested": stop_requested}
        self.autoencoder_ = self._fitted_autoencoder(X[:, self._told], of_fit)
        if self.autoencoder_.n_features_in_ != self._told.sum():
            raise InvalidData(
                f"X has {self._told.sum()} features with known values, the autoencoder was fitted "
                f"to {self.autoencoder_.n_features_in_}."
            )
        names = getattr(self, "feature_names_in_", None)
        fitted = getattr(self.autoencoder_, "feature_names_in_", None)
        check_same_names(None if names is None else names[self._told], fitted)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return X, float32 or float64 as it came, with its missing values filled in."""
        check_is_fitted(self, "autoencoder_")
        X = self._checked(X, reset=False)
        seed = 0 if self.random_state is None else self.random_state
        rows = array_source(X[:, self._told])  # whose names are known to be right
        whole = np.where(np.isnan(X), 0, X)
        filled = self.autoencoder_.impute(rows, method=self.method, random_state=seed)
        filled = filled.reshape(len(X), -1)  # the autoencoder may have been fitted to images
        whole[:, self._told] = np.where(np.isnan(X[:, self._told]), filled, X[:, self._told])
        return whole if self.keep_empty_features else whole[:, self._told]

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of ``transform``: those of X without the dropped ones."""
        check_is_fitted(self, "autoencoder_")
        names = np.asarray(_check_feature_names_in(self, input_features))
        return names if self.keep_empty_features else names[self._told]

    def _checked(self, X: Any, *, reset: bool) -> np.ndarray:
        check_columns(X)
        with np.errstate(over="ignore"):  # what overflows is found with the infinities
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

    def _fitted_autoencoder(self, X: np.ndarray, of_fit: dict[str, Any]) -> AbstractAutoencoder:
        given = given_autoencoder(self.autoencoder, lambda: self._default_autoencoder(len(X)))
        if hasattr(given, "model_"):
            return deepcopy(given)
        if not admits_missing(given) and np.isnan(X).any():
            raise InvalidData(
                "autoencoder: X contains NaN, which it does not learn from; give one that fills in "
                f"missing values, such as {type(given).__name__}(corruption='missing'), one that "
                "is fitted to whole rows, or None."
            )
        return unfitted_copy(given, self.random_state).fit(X, **of_fit)

    def _default_autoencoder(self, n_rows: int) -> AbstractAutoencoder:
        steps = -(-n_rows // batch_size_for("auto", n_rows))
        return DenoisingAutoencoder(
            corruption="missing:0.4",
            max_epochs=epochs_of_steps(_LEAST_STEPS, steps, most=500),
            validation_fraction=0.0,
            patience=None,
            random_state=self.random_state,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
