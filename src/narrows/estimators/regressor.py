"""The regressor on a code."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from torch import Tensor

from narrows.estimators._code_head import CodeHead
from narrows.estimators._parameters import documented
from narrows.estimators._settings import keep
from narrows.estimators._targets import read_values

__all__ = ["CodeRegressor"]


@documented
class CodeRegressor(RegressorMixin, CodeHead):
    """Say a number about a row from its code, by squared error; else as ``CodeClassifier``.

    Parameters
    ----------
    autoencoder : ...
    layer : ...
    training : ...
    hidden : ...
    activation : ...
    corruption : ...
    dropout : ...
    reconstruction_weight : ...
    max_epochs : int or None, default=None
        Passes over the rows at most; None takes 50, and where rows are few as many as make about
        1,000 steps, 500 at most.
    batch_size : ...
    learning_rate : float or None, default=None
        The highest rate of Adam; None takes 0.01 where the encoder is frozen, else 0.001.
    weight_decay : ...
    validation_fraction : ...
    patience : ...
    precision : ...
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    y_mean_, y_deviation_ : float
        What y was standardised by.
    autoencoder_ : AbstractAutoencoder
        The fitted autoencoder, trained on where ``training`` says so.
    layer_ : int
        The layer that the head reads, counted from 0.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in squared deviations of y.
    validation_history_ : list of float
        Mean held-out squared error per epoch, in the same unit.
    held_out_rows_ : ndarray of int
        Which rows of X were held out, by their numbers; not kept in the file.
    n_epochs_, n_features_in_ : int
    max_epochs_ : int
        What ``max_epochs`` came to.

    Raises
    ------
    ValueError
        At ``fit``, by the argument that owns the value.

    References
    ----------
    Le, Patterson, White (2018), "Supervised autoencoders: improving generalization performance
    with unsupervised regularizers", NeurIPS.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from narrows import Autoencoder, CodeRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> ae = Autoencoder(6, hidden=(32,), max_epochs=50, random_state=0).fit(X)
    >>> bool(CodeRegressor(ae, max_epochs=100, random_state=0).fit(X, y).score(X, y) > 0.3)
    True
    """

    y_mean_: float
    y_deviation_: float

    _classification = False
    _answer = "value"

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        layer: int = -1,
        training: str = "frozen",
        hidden: Sequence[int] = (),
        activation: str = "silu",
        corruption: Any = "identity",
        dropout: float = 0.0,
        reconstruction_weight: float = 0.1,
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

    def predict(self, X: Any) -> np.ndarray:
        """Return the value of every row, (n_samples,), in the units of y."""
        said = self._said(X)[:, 0].astype(np.float64)  # float32 is too coarse for a y far from 0
        return said * self.y_deviation_ + self.y_mean_

    def _read_y(
        self, y: Any, n_rows: int, training: Tensor, weights: np.ndarray | None = None
    ) -> Tensor:
        targets, self.y_mean_, self.y_deviation_ = read_values(
            y, n_rows, missing=False, counted=training.numpy(), weights=weights
        )
        return targets

    def _target_spec(self) -> dict[str, Any]:
        return {"y_mean": self.y_mean_, "y_deviation": self.y_deviation_}

    def _restore_targets(self, spec: Mapping[str, Any], n_outputs: int) -> None:
        self.y_mean_, self.y_deviation_ = float(spec["y_mean"]), float(spec["y_deviation"])
        if not (math.isfinite(self.y_mean_) and 0 < self.y_deviation_ < math.inf):
            raise ValueError(f"y of mean {self.y_mean_} and deviation {self.y_deviation_}")
        if n_outputs != 1:
            raise ValueError(f"{n_outputs} outputs for one y")
