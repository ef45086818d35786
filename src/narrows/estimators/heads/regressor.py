"""Predict values of rows from their codes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from torch import Tensor

from narrows.applications.heads.scores import mean_r2, r2_of_targets
from narrows.data.source import Source
from narrows.errors import InvalidData
from narrows.estimators.heads.fit import train_by_recipe
from narrows.estimators.heads.kind import HeadKind, RawTargets
from narrows.estimators.heads.supervised import SupervisedHead, has_trials, is_solved
from narrows.estimators.parameters import corruption_spec, keep, widths_of
from narrows.estimators.shared_texts import documented
from narrows.estimators.targets import (
    has_columns,
    read_several_values,
    read_values,
    table_of_values,
)
from narrows.fitting.feature_head import FeatureHead, prepare_head
from narrows.fitting.head import HeadRecipe, HeadSettings, PreparedHead
from narrows.fitting.probe import ValueProbe
from narrows.model.model import Model

__all__ = ["CodeRegressor", "regressor_recipe"]


@documented
class CodeRegressor(RegressorMixin, SupervisedHead):
    """Predict one or several values of a row from its code.

    The head is trained as in ``CodeClassifier``, but with squared error. y of shape (n_samples,
    n_targets) has several targets; each is standardized, and the errors are summed over them. There
    NaN marks an unknown value, which is ignored; y of shape (n_samples,) must not contain NaN.

    Parameters
    ----------
    autoencoder : ...
    layer : ...
    training : ...
    features : ...
    hidden : ...
    activation : ...
    corruption : ...
    dropout : ...
    reconstruction_weight : ...
    max_epochs : int or None, default=None
        Maximum number of passes over the rows. None solves a linear head on a frozen encoder, by
        ridge regression; otherwise it takes 50, or on few rows as many as make about 1,000 steps,
        at most 500. Of
        a linear head whose encoder trains, trials choose the best epoch up to there, or the start.
    batch_size : ...
    learning_rate : float or None, default=None
        Peak learning rate of Adam. None takes 0.01 if the encoder is frozen, otherwise 0.001.
    weight_decay : ...
    validation_fraction : ...
    patience : ...
    precision : ...
    device : ...
    random_state : ...
    verbose : ...

    Attributes
    ----------
    y_mean_, y_deviation_ : float, or ndarray of shape (n_targets,)
        Mean and standard deviation of y in training; arrays if y had columns.
    target_names_ : list of str or None
        Column names of y, if it was a frame whose columns have names.
    autoencoder_ : AbstractAutoencoder
        The fitted autoencoder, with the encoder trained further unless ``training`` is "frozen".
    layer_ : int
        Layer that the head reads, counted from 0.
    features_ : {"code", "rows", "both"}
        What the head reads.
    history_ : list of float of length n_epochs_
        Mean training objective per epoch, in squared standard deviations of y, summed over
        targets; that of the solution for a solved head.
    validation_history_ : list of float
        Mean held-out squared error per epoch, in the same unit.
    training_rows_, held_out_rows_ : ndarray of int
        Indices of the rows of X that were trained on and held out; not stored in the model file.
    n_epochs_, n_features_in_ : int
    max_epochs_ : int
        The resolved ``max_epochs``.

    Raises
    ------
    ValueError
        At ``fit``, naming the argument that is invalid.

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

    layer: int
    features: str
    hidden: Any
    activation: str
    corruption: Any
    dropout: float

    y_mean_: Any
    y_deviation_: Any
    target_names_: list[str] | None = None

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        layer: int = -1,
        training: str = "frozen",
        features: str = "auto",
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

    @staticmethod
    def _kind() -> HeadKind:
        return HeadKind(
            read_y=_read_y,
            train=partial(train_by_recipe, regressor_recipe),
            target_spec=_target_spec,
            restore_targets=_restore_units,
            exported=_exported,
        )

    def predict(self, X: Any) -> np.ndarray:
        """Return the predicted value of every row, (n_samples,), in the units of y, float64.

        The shape is (n_samples, n_targets) if the y of ``fit`` had columns, even a single one.
        """
        outputs = self._outputs(X).astype(np.float64)  # float32 is too coarse for a y far from 0
        outputs = outputs if np.ndim(self.y_mean_) else outputs[:, 0]
        return outputs * self.y_deviation_ + self.y_mean_

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return R^2, averaged over the targets if there are several.

        NaN in a y of several targets is ignored, and so are targets with fewer than two known
        values.
        """
        if not has_columns(y):
            return super().score(X, y, sample_weight)
        truth, predicted = table_of_values(y), self.predict(X)
        if truth.shape != predicted.shape:
            raise InvalidData(f"y: has shape {truth.shape}, but the predictions {predicted.shape}.")
        weights = None if sample_weight is None else np.asarray(sample_weight)
        return mean_r2(r2_of_targets(truth, predicted, weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _read_y(head: CodeRegressor, raw: RawTargets) -> Tensor:
    head.target_names_ = raw.names
    counted = raw.training.numpy()
    if has_columns(raw.y):
        targets, head.y_mean_, head.y_deviation_ = read_several_values(
            raw.y, raw.n_rows, counted=counted, weights=raw.weights, names=raw.names
        )
    else:
        targets, head.y_mean_, head.y_deviation_ = read_values(
            raw.y, raw.n_rows, missing=False, counted=counted, weights=raw.weights
        )
    return targets


def regressor_recipe(head: CodeRegressor) -> HeadRecipe:
    """Return how to build and train the head of a regressor, once y has been read."""

    def prepare(
        model: Model, source: Source, settings: HeadSettings, seed: int, training: Tensor
    ) -> PreparedHead:
        return prepare_head(
            FeatureHead(
                layer=head.layer,
                reads=head.features,
                widths=[*widths_of(head.hidden), np.size(head.y_mean_)],
                activation=head.activation,
                dropout=float(head.dropout),
                corruption=corruption_spec(head.corruption),
                classification=False,
                solved=is_solved(head),
                starts=True,
                probe=ValueProbe(),
            ),
            model,
            source,
            settings,
            seed,
            training,
        )

    return HeadRecipe(prepare, trials=has_trials(head))


def _target_spec(head: CodeRegressor) -> dict[str, Any]:
    units = {"y_mean": head.y_mean_, "y_deviation": head.y_deviation_}
    spec = {name: np.asarray(value).tolist() for name, value in units.items()}
    return spec if head.target_names_ is None else {**spec, "target_names": head.target_names_}


def _exported(head: CodeRegressor) -> dict[str, Any]:
    return {
        "prediction": "value",
        "mean": np.asarray(head.y_mean_).tolist(),
        "deviation": np.asarray(head.y_deviation_).tolist(),
        "target_names": head.target_names_,
    }


def _restore_units(head: CodeRegressor, spec: dict[str, Any]) -> None:
    mean, deviation = (np.array(spec[n], dtype=np.float64) for n in ("y_mean", "y_deviation"))
    n_outputs = spec["widths"][-1]
    if not (np.isfinite(mean).all() and (deviation > 0).all() and np.isfinite(deviation).all()):
        raise ValueError(f"y of mean {mean} and deviation {deviation}")
    if mean.shape != deviation.shape or mean.ndim > 1 or mean.size != n_outputs:
        raise ValueError(f"{n_outputs} outputs for y of mean {mean} and deviation {deviation}")
    names = spec.get("target_names")  # older files have one target without a name
    if names is not None and not (
        isinstance(names, list)
        and mean.shape == (len(names),)
        and all(isinstance(name, str) for name in names)
    ):
        raise ValueError(f"{names!r} as names of {n_outputs} targets")
    head.y_mean_, head.y_deviation_ = (
        (mean, deviation) if mean.ndim else (float(mean), float(deviation))
    )
    head.target_names_ = names
