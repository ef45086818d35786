"""What every autoencoder estimator shares: fit, transform and the rest, on a fitted Model."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted

from narrows.applications import coding
from narrows.applications.evaluation import Evaluation, evaluate
from narrows.artefact import write_artefact
from narrows.checks import check_number
from narrows.corruptions import CORRUPTIONS
from narrows.data.scaling import choose_loss, choose_scale, fit_scaling
from narrows.data.source import Source
from narrows.data.statistics import Statistics, describe
from narrows.errors import CopyingWarning, UsageError
from narrows.estimators._fitting import Plan, fit_model, partial_fit_model
from narrows.estimators._input import FLOATS, fit_source, query_source
from narrows.estimators._persistence import json_parameters
from narrows.estimators._progress import Progress
from narrows.estimators._settings import batch_size_for, seed_from, spec_of, specs_of
from narrows.estimators._targets import read_targets
from narrows.model import Model
from narrows.penalties import PENALTIES
from narrows.training.loop import Epoch, TrainingRecord

__all__ = ["AbstractAutoencoder"]


class AbstractAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Fit, transform, reconstruct, score, save: everything but the choice of pieces.

    Subclasses name the variant and its parameters (``_variant``), and hold the constructor.
    """

    n_components: int
    max_epochs: int
    batch_size: int | str
    learning_rate: float
    validation_fraction: float
    patience: int | None
    scale: str
    precision: str
    device: str
    random_state: Any
    verbose: int

    # Attributes set by fit.
    model_: Model
    n_features_in_: int
    n_epochs_: int
    history_: list[float]

    @abstractmethod
    def _variant(self, loss: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Return the variant's name and its parameters as JSON values."""

    @abstractmethod
    def _loss_spec(self) -> dict[str, Any] | None:
        """Return the loss that the user named, None for "auto"."""

    def _task(self) -> str | None:
        """Return what a penalty needs y for: "classification", "regression" or None."""
        specs = self.get_params(deep=False).get("penalties")
        for spec in specs_of(PENALTIES, specs, slot="penalties"):
            if spec["name"] == "auxiliary":
                return spec["task"]
        return None

    def _read_targets(self, y: Any, source: Source) -> torch.Tensor | None:
        task = self._task()
        if task is None:
            return None
        if not source.holds_targets:
            raise UsageError(f"y: {source.origin} is streamed, and a task needs rows in memory.")
        known = getattr(self, "classes_", None)
        targets, classes = read_targets(y, source.n_rows, task=task, classes=known)
        if classes is not None:
            self.classes_ = classes
        return targets

    def _admits_missing(self) -> bool:
        """Return whether the corruption takes NaN."""
        corruption = self.get_params(deep=False).get("corruption", "identity")
        return CORRUPTIONS[
            spec_of(CORRUPTIONS, corruption, slot="corruption")["name"]
        ].admits_missing

    def _scale_for(self, loss: dict[str, Any] | None) -> str:
        """Return the scale that was asked for, "auto" or a name."""
        return self.scale

    def _augmentation(self) -> dict[str, Any] | None:
        """Return the spec of the augmentation, None for none."""
        return None

    def _may_copy(self) -> bool:
        """Return whether nothing but a narrow code keeps the net from copying."""
        return True

    def _finish(self, source: Source, statistics: Statistics) -> None:
        """Set further attributes after training."""

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Learn the code of X.

        Parameters
        ----------
        X : array-like, CSR matrix, dataframe, tensor or Source of shape (n_samples, n_features)
            ``narrows.read`` makes a Source of a file, bigger than memory or not.
        y : array-like of shape (n_samples,), optional
            Read where a penalty is another task: classes, -1 where unknown, or values, NaN where
            unknown. Ignored otherwise.
        checkpoint : path, optional
            A folder for checkpoints, one a minute and one at the end; remove it when the model
            is saved, as the command line does.
        resume : bool, default=False
            Go on from the newest sound checkpoint there, to the same end.
        stop_requested : callable, optional
            Asked after every step; True means: checkpoint, and raise TrainingStopped.

        Returns
        -------
        self

        Raises
        ------
        InvalidData (a ValueError)
            NaN or infinity, by row and column; values that the loss refuses; too few rows.
        UsageError (a ValueError)
            A constructor argument that cannot be.
        TrainingDiverged
            When the loss is not finite any more.
        """
        source = self._train(X, checkpoint, resume, stop_requested or (lambda: False), y)
        if self.verbose:
            Progress.say(self.evaluate(source).table())
        return self

    def _train(
        self,
        X: Any,
        checkpoint: str | Path | None,
        resume: bool,
        stop_requested: Callable[[], bool],
        y: Any = None,
    ) -> Source:
        """Fit without a last word; return the source, read and checked."""
        self._check_parameters()
        self._forget()
        source = fit_source(self, X)
        source.targets = self._read_targets(y, source)
        statistics = describe(source, missing=self._admits_missing())
        plan = self._plan(source, statistics)
        with Progress(self.verbose, self.max_epochs) as progress:
            model, record = fit_model(
                plan,
                source,
                checkpoint=None if checkpoint is None else Path(checkpoint),
                resume=resume,
                stop_requested=stop_requested,
                on_epoch=progress.epoch,
            )
        self._adopt(model, record)
        self._finish(source, statistics)
        return source

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Pass once over X at the constant learning rate; the first call settles the scaling.

        The learning rate does not decay, and there is no validation: call it again and again.
        """
        self._check_parameters()
        first = not hasattr(self, "model_")
        source = fit_source(self, X, reset=first, min_samples=2 if first else 1)
        source.targets = self._read_targets(y, source)
        statistics = describe(source, missing=self._admits_missing())
        trainer = getattr(self, "_trainer", None)
        plan = self._plan(source, statistics)
        model = None if first else self.model_
        model, record, self._trainer = partial_fit_model(plan, source, model, trainer)
        self._adopt(model, record)
        return self

    def _forget(self) -> None:
        """Drop what an earlier fit set: a fit that fails leaves nothing half replaced."""
        for name in [*vars(self)]:
            if name == "_trainer" or (name.endswith("_") and not name.startswith("_")):
                delattr(self, name)

    def _check_parameters(self) -> None:
        check_number("n_components", self.n_components, low=1, integer=True)
        check_number("max_epochs", self.max_epochs, low=1, integer=True)
        check_number("learning_rate", self.learning_rate, low=0, low_open=True)
        check_number("validation_fraction", self.validation_fraction, low=0, high=1, high_open=True)
        if self.patience is not None:
            check_number("patience", self.patience, low=1, integer=True)

    def _plan(self, source: Source, statistics: Statistics) -> Plan:
        named = self._loss_spec()
        kind = choose_scale(self._scale_for(named), source, statistics, named)
        loss = named or choose_loss(kind, source, statistics)
        variant, parameters = self._variant(loss)
        json_parameters(self.get_params(deep=False))  # what no file can hold is said now
        if self.n_components >= source.n_features and self._may_copy():
            warnings.warn(
                f"n_components={self.n_components} is not less than n_features="
                f"{source.n_features}: the net may learn to copy; narrow the code or add a "
                "corruption or penalty.",
                CopyingWarning,
                stacklevel=3,
            )
        return Plan(
            variant=variant,
            parameters=parameters,
            scaling=fit_scaling(kind, source, statistics),
            statistics=statistics,
            max_epochs=int(self.max_epochs),
            batch_size=batch_size_for(self.batch_size, source.n_rows),
            learning_rate=float(self.learning_rate),
            validation_fraction=float(self.validation_fraction),
            patience=None if self.patience is None else int(self.patience),
            precision=self.precision,
            device=self.device,
            seed=seed_from(self.random_state),
            seed_is_drawn=self.random_state is None,
            augmentation=self._augmentation(),
        )

    def _adopt(self, model: Model, record: TrainingRecord) -> None:
        self.model_ = model
        self.history_ = [epoch.objective for epoch in record.epochs]
        self.validation_history_ = [
            epoch.validation for epoch in record.epochs if epoch.validation is not None
        ]
        self.n_epochs_ = len(record.epochs)
        self.loss_unit_ = model.error_unit

    @property
    def _n_features_out(self) -> int:
        return self.model_.n_components

    def _asked(self, X: Any) -> tuple[Model, Source]:
        """Return the model and the rows it is asked about; unfitted, raise NotFittedError."""
        check_is_fitted(self, "model_")
        return self.model_, query_source(self, X)

    def transform(self, X: Any) -> np.ndarray:
        """Return the codes h = f(x) of the clean rows, (n_samples, n_components), float32."""
        return np.concatenate(list(coding.codes(*self._asked(X))))

    def inverse_transform(self, X: Any) -> np.ndarray:
        """Return g(h) for codes X (n_samples, n_components), in input units, float32.

        Where the model scales rows to proportions, the result is proportions: a code does not
        hold a row's total.
        """
        check_is_fitted(self, "model_")
        h: np.ndarray = check_array(X, dtype=FLOATS, input_name="codes")
        if h.shape[1] != self.model_.n_components:
            raise UsageError(
                f"inverse_transform: codes must have {self.model_.n_components} components, "
                f"got {h.shape[1]}."
            )
        return np.concatenate(list(coding.decoded(self.model_, h)))

    def reconstruct(self, X: Any) -> np.ndarray:
        """Return g(f(x)), (n_samples, n_features), in input units, float32 and dense."""
        return np.concatenate(list(coding.reconstructions(*self._asked(X))))

    def features(self, X: Any, layer: int = -1) -> np.ndarray:
        """Return the activations of an encoder layer, counted from 0; -1 is the code."""
        return np.concatenate(list(coding.layer_features(*self._asked(X), layer)))

    def score_samples(self, X: Any) -> np.ndarray:
        """Return minus the reconstruction error of every row, in ``loss_unit_``."""
        return -np.concatenate(list(coding.errors(*self._asked(X))))

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean of ``score_samples``: minus the error, so that greater is better."""
        return float(self.score_samples(X).mean(dtype=np.float64))

    def evaluate(self, X: Any) -> Evaluation:
        """Return the reconstruction error beside PCA's (TruncatedSVD's where X is sparse)."""
        return evaluate(*self._asked(X))

    def save(self, path: str | Path) -> None:
        """Write the model file: weights, scaling, schema, parameters, and a digest over them.

        Raises
        ------
        ResourceError
            If it cannot be written; a file that stood there is untouched.
        """
        check_is_fitted(self, "model_")
        write_artefact(path, self.model_.to_artefact(self._artefact_extra()))

    def _artefact_extra(self) -> dict[str, Any]:
        return {
            "estimator": type(self).__name__,
            "arguments": json_parameters(self.get_params(deep=False)),
            "named": hasattr(self, "feature_names_in_"),
        }

    def _restore(
        self, model: Model, spec: dict[str, Any], tensors: dict[str, torch.Tensor]
    ) -> None:
        """Set the fitted attributes from a model file; subclasses add theirs."""
        epochs = [Epoch(**epoch) for epoch in model.record["epochs"]]
        self._adopt(model, TrainingRecord(epochs=epochs))
        self.n_features_in_ = model.schema.n_features
        if model.schema.names is not None and spec["named"]:
            self.feature_names_in_ = np.array(model.schema.names, dtype=object)

    def __getstate__(self) -> dict[str, Any]:
        state: dict[Any, Any] = dict(super().__getstate__())  # pyright: ignore[reportCallIssue, reportArgumentType] -- a dict
        state.pop("_trainer", None)  # optimizer state is for checkpoints, not for pickles
        if "model_" in state and state["model_"].device.type != "cpu":
            from copy import deepcopy

            state["model_"] = deepcopy(state["model_"]).to("cpu")
        return state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = self._admits_missing()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags
