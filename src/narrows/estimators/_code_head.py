"""What a classifier and a regressor on a code share: a fitted encoder, a head, one training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor

from narrows.activations import activation_named
from narrows.applications.prediction import features_read, layer_number, layer_widths, said
from narrows.artefact import write_artefact
from narrows.checks import check_number
from narrows.code_task import CodeTask, FeatureTask, Head, HeadTask
from narrows.corruptions import CORRUPTIONS
from narrows.data.scaling import Scaling
from narrows.data.source import DenseSource, Source
from narrows.errors import InvalidData, UsageError, unknown_name
from narrows.estimators._arguments import json_parameters
from narrows.estimators._base import AbstractAutoencoder
from narrows.estimators._export import ExportsHead
from narrows.estimators._head_files import head_artefact
from narrows.estimators._input import check_same_names, fit_source, query_source
from narrows.estimators._progress import Progress
from narrows.estimators._settings import batch_size_for, forget, seed_from, spec_of, widths_of
from narrows.estimators._texts import is_texts
from narrows.estimators.autoencoder import Autoencoder
from narrows.model import Model
from narrows.slots import piece_from_spec
from narrows.terms import Trainable
from narrows.training.loop import TrainingRecord, train
from narrows.training.precision import resolve_device
from narrows.training.trainer import Trainer

__all__ = ["CodeHead", "check_in_memory"]

_TRAININGS = ("frozen", "fine_tuned", "joint")


class CodeHead(ExportsHead, BaseEstimator):
    """Fit a head on an encoder's layer, with or without the encoder. Subclasses read y."""

    autoencoder: Any
    layer: int
    training: str
    hidden: Any
    activation: str
    corruption: Any
    dropout: float
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

    _classification: ClassVar[bool]

    # Attributes set by fit.
    autoencoder_: AbstractAutoencoder
    head_: Any
    classes_: np.ndarray
    n_features_in_: int

    @abstractmethod
    def _read_y(self, y: Any, n_rows: int) -> Tensor:
        """Check y, keep what prediction needs, and return it for the loop."""

    @abstractmethod
    def _target_spec(self) -> dict[str, Any]:
        """Return, as JSON values, what prediction needs of y."""

    @abstractmethod
    def _restore_targets(self, spec: Mapping[str, Any], n_outputs: int) -> None:
        """Set what prediction needs of y from a model file; ValueError where it cannot be."""

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the head to the code of X, and the code too where ``training`` says so.

        Parameters
        ----------
        X : array-like, CSR matrix, dataframe, tensor or Source of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)

        Returns
        -------
        self

        Raises
        ------
        InvalidData (a ValueError)
            Rows or targets that cannot be.
        UsageError (a ValueError)
            A constructor argument that cannot be.
        """
        self._check_parameters()
        forget(self)
        autoencoder = None
        if is_texts(X):
            autoencoder = self._fitted_autoencoder(X, y)  # it knows the words to count
            X = autoencoder._asked(X)[1]
        source = fit_source(self, X)
        check_in_memory(source)
        targets = self._read_y(y, source.n_rows)
        return self._fit_to(source, targets, autoencoder or self._fitted_autoencoder(X, y))

    def _fit_to(self, source: Source, targets: Tensor, autoencoder: AbstractAutoencoder) -> Self:
        """Fit the head to a source whose y has been read."""
        if autoencoder.n_features_in_ != source.n_features:
            raise InvalidData(
                f"X has {source.n_features} features, the autoencoder was fitted to "
                f"{autoencoder.n_features_in_}."
            )
        names = getattr(autoencoder, "feature_names_in_", None)
        check_same_names(source.names, names, origin=source.origin)
        if self.training == "joint" and len(autoencoder.model_.objective.tasks):
            raise UsageError(
                "training: 'joint' has one y, and a penalty of the autoencoder is a task with "
                "another; use 'fine_tuned', or an autoencoder without it."
            )
        # whatever becomes of the given one, this head reads the code that it was fitted to
        self.autoencoder_ = deepcopy(autoencoder)
        self._train(source.labelled(targets))
        if self.training != "frozen":
            self.autoencoder_.model_.densities = {}  # they were of the codes of before
            self.autoencoder_.model_.calibration = None
        return self

    def _fitted_autoencoder(self, X: Any, y: Any) -> AbstractAutoencoder:
        """Return the autoencoder to start from, fitted to X here if it was not before."""
        given = self.autoencoder
        if isinstance(given, FrozenEstimator):
            given = given.estimator
        if isinstance(given, str | Path):
            from narrows.estimators import load

            given = load(given)
        if given is None:
            given = self._default_autoencoder()
        if not isinstance(given, AbstractAutoencoder):
            raise UsageError(
                f"autoencoder: must be an autoencoder, FrozenEstimator(one), or the path of a "
                f"model file, got {given!r}."
            )
        if hasattr(given, "model_"):
            return given
        fresh: Any = clone(given)
        return fresh.fit(X, y)

    def _default_autoencoder(self) -> AbstractAutoencoder:
        return Autoencoder(random_state=self.random_state, device=self.device)

    def _prepared(self, source: Source, seed: int) -> tuple[Trainable, Source, Scaling]:
        """Make the head; return what to minimise, over which rows, and how these are scaled."""
        features = self._begin_head(source, seed)
        model = self.autoencoder_.model_
        if self.training == "frozen":
            # the encoder will not change: its features are computed once
            rows = DenseSource(features.cpu()).described_as(source).labelled(source.targets)
            return self._task(), rows, Scaling("none")
        corruption = spec_of(CORRUPTIONS, self.corruption, slot="corruption")
        task = CodeTask(
            model.objective,
            self._task(),
            layer=self.layer_,
            corruption=piece_from_spec(CORRUPTIONS, corruption, slot="corruption"),
            reconstruction_weight=self._weight_of_rows(),
        )
        return task, self._arranged(source), model.scaling

    def _weight_of_rows(self) -> float:
        """Return the weight of the autoencoder's own J."""
        return float(self.reconstruction_weight) if self.training == "joint" else 0.0

    def _train(self, source: Source) -> None:
        seed = seed_from(self.random_state)
        task, source, scaling = self._prepared(source, seed)
        model = self.autoencoder_.model_
        splitter = Generator().manual_seed(seed)
        rows, validation = source.split(float(self.validation_fraction), generator=splitter)
        told = 1.0 if validation is None else _share_told(validation)
        if not told or not _share_told(rows):
            raise UsageError(
                f"validation_fraction: {self.validation_fraction!r} leaves no label to train on, "
                "or none held out; give another random_state, or 0 to hold out nothing."
            )
        rows = self._trained_on(rows)
        trainer = Trainer(
            task,
            scaling,
            learning_rate=self._rate(),
            precision=self.precision,
            device=model.device,
            seed=seed,
            weight_decay=float(self.weight_decay),
            image_shape=model.schema.image_shape,
        )
        batch_size = batch_size_for(self.batch_size, rows.n_rows)
        epochs = self._epochs(rows.n_batches(batch_size))
        with Progress(self.verbose, epochs) as progress:
            record = train(
                trainer,
                rows,
                max_epochs=epochs,
                batch_size=batch_size,
                validation=validation,
                patience=self.patience,
                on_epoch=progress.epoch,
            )
        model.objective.eval()
        self._adopt(record, told=told)

    def _begin_head(self, source: Source, seed: int) -> Tensor:
        """Make the head, and return the features (n_samples, width) of the source it reads."""
        model = self.autoencoder_.model_
        model.to(resolve_device(self.device))
        self.layer_ = layer_number(model, self.layer)
        features = torch.cat(list(features_read(model, source, self.layer_)))
        widths = [*widths_of(self.hidden), self._n_outputs(features.shape[1])]
        generator = Generator().manual_seed(seed)
        head = self._new_head(model, widths, self.activation, generator=generator)
        self.head_ = head.to(model.device)
        self._start_head(features, source)
        return features

    def _new_head(
        self, model: Model, widths: list[int], activation: str, *, generator: Generator
    ) -> Any:
        """Return a head with its first weights, of the widths that a file holds."""
        n_features = layer_widths(model)[self.layer_]
        return Head(n_features, widths, activation=activation, generator=generator)

    def _widths(self) -> list[int]:
        """Return the widths by which ``_new_head`` makes the head anew."""
        return [weight.shape[1] for weight in self.head_.net.weights]

    @staticmethod
    def _widths_in(tensors: Mapping[str, Tensor]) -> list[int]:
        """Return those widths, in any order, from the head's tensors."""
        return [v.shape[-1] for k, v in tensors.items() if k.startswith("net.weights.") and v.ndim]

    def _n_outputs(self, n_features: int) -> int:
        """Return how many numbers the head says of a row of so many features."""
        return len(self.classes_) if self._classification else 1

    def _start_head(self, features: Tensor, source: Source) -> None:
        """Set what the head begins with, from the features (n_samples, width) of the source."""
        if self.training == "frozen":
            self.head_.start_at(features)

    def _task(self) -> FeatureTask:
        """Return what the head is to learn."""
        return HeadTask(
            self.head_, classification=self._classification, dropout=float(self.dropout)
        )

    def _arranged(self, source: Source) -> Source:
        """Return the source as the task reads it where the encoder trains."""
        return source

    def _trained_on(self, rows: Source) -> Source:
        """Return the rows that an epoch is of, from those that are not held out."""
        return rows

    def _epochs(self, steps: int) -> int:
        """Return how often to pass over rows that make so many steps."""
        if self.max_epochs is None:
            return min(500, max(50, -(-1000 // steps)))
        return int(self.max_epochs)

    def _rate(self) -> float:
        if self.learning_rate is None:
            return 1e-2 if self.training == "frozen" else 1e-3
        return float(self.learning_rate)

    def _adopt(self, record: TrainingRecord, *, told: float = 1.0) -> None:
        """Set what the training left; ``told`` is the share of the rows held out with a label."""
        self.history_ = [epoch.objective for epoch in record.epochs]
        self.validation_history_ = [
            epoch.validation / told for epoch in record.epochs if epoch.validation is not None
        ]
        self.n_epochs_ = len(record.epochs)

    def _said(self, X: Any) -> np.ndarray:
        """Return what the head says of rows: logits, or standardised values."""
        check_is_fitted(self, "head_")
        source = query_source(self, self.autoencoder_._asked(X)[1] if is_texts(X) else X)
        model = self.autoencoder_.model_
        return np.concatenate(list(said(model, self.head_, source, self.layer_)))

    def save(self, path: str | Path) -> None:
        """Write the model file: the autoencoder and the head. ``narrows.load`` reads it.

        Raises
        ------
        ResourceError
            If it cannot be written; a file that stood there is untouched.
        """
        check_is_fitted(self, "head_")
        write_artefact(path, head_artefact(self))

    def _check_parameters(self) -> None:
        own = {k: v for k, v in self.get_params(deep=False).items() if k != "autoencoder"}
        json_parameters(own)  # what no file can hold is said now
        if self.training not in _TRAININGS:
            raise unknown_name("training", self.training, _TRAININGS)
        activation_named(self.activation)
        check_number("layer", self.layer, integer=True)
        check_number("dropout", self.dropout, low=0, high=1, high_open=True)
        check_number("reconstruction_weight", self.reconstruction_weight, low=0)
        if self.max_epochs is not None:
            check_number("max_epochs", self.max_epochs, low=1, integer=True)
        if self.learning_rate is not None:
            check_number("learning_rate", self.learning_rate, low=0, low_open=True)
        check_number("weight_decay", self.weight_decay, low=0)
        check_number("validation_fraction", self.validation_fraction, low=0, high=1, high_open=True)
        if self.patience is not None:
            check_number("patience", self.patience, low=1, integer=True)

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


def check_in_memory(source: Source) -> None:
    """Raise UsageError for a source that is streamed."""
    if not source.holds_targets:
        raise UsageError(f"{source.origin}: is streamed; a head needs rows in memory.")


def _share_told(source: Source) -> float:
    """Return the share of the rows whose y is known."""
    y = source.targets_in_order()
    assert y is not None
    return float((~y.isnan() if y.is_floating_point() else y >= 0).double().mean())
