"""What every autoencoder estimator shares: fit, partial_fit and save, on a fitted Model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted
from torch import Generator

from narrows.applications.evaluation import Evaluation, evaluate
from narrows.applications.sampling import fit_code_densities
from narrows.artefact import write_artefact
from narrows.data.source import Source
from narrows.data.splitting import Split, held_out_mask
from narrows.data.statistics import Statistics, describe
from narrows.errors import UsageError
from narrows.estimators._anomalies import Anomalies
from narrows.estimators._arguments import json_parameters
from narrows.estimators._choices import Choices
from narrows.estimators._export import ExportsParts
from narrows.estimators._fitting import fit_model, interrupted_seed
from narrows.estimators._generation import Generates
from narrows.estimators._inpainting import Inpainting
from narrows.estimators._partial_fit import check_same_net, partial_fit_model
from narrows.estimators._progress import Progress
from narrows.estimators._queries import Queries
from narrows.estimators._settings import forget, seed_from
from narrows.model import Model
from narrows.training.run import Epoch, TrainingRecord

__all__ = ["AbstractAutoencoder"]


class AbstractAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    Queries,
    Anomalies,
    Generates,
    Inpainting,
    ExportsParts,
    Choices,
):
    """Fit, transform, reconstruct, score, save: everything but the choice of pieces.

    Subclasses name the variant and its parameters (``_variant``), and hold the constructor.
    """

    # Attributes set by fit.
    n_features_in_: int
    n_epochs_: int
    history_: list[float]

    def _finish(self, training: Source, statistics: Statistics) -> None:
        """Set further attributes after training, from the rows that were trained on."""

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
            is saved, as the command line does. ``narrows.load`` opens each as a model.
        resume : bool, default=False
            Go on from the newest sound checkpoint there, to the same end; or, where that training
            had ended, with more ``max_epochs`` or ``patience`` to another.
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
        rows = self._train(X, checkpoint, resume, stop_requested or (lambda: False), y)
        if self.verbose:
            Progress.say(self._measured(rows).table())
        return self

    def _train(
        self,
        X: Any,
        checkpoint: str | Path | None,
        resume: bool,
        stop_requested: Callable[[], bool],
        y: Any = None,
    ) -> Split:
        """Fit without a last word; return the rows, read and checked."""
        self._check_parameters()
        forget(self)
        folder = None if checkpoint is None else Path(checkpoint)
        seed = seed_from(self.random_state)
        if folder is not None and resume and self.random_state is None:
            seed = interrupted_seed(folder, fresh=seed)

        def drawn(n_rows: int) -> torch.Tensor:
            """Return which rows are held out: before anything is fitted, words included."""
            generator = Generator().manual_seed(seed)
            return held_out_mask(n_rows, float(self.validation_fraction), generator=generator)

        source = self._source(X, reset=True, min_samples=2, held_out=drawn)
        self._check_sizes(source)
        source = source.labelled(self._read_targets(y, source))
        held_out = drawn(source.n_rows)
        statistics = describe(source, held_out=held_out, missing=self._admits_missing())
        plan = self._plan(source, statistics, seed)
        source = plan.scaling.for_training(source)
        rows = Split.of(source, held_out)
        of_parts = plan.max_epochs if plan.pretraining is None else plan.pretraining.max_epochs
        with Progress(self.verbose, self.max_epochs, of_parts) as progress:
            model, record = fit_model(
                plan,
                source,
                rows,
                checkpoint=folder,
                resume=resume,
                extra=self._artefact_extra(),
                stop_requested=stop_requested,
                on_epoch=progress.epoch,
                on_part=progress.part,
            )
            progress.ended(record)
        self._built_with = json_parameters(self.get_params(deep=False))
        self._adopt(model, record)
        self._finish(rows.training, statistics)
        fit_code_densities(model, rows.training, seed=seed)
        return rows

    def _measured(self, rows: Split) -> Evaluation:
        """Return the errors on the rows that were held out, or on those trained on if none was."""
        if rows.held_out is None:
            return evaluate(self.model_, rows.training, rows="training")
        return evaluate(self.model_, rows.held_out, rows="held_out")

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Pass once over X at the constant learning rate; the first call settles the scaling.

        The learning rate does not decay, and there is no validation: call it again and again. What
        ``fit`` measured on held-out rows, and the densities of the codes, are dropped, with a
        warning. Where a call fails, the weights are those before it.

        ``learning_rate``, ``weight_decay``, ``batch_size``, ``augmentation``, ``precision``,
        ``device`` and ``random_state`` may change between calls, and take effect; other arguments
        that changed are refused. Rows are rebuilt themselves, without ``neighbours``.

        Raises
        ------
        InvalidData (a ValueError)
            NaN or infinity, by row and column; values that the loss refuses.
        UsageError (a ValueError)
            An argument that the net was not built with.
        TrainingDiverged
            When the loss or a weight is not finite any more.
        """
        self._check_parameters()
        if self._asked_for:
            raise UsageError(
                f"neighbours: is {self._asked_for!r}, and partial_fit rebuilds rows themselves; "
                "set neighbours=None, or call fit."
            )
        first = not hasattr(self, "model_")
        given = json_parameters(self.get_params(deep=False))
        built = given if first else self._arguments_of_net()
        check_same_net(built, given)
        anew = built.get("random_state") != given["random_state"]
        try:
            source = self._source(X, reset=first, min_samples=2 if first else 1)
            self._check_sizes(source)
            source = source.labelled(self._read_targets(y, source))
            statistics = describe(source, missing=self._admits_missing())
            plan = self._plan(source, statistics, seed_from(self.random_state))
            scaling = plan.scaling if first else self.model_.scaling
            model, record, self._trainer = partial_fit_model(
                plan,
                scaling.for_training(source),
                None if first else self.model_,
                getattr(self, "_trainer", None),
                seeded_anew=anew,
            )
        except BaseException:
            if first:
                forget(self)
            raise
        self._built_with = {**built, "random_state": given["random_state"]}
        self._adopt(model, record)
        return self

    def _arguments_of_net(self) -> dict[str, Any]:
        """Return the arguments that the net was built with, as far as they are known."""
        known = self.model_.parameters  # an estimator that was pickled before says no more
        of_shape = {name: known[name] for name in ("n_components", "hidden") if name in known}
        return getattr(self, "_built_with", of_shape)

    def _adopt(self, model: Model, record: TrainingRecord) -> None:
        self.model_ = model
        self.history_ = [epoch.objective for epoch in record.epochs]
        self.validation_history_ = [
            epoch.validation for epoch in record.epochs if epoch.validation is not None
        ]
        self.n_epochs_ = len(record.epochs)
        self.loss_unit_ = model.error_unit

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
        self._built_with = dict(spec["arguments"])
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
