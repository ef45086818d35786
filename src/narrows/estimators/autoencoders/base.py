"""What every autoencoder estimator shares: fit, partial_fit and save, on a fitted Model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted
from torch import Generator

from narrows.applications.coding.evaluation import Evaluation, evaluate
from narrows.applications.generation.sampling import fit_code_densities
from narrows.artefact import Artefact, write_artefact
from narrows.data.copies import warn_of_copies
from narrows.data.source import Source
from narrows.data.splitting import Selection, Split
from narrows.data.statistics import Statistics, describe
from narrows.errors import UsageError
from narrows.estimators.autoencoders.anomalies import Anomalies
from narrows.estimators.autoencoders.choices import Choices
from narrows.estimators.autoencoders.clean_rows import clean_rows
from narrows.estimators.autoencoders.export import ExportsParts
from narrows.estimators.autoencoders.generation import Generates
from narrows.estimators.autoencoders.inpainting import Inpainting
from narrows.estimators.autoencoders.queries import Queries
from narrows.estimators.held_out import check_effect, grouping_of, rows_and_y
from narrows.estimators.inputs import called, rows_called, with_names_of_before
from narrows.estimators.parameters import forget, json_parameters, known_arguments, seed_from
from narrows.estimators.sample_weights import rows_that_count, weights_of_parts
from narrows.estimators.texts import is_texts
from narrows.fitting.fit import fit_model, interrupted_identity
from narrows.fitting.partial_fit import check_same_net, partial_fit_model
from narrows.model.model import Model
from narrows.training.progress import Progress
from narrows.training.run import Epoch, TrainingRecord, Watch

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
        X : array-like, CSR matrix, dataframe, tensor or Source of shape (n_samples, n_features)
            ``narrows.read`` makes a Source of a file, bigger than memory or not.
        y : array-like of shape (n_samples, n_features) or (n_samples,), optional
            In the shape of X, the clean rows of which X holds corrupted copies: the net learns to
            rebuild them from X, and corrupts nothing itself. Scaling, baseline and the errors that
            the model keeps are of the clean rows.
            In one dimension, read where a penalty is another task: classes, -1 where unknown, or
            values, NaN where unknown. Ignored otherwise, as scikit-learn has it.
        sample_weight : array-like of shape (n_samples,), optional
            How much each row counts: in J, in the means and deviations that scale, in the held-out
            error, the baseline, and the densities and thresholds of the codes. Only the ratios
            matter; rows of weight 0 are left out of everything. Rows of ``validation_data`` count
            alike, as all do where rows are counted: words of texts, p-values, nearest rows.
        groups : array-like of shape (n_samples,), optional
            Which rows depend on each other, such as those of one subject: all rows of a group are
            trained on or all are held out. ``validation_fraction`` is then of the groups, at least
            one of them.
        block_length : int, optional
            Rows are in order, such as windows of a series: runs of so many rows are the groups.
        gap : int, default=0
            Rows on either side of a block held out that are left out of both parts: as many as a
            window is long, where windows overlap.
        validation_data : X, or a pair (X, y), optional
            Rows to hold out in the place of a share of X, of which then all are trained on.
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
        rows = self._train(
            X,
            checkpoint,
            resume,
            stop_requested or (lambda: False),
            y,
            sample_weight=sample_weight,
            groups=groups,
            block_length=block_length,
            gap=gap,
            validation_data=validation_data,
        )
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
        *,
        sample_weight: Any = None,
        groups: Any = None,
        block_length: int | None = None,
        gap: int = 0,
        validation_data: Any = None,
    ) -> Split:
        """Fit, and return the rows as they were split; ``fit`` adds the closing report."""
        self._check_parameters()
        forget(self)
        folder = None if checkpoint is None else Path(checkpoint)
        seed = seed_from(self.random_state)
        before = interrupted_identity(folder) if folder is not None and resume else {}
        seed = before.get("seed", seed) if self.random_state is None else seed

        fraction = 0.0 if validation_data is not None else float(self.validation_fraction)

        def select(n_rows: int) -> Selection:
            """Return which rows are held out: before anything is fitted, words included."""
            grouping = grouping_of(groups, n_rows, block_length=block_length, gap=gap)
            check_effect(grouping, validation_data, fraction)
            generator = Generator().manual_seed(seed)
            return grouping.select(n_rows, fraction, generator=generator)

        source = self._source(X, reset=True, min_samples=2, select=select)
        source = with_names_of_before(self, source, before.get("names", ()))
        self._check_sizes(source)
        places = block_length is not None or is_texts(X)
        counted = rows_that_count(sample_weight, source, y, groups, keep_places=places)
        source, y, groups = counted.source, counted.y, counted.groups
        selection = select(source.n_rows)
        source = source.weighted(weights_of_parts(counted.weights, selection))
        source, rows, statistics = self._read(source, y, selection, validation_data)
        plan = self._plan(source, statistics, seed, pairs=rows.given is not None)
        grouping = grouping_of(groups, source.n_rows, block_length=block_length, gap=gap)
        plan = replace(
            plan, grouping=grouping.identity(), validation_data=validation_data is not None
        )
        source = plan.scaling.for_training(source)
        rows = rows.each(plan.scaling.for_training)
        n_copies = warn_of_copies(rows if rows.given is None else rows.given)
        of_parts = plan.max_epochs if plan.pretraining is None else plan.pretraining.max_epochs
        with Progress(self.verbose, self.max_epochs, of_parts) as progress:
            model, record = fit_model(
                plan,
                source,
                rows,
                checkpoint=folder,
                resume=resume,
                extra=self._artefact_extra(),
                watch=Watch(
                    stop_requested=stop_requested, on_epoch=progress.epoch, on_part=progress.part
                ),
            )
            progress.ended(record)
        self._built_with = json_parameters(self.get_params(deep=False))
        if n_copies:
            model.record["n_copies_held_out"] = n_copies
        self._adopt(model, record)
        self._finish(rows.training, statistics)
        fit_code_densities(model, rows.training, seed=seed)
        return rows

    def _read(
        self, source: Source, y: Any, selection: Selection, validation_data: Any
    ) -> tuple[Source, Split, Statistics]:
        """Read y and the rows held out, and check every value.

        Return the rows to rebuild, how they are split, and the statistics of those to train on.
        """
        missing, given = self._admits_missing(), source
        source, paired = self._with_targets(source, y, counted=selection.training)
        source = source.weighted(given.weights)
        apart = ~selection.training if bool(selection.held_out.any()) else None
        statistics = describe(source, held_out=apart, missing=missing)
        rows = Split.of(source, selection)
        copies = Split.of(given, selection) if paired else None
        if validation_data is not None:
            X_held_out, y_held_out = rows_and_y(validation_data)
            with rows_called("validation_data"):
                corrupted = self._source(X_held_out, reset=False, min_samples=1, like=source)
            corrupted = called(corrupted, "validation_data")
            held_out, also = self._with_targets(corrupted, y_held_out, again=True)
            if also != paired:
                raise UsageError(
                    "validation_data: must be a pair (X, y) if y gives clean rows, else X alone."
                )
            statistics = statistics.with_range_of(describe(held_out, missing=missing))
            rows = Split(source, held_out)
            copies = Split(given, corrupted) if paired else None
        for part in copies.parts if copies is not None else ():
            describe(part, missing=missing)
        return source, replace(rows, given=copies), statistics

    def _with_targets(
        self, source: Source, y: Any, *, counted: torch.Tensor | None = None, again: bool = False
    ) -> tuple[Source, bool]:
        """Return the rows to rebuild, with their y if a penalty needs it, and whether y gives them
        as clean rows."""
        if self._task() is not None:
            targets = self._read_targets(y, source, counted=counted, again=again)
            return source.labeled(targets), False
        clean = clean_rows(y, source)
        if clean is None:
            return source, False
        return clean, True

    def _measured(self, rows: Split) -> Evaluation:
        """Return the errors on the rows that were held out, or on those trained on if none was."""
        given = rows.given
        if rows.held_out is None:
            inputs = None if given is None else given.training
            return evaluate(self.model_, rows.training, rows="training", inputs=inputs)
        inputs = None if given is None else given.held_out
        return evaluate(self.model_, rows.held_out, rows="held_out", inputs=inputs)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Pass once over X at the constant learning rate; the first call settles the scaling.

        The learning rate does not decay, and there is no validation: call it again and again. What
        ``fit`` measured on held-out rows, and the densities of the codes, are dropped, with a
        warning. Where a call fails, the weights are those before it.

        ``learning_rate``, ``weight_decay``, ``batch_size``, ``augmentation``, ``precision``,
        ``device`` and ``random_state`` may change between calls, and take effect; other arguments
        that changed are refused. Rows are rebuilt themselves, without ``n_neighbors``.

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
                f"n_neighbors: is {self._asked_for!r}, and partial_fit rebuilds rows themselves; "
                "set n_neighbors=None, or call fit."
            )
        first = not hasattr(self, "model_")
        given = json_parameters(self.get_params(deep=False))
        built = given if first else self._arguments_of_net()
        check_same_net(built, given)
        anew = built.get("random_state") != given["random_state"]
        try:
            source = self._source(X, reset=first, min_samples=2 if first else 1)
            self._check_sizes(source)
            source, paired = self._with_targets(source, y)
            if paired:
                raise UsageError(
                    "partial_fit: y gives clean rows, which fit takes; call fit(X, y)."
                )
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
        known = self.model_.parameters  # old pickles hold no more than these
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
        write_artefact(path, self.to_artefact())

    def to_artefact(self) -> Artefact:
        """Return the content of the model file."""
        return self.model_.to_artefact(self._artefact_extra())

    @classmethod
    def from_artefact(cls, artefact: Artefact) -> Self:
        """Return the fitted estimator of a model file's content.

        Raises
        ------
        ModelFileError, UsageError, LookupError, TypeError, ValueError
            Where its parts do not fit each other.
        """
        spec = artefact.spec
        model = Model.from_artefact(artefact)
        estimator = cls(**known_arguments(spec["arguments"]))
        estimator._restore(model, spec, artefact.tensors)
        estimator._check_parameters()
        estimator._admits_missing()
        return estimator

    def _artefact_extra(self) -> dict[str, Any]:
        return {
            "estimator": type(self).__name__,
            "arguments": json_parameters(self.get_params(deep=False)),
            "named": hasattr(self, "feature_names_in_"),
            "row_shape": getattr(self, "row_shape_", None),
            "resize": getattr(self, "resize_", None),
        }

    def _restore(
        self, model: Model, spec: dict[str, Any], tensors: dict[str, torch.Tensor]
    ) -> None:
        """Set the fitted attributes from a model file; subclasses add theirs."""
        epochs = [Epoch(**epoch) for epoch in model.record["epochs"]]
        self._adopt(model, TrainingRecord(epochs=epochs))
        self._built_with = dict(spec["arguments"])
        self.n_features_in_ = model.schema.n_features
        shape = spec.get("row_shape")  # absent in older files
        if shape is not None:
            shape = tuple(shape)
            sound = all(type(side) is int and side > 0 for side in shape)
            if not sound or prod(shape) != self.n_features_in_:
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
