"""Base class of all heads on a code: settings, model files and export."""

from __future__ import annotations

from abc import abstractmethod
from copy import deepcopy
from inspect import signature
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from narrows.artefact import Artefact, write_artefact
from narrows.core.activations import activation_named
from narrows.core.checks import check_number
from narrows.errors import UsageError, unknown_name
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.columns import keep_names
from narrows.estimators.files import autoencoder_in
from narrows.estimators.heads.kind import HeadKind
from narrows.estimators.inputs import query_rows, query_source
from narrows.estimators.parameters import (
    NarrowsEstimator,
    check_training_arguments,
    corruption_spec,
    json_parameters,
    known_arguments,
)
from narrows.estimators.texts import is_texts
from narrows.fitting.head import FittedHead, HeadSettings
from narrows.model.features import check_head_answers, layer_widths, outputs_of_head
from narrows.model.net_weights import tensor_layout
from narrows.model.parts import check_magnitudes
from narrows.objectives.code_task import READS
from narrows.training.record import TrainingRecord

__all__ = ["CodeHead"]

_TRAININGS = ("frozen", "fine_tuned", "joint")
_PREFIX = "head."


class CodeHead(NarrowsEstimator):
    """Base class of heads on a layer of an encoder; ``_kind`` is what differs between them."""

    autoencoder: Any
    training: str
    reconstruction_weight: float
    max_epochs: int | None
    batch_size: int | str
    learning_rate: float | None
    weight_decay: float
    validation_fraction: float
    patience: int | None
    precision: str
    device: str
    random_state: Any
    verbose: int

    # Attributes set by fit.
    autoencoder_: AbstractAutoencoder
    head_: Any
    classes_: np.ndarray
    layer_: int
    history_: list[float]
    validation_history_: list[float]
    n_epochs_: int
    max_epochs_: int
    n_features_in_: int
    training_rows_: np.ndarray
    held_out_rows_: np.ndarray

    @staticmethod
    @abstractmethod
    def _kind() -> HeadKind:
        """Return how this kind of head reads y, trains and is restored."""

    def _settings(self) -> HeadSettings:
        """Return the training arguments that all heads share."""
        return HeadSettings(
            training=self.training,
            reconstruction_weight=float(self.reconstruction_weight),
            max_epochs=None if self.max_epochs is None else int(self.max_epochs),
            batch_size=self.batch_size,
            learning_rate=None if self.learning_rate is None else float(self.learning_rate),
            weight_decay=float(self.weight_decay),
            validation_fraction=float(self.validation_fraction),
            patience=self.patience,
            precision=self.precision,
            device=self.device,
            verbose=self.verbose,
        )

    def _adopt(self, fitted: FittedHead) -> None:
        """Set the fitted attributes from a trained head."""
        self.head_, self.layer_ = fitted.head, fitted.layer
        self.training_rows_ = fitted.training_rows.numpy()
        self.held_out_rows_ = fitted.held_out_rows.numpy()
        self._adopt_record(fitted.record, fitted.max_epochs, fitted.share_labeled)

    def _adopt_record(
        self, record: TrainingRecord, max_epochs: int, share_labeled: float = 1.0
    ) -> None:
        self.max_epochs_ = max_epochs
        self.history_ = [epoch.objective for epoch in record.epochs]
        self.validation_history_ = [
            epoch.validation / share_labeled
            for epoch in record.epochs
            if epoch.validation is not None
        ]
        self.n_epochs_ = len(record.epochs)

    @property
    def features_(self) -> str:
        """What the head reads: "code", "rows" or "both"; "maps" for a segmenter."""
        check_is_fitted(self, "head_")
        return self.head_.reads

    def _outputs(self, X: Any) -> np.ndarray:
        """Return the head's outputs for rows, (n_samples, n_outputs): logits, or standardized
        values."""
        check_is_fitted(self, "head_")
        source = query_source(self, query_rows(self.autoencoder_, X)[1] if is_texts(X) else X)
        model = self.autoencoder_.model_
        return np.concatenate(list(outputs_of_head(model, self.head_, source, self.layer_)))

    def save(self, path: str | Path) -> None:
        """Write the model file: the autoencoder and the head. ``narrows.load`` reads it.

        Raises
        ------
        ResourceError
            If the file cannot be written; an existing file stays as it was.
        """
        check_is_fitted(self, "head_")
        write_artefact(path, self.to_artefact())

    def to_artefact(self) -> Artefact:
        """Return the content of the model file: the autoencoder and the head."""
        artefact = self.autoencoder_.to_artefact()
        names = getattr(self, "feature_names_in_", None)
        artefact.spec["head"] = {
            "estimator": type(self).__name__,
            "arguments": json_parameters(self._own_parameters()),
            "layer": self.layer_,
            "widths": self.head_.widths,
            "activation": self.head_.activation,
            "features": self.head_.reads,
            "names": None if names is None else names.tolist(),
            # absent in older pickles
            "max_epochs": getattr(self, "max_epochs_", self.n_epochs_),
            "history": self.history_,
            "validation_history": self.validation_history_,
            **self._kind().target_spec(self),
        }
        artefact.tensors |= {_PREFIX + k: v for k, v in self.head_.state_dict().items()}
        return artefact

    @classmethod
    def from_artefact(cls, artefact: Artefact) -> Self:
        """Return the fitted head of a model file's content.

        Its parameter ``autoencoder`` is the file's autoencoder, frozen: a new fit starts from it.

        Raises
        ------
        ModelFileError, UsageError, LookupError, TypeError, ValueError
            If its parts do not fit each other.
        """
        autoencoder = autoencoder_in(artefact)
        spec, tensors = artefact.spec["head"], artefact.tensors
        new: Any = cls
        estimator = new(FrozenEstimator(autoencoder), **known_arguments(spec["arguments"]))
        state = {k.removeprefix(_PREFIX): v for k, v in tensors.items() if k.startswith(_PREFIX)}
        layer, widths, model = spec["layer"], spec["widths"], autoencoder.model_
        kind = cls._kind()
        depth = len(layer_widths(model))
        if type(layer) is not int or not 0 <= layer < depth:
            raise ValueError(f"layer {layer!r} of {depth}")
        stored = kind.widths_in(state)
        if not stored or sorted(stored) != sorted(widths):
            raise ValueError("the head's weights do not have its widths")
        # older files have the activation only as an argument, if the head has that
        activation = estimator._own_parameters().get("activation", "linear")
        with torch.device("meta"):
            head = kind.untrained_net(model, {"activation": activation, **spec})
        if tensor_layout(head.state_dict()) != tensor_layout(state):
            raise ValueError("the head's weights have other shapes or dtypes than its net")
        check_magnitudes(state)
        head.load_state_dict(state, assign=True)
        estimator.head_, estimator.layer_, estimator.autoencoder_ = head, layer, autoencoder
        estimator.n_features_in_ = autoencoder.n_features_in_
        keep_names(estimator, spec["names"])
        estimator.history_ = [float(objective) for objective in spec["history"]]
        estimator.n_epochs_ = len(estimator.history_)
        estimator.max_epochs_ = int(spec.get("max_epochs", estimator.n_epochs_))  # absent in older
        estimator.validation_history_ = [float(error) for error in spec["validation_history"]]
        kind.restore_targets(estimator, spec)
        estimator._check_parameters()
        check_head_answers(model, head, layer)
        return estimator

    def export(self, path: str | Path, *, part: str = "head") -> None:
        """Write a part of the model as an ONNX file, for use without Narrows or torch.

        Parameters
        ----------
        path : path
            An existing file is replaced once the new one is complete.
        part : {"head", "encoder", "decoder", "reconstruct"}, default="head"
            "head" maps rows in input units, ``x``, to the prediction. For a classifier that is
            ``probabilities`` (batch, n_classes) of the classes in the file's metadata, for a
            segmenter (batch, n_pixels, n_classes). For a regressor it is ``y`` (batch,), or
            (batch, n_targets) for several targets, float64. For a matcher it is ``vector``. The
            other parts are those of ``autoencoder_``.

        Raises
        ------
        MissingExtra
            If onnx or onnxscript is not installed.
        UsageError (a ValueError)
            If the part is unknown, or has 2 GiB of weights or more.
        ResourceError
            If the file cannot be written.
        """
        from narrows.export.onnx import ExportedHead, export_onnx

        check_is_fitted(self, "head_")
        head = ExportedHead(self.head_, self.layer_, **self._kind().exported(self))
        export_onnx(self.autoencoder_.model_, path, part=part, head=head)

    def _own_parameters(self) -> dict[str, Any]:
        """Return the constructor arguments, without the autoencoder."""
        return {k: v for k, v in self.get_params(deep=False).items() if k != "autoencoder"}

    def _check_parameters(self) -> None:
        own = self._own_parameters()
        json_parameters(own)  # raises early if a model file could not hold them
        if self.training not in _TRAININGS:
            raise unknown_name("training", self.training, _TRAININGS)
        if "activation" in own:
            activation_named(own["activation"])
        if own.get("features", "auto") not in ("auto", *READS):
            raise unknown_name("features", own["features"], ["auto", *READS])
        if "layer" in own:
            check_number("layer", own["layer"], integer=True)
        if "dropout" in own:
            check_number("dropout", own["dropout"], low=0, high=1, high_open=True)
        check_number("reconstruction_weight", self.reconstruction_weight, low=0)
        check_training_arguments(self, optional=("max_epochs", "learning_rate", "patience"))
        if self.training == "frozen" and "corruption" in own:
            self._check_no_effect("corruption")
        self._kind().check_parameters(self)

    def _check_no_effect(self, name: str) -> None:
        """Raise UsageError if an argument that has no effect with this ``training`` is not at its
        default.

        ``reconstruction_weight`` is not checked: it only affects "joint", but may stay set in a
        search over ``training``.
        """
        value = getattr(self, name)
        default = signature(type(self).__init__).parameters[name].default
        if name == "corruption":
            value, default = corruption_spec(value), corruption_spec(default)
        if value != default:
            raise UsageError(
                f"{name}: has no effect with training={self.training!r}, got {value!r}; leave it "
                "out, or use 'fine_tuned' or 'joint'."
            )

    def __getstate__(self) -> dict[str, Any]:
        state: dict[Any, Any] = dict(super().__getstate__())  # pyright: ignore[reportCallIssue, reportArgumentType] -- a dict
        if "head_" in state:  # on the CPU, where the autoencoder's state puts its own weights
            state["head_"] = deepcopy(state["head_"]).cpu()
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.required = True
        return tags
