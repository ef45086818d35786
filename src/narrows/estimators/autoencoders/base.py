"""Base class of all autoencoders: fit, partial_fit, save and load."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from narrows.artefact import Artefact, write_artefact
from narrows.core.activations import activation_named
from narrows.core.checks import check_number
from narrows.core.custom_pieces import adapted
from narrows.core.custom_specs import json_pieces
from narrows.estimators.autoencoders.fit import (
    fit_autoencoder,
    held_out_evaluation,
    partial_fit_autoencoder,
)
from narrows.estimators.autoencoders.generation import GeneratingAutoencoder
from narrows.estimators.autoencoders.penalty_targets import read_encoding
from narrows.estimators.autoencoders.plan import Choice, admits_missing
from narrows.estimators.autoencoders.training_state import TrainingState, state_of
from narrows.estimators.held_out import HeldOut
from narrows.estimators.parameters import (
    check_training_arguments,
    corruption_spec,
    json_parameters,
    known_arguments,
    specs_of,
    widths_of,
)
from narrows.estimators.shared_texts import documented
from narrows.model.model import Model
from narrows.penalties import PENALTIES
from narrows.training.progress import Progress
from narrows.training.record import Epoch, TrainingRecord

__all__ = ["AbstractAutoencoder"]


@documented
class AbstractAutoencoder(ClassNamePrefixFeaturesOutMixin, GeneratingAutoencoder):
    """Base class of autoencoders; a subclass adds its constructor and ``_choice`` of pieces."""

    # Arguments that more than one autoencoder has.
    n_components: int | str
    _widest: ClassVar[int | None] = None
    """The widest code of n_components="auto"; None refuses it."""

    hidden: Any
    activation: str
    code_activation: str
    loss: Any
    corruption: Any
    penalties: Any
    augmentation: Any
    encoder: Any
    decoder: Any
    scale: str
    max_epochs: int
    batch_size: int | str
    learning_rate: float
    weight_decay: float
    validation_fraction: float
    patience: int | None
    precision: str
    device: str
    random_state: Any
    verbose: int

    # Attributes set by fit.
    n_features_in_: int
    n_epochs_: int
    history_: list[float]
    validation_history_: list[float]
    loss_unit_: str
    classes_: np.ndarray
    _training_state_: TrainingState

    @abstractmethod
    def _choice(self) -> Choice:
        """Return the variant, its parameters, and how "auto" arguments are resolved."""

    def _shape(self, activation: str | None = None, *, always_path: bool = False) -> dict[str, Any]:
        """Return the parameters of a variant that define its dense layers.

        A net without hidden layers is linear by itself, unless it needs a path ``always``.
        """
        activation = self.activation if activation is None else activation
        activation_named(activation)
        hidden = self.hidden if self.hidden == "auto" else widths_of(self.hidden)
        shape = {
            "n_components": self._width(), "hidden": hidden, "activation": activation
        }  # fmt: skip
        own = any(getattr(self, name, None) is not None for name in ("encoder", "decoder"))
        if getattr(self, "linear_start", False) and not own and (hidden or always_path):
            shape["linear_path"] = True
        return shape

    def _penalty_specs(self) -> list[Any]:
        return specs_of(PENALTIES, self.penalties, slot="penalties")

    def _width(self) -> int | str:
        """Return the width of the code, or "auto", which a net of the user's own cannot follow."""
        own = any(getattr(self, name, None) is not None for name in ("encoder", "decoder"))
        if self.n_components == "auto":
            return int(self._widest or 1) if own else "auto"
        return int(self.n_components)

    def _slots(self, *, encoder: Any = None, decoder: Any = None) -> dict[str, Any]:
        """Return the parameters of a variant that are slots, without the loss."""
        own = {"encoder": encoder, "decoder": decoder}
        own = {name: piece for name, piece in own.items() if piece is not None}
        for name, piece in own.items():
            adapted(name, piece)  # raises if the piece does not fit the slot
        corruption = corruption_spec(self.corruption)
        return {"corruption": corruption, "penalties": self._penalty_specs(), **own}

    def _check_parameters(self) -> None:
        """Check the arguments before any data are read; subclasses add their own checks."""
        if self.n_components != "auto" or self._widest is None:
            check_number("n_components", self.n_components, low=1, integer=True)
        check_training_arguments(self)

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        block_length: int | None = None,
        gap: int = 0,
        validation_data: Any = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Learn the code of X.

        Parameters
        ----------
        X : ...
        y : array-like of shape (n_samples, n_features) or (n_samples,), optional
            With the shape of X: clean rows, of which X holds corrupted copies. The net learns to
            reconstruct them from X and applies no corruption itself. Scaling, baseline and the
            errors that the model keeps refer to the clean rows.
            With one dimension: targets of a penalty that is a task of its own, classes with -1
            where unknown, or values with NaN where unknown. Otherwise ignored, as in scikit-learn.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row in J, in the means and deviations of the scaling, in the held-out
            error, the baseline, and the densities and thresholds of the codes. Only ratios matter;
            rows of weight 0 are dropped. Rows of ``validation_data`` have equal weights. Weights
            do not affect word counts of texts, p-values and nearest rows.
        groups : ...
        block_length : ...
        gap : ...
        validation_data : X, or a pair (X, y), optional
            Rows to hold out, instead of a fraction of X; all rows of X are then trained on.
        checkpoint : ...
        resume : ...
        stop_requested : ...

        Returns
        -------
        self

        Raises
        ------
        InvalidData (a ValueError)
            If X contains NaN or infinity (the row and column are named) or values that the loss
            refuses, or has too few rows.
        UsageError (a ValueError)
            If a constructor argument is invalid.
        TrainingDiverged
            If the loss becomes infinite or NaN.
        """
        fitted = fit_autoencoder(
            self,
            X,
            y,
            sample_weight=sample_weight,
            held_out=HeldOut(groups, block_length, gap, validation_data),
            checkpoint=checkpoint,
            resume=resume,
            stop_requested=stop_requested,
        )
        if self.verbose:
            Progress.say(held_out_evaluation(fitted).table())
        return self

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one pass over X at a constant learning rate; the first call fits the scaling.

        The learning rate does not decay and no rows are held out, so that calls can be repeated.
        For a penalty that reads y, the first call also determines the classes, or the mean and
        deviation, by which every later y is read; they are stored in the model file. The held-out
        errors and code densities that ``fit`` measured are dropped, with a warning.
        If a call fails, the weights from before it are kept.

        ``learning_rate``, ``weight_decay``, ``batch_size``, ``augmentation``, ``precision``,
        ``device`` and ``random_state`` may change between calls and take effect; changes of other
        arguments are refused. ``n_neighbors`` is not supported: the net reconstructs the rows
        themselves.

        Raises
        ------
        InvalidData (a ValueError)
            If X contains NaN or infinity (the row and column are named), or values that the loss
            refuses.
        UsageError (a ValueError)
            If an argument differs from the one that the net was built with.
        TrainingDiverged
            If the loss or a weight becomes infinite or NaN.
        """
        partial_fit_autoencoder(self, X, y)
        return self

    def _adopt(self, model: Model, record: TrainingRecord, state: TrainingState) -> None:
        """Set the fitted attributes from a trained model and what its training left."""
        self.model_ = model
        self._training_state_ = state
        if state.encoding.classes is not None:
            self.classes_ = state.encoding.classes
        self.history_ = [epoch.objective for epoch in record.epochs]
        self.validation_history_ = [
            epoch.validation for epoch in record.epochs if epoch.validation is not None
        ]
        self.n_epochs_ = len(record.epochs)
        self.loss_unit_ = model.error_unit

    def save(self, path: str | Path) -> None:
        """Write the model file: weights, scaling, schema and parameters, with a digest.

        Raises
        ------
        ResourceError
            If the file cannot be written; an existing file stays as it was.
        """
        check_is_fitted(self, "model_")
        write_artefact(path, self.to_artefact())

    def to_artefact(self) -> Artefact:
        """Return the content of the model file."""
        encoding = state_of(self).encoding
        return self.model_.to_artefact({**self._artefact_extra(), **encoding.to_spec()})

    @classmethod
    def from_artefact(cls, artefact: Artefact) -> Self:
        """Return the fitted estimator of a model file's content.

        Raises
        ------
        ModelFileError, UsageError, LookupError, TypeError, ValueError
            If its parts do not fit each other.
        """
        spec = artefact.spec
        model = Model.from_artefact(artefact)
        estimator = cls(**known_arguments(spec["arguments"]))
        estimator._restore(model, spec)
        estimator._check_parameters()
        admits_missing(estimator)
        return estimator

    def _artefact_extra(self) -> dict[str, Any]:
        """Return what the estimator adds to the spec of a model file or checkpoint; subclasses add
        their own."""
        return {
            "estimator": type(self).__name__,
            "arguments": json_parameters(self.get_params(deep=False), strict=True),
            "named": hasattr(self, "feature_names_in_"),
            "row_shape": getattr(self, "row_shape_", None),
            "resize": getattr(self, "resize_", None),
        }

    def _restore(self, model: Model, spec: dict[str, Any]) -> None:
        """Set the fitted attributes from a model file; subclasses add their own."""
        epochs = [Epoch(**epoch) for epoch in model.record["epochs"]]
        state = TrainingState(
            json_pieces(spec["arguments"], strict=False), read_encoding(spec, model)
        )
        self._adopt(model, TrainingRecord(epochs=epochs), state)
        self.n_features_in_ = model.schema.n_features
        shape = spec.get("row_shape")  # absent in older files
        if shape is not None:
            shape = tuple(shape)
            valid = all(type(side) is int and side > 0 for side in shape)
            if not valid or prod(shape) != self.n_features_in_:
                raise ValueError(f"rows of shape {shape} for {self.n_features_in_} features")
            self.row_shape_ = shape
            if spec.get("resize") is not None:
                if list(spec["resize"]) != list(shape[:2]):
                    raise ValueError(f"images of {shape} resized to {spec['resize']!r}")
                self.resize_ = shape[:2]
        if model.schema.names is not None and spec["named"]:
            self.feature_names_in_ = np.array(model.schema.names, dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[Any, Any] = dict(super().__getstate__())  # pyright: ignore[reportCallIssue, reportArgumentType] -- a dict
        if "_training_state_" in state:  # optimizer state is for checkpoints, not for pickles
            state["_training_state_"] = state["_training_state_"].without_trainer()
        if "model_" in state and state["model_"].device.type != "cpu":
            from copy import deepcopy

            state["model_"] = deepcopy(state["model_"]).to("cpu")
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        if hasattr(self, "model_"):  # faster, and every query needs it
            tags.input_tags.allow_nan = self.model_.objective.corruption.admits_missing
        else:
            tags.input_tags.allow_nan = admits_missing(self)
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
