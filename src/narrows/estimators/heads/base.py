"""What all heads on a code share: a fitted encoder, a head on it, one file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from inspect import signature
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Generator, Tensor

from narrows.applications.heads.prediction import said
from narrows.artefact import Artefact, write_artefact
from narrows.core.activations import activation_named
from narrows.core.checks import check_number
from narrows.data.array_sources import stacked
from narrows.data.source import Source
from narrows.data.splitting import Selection
from narrows.data.statistics import describe
from narrows.errors import UsageError, unknown_name
from narrows.estimators.autoencoders.autoencoder import Autoencoder
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.export import ExportsHead
from narrows.estimators.columns import check_same_columns
from narrows.estimators.given_autoencoder import given_autoencoder, unfitted_copy
from narrows.estimators.heads.files import head_artefact
from narrows.estimators.heads.training import HeadTraining
from narrows.estimators.held_out import (
    check_effect,
    grouping_of,
    joined_targets,
    rows_and_y,
)
from narrows.estimators.inputs import fit_source, query_source
from narrows.estimators.parameters import corruption_spec, forget, json_parameters, seed_from
from narrows.estimators.sample_weights import rows_that_count
from narrows.estimators.texts import documents_where, is_texts
from narrows.text import as_documents
from narrows.training.stages import Stages, open_stages

__all__ = ["CodeHead", "check_in_memory"]

_TRAININGS = ("frozen", "fine_tuned", "joint")


class CodeHead(ExportsHead, HeadTraining):
    """Fit a head on an encoder's layer, with or without the encoder. Subclasses read y."""

    autoencoder: Any
    head_: Any
    n_features_in_: int

    def _note_targets(self, y: Any) -> None:
        """Store the names of y's columns before rows are selected."""

    @abstractmethod
    def _read_y(
        self, y: Any, n_rows: int, training: Tensor, weights: np.ndarray | None = None
    ) -> Tensor:
        """Check y, keep what prediction needs, and return it for the loop.

        What is fitted to y is fitted to the rows of the mask ``training``, bool (n_rows,), by
        their ``weights`` (n_rows,).
        """

    @abstractmethod
    def _target_spec(self) -> dict[str, Any]:
        """Return, as JSON values, what prediction needs of y."""

    @abstractmethod
    def _restore_targets(self, spec: Mapping[str, Any], n_outputs: int) -> None:
        """Set what prediction needs of y from a model file; ValueError where it cannot be."""

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        block_length: int | None = None,
        gap: int = 0,
        validation_data: tuple[Any, Any] | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
        stop_requested: Callable[[], bool] | None = None,
    ) -> Self:
        """Fit the head to the code of X, and the code too where ``training`` says so.

        Parameters
        ----------
        X : array-like, CSR matrix, dataframe, tensor or Source of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), of a regressor (n_samples, n_targets) too
        sample_weight : array-like of shape (n_samples,), optional
            How much each row counts in the loss of the head, on held-out rows too, and in how
            features and values are standardized; only their ratios matter. Rows of weight 0 are
            left out of everything. An autoencoder that is fitted here, and its own J in "joint",
            count the other rows alike.
        groups : array-like of shape (n_samples,), optional
            Which rows depend on each other, such as those of one subject: all rows of a group are
            trained on or all are held out. ``validation_fraction`` is then of the groups.
        block_length : int, optional
            Rows are in order, such as windows of a series: runs of so many rows are the groups.
        gap : int, default=0
            Rows on either side of a block held out that are left out of both parts.
        validation_data : pair (X, y), optional
            Rows to hold out in the place of a share of X. An autoencoder that is fitted here does
            not see them, nor rows that are drawn.
        checkpoint : path, optional
            A folder for checkpoints, of the autoencoder too where it is fitted here.
        resume : bool, default=False
            Go on from the newest sound checkpoints there, to the same end.
        stop_requested : callable, optional
            Asked after every step; True means: checkpoint, and raise TrainingStopped.

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
        self._note_targets(y)
        with self._stages(checkpoint, resume, stop_requested) as stages:
            fraction = 0.0 if validation_data is not None else float(self.validation_fraction)

            def select(n_rows: int) -> Selection:
                grouping = grouping_of(groups, n_rows, block_length=block_length, gap=gap)
                check_effect(grouping, validation_data, fraction)
                generator = Generator().manual_seed(stages.seed)
                return grouping.select(n_rows, fraction, generator=generator)

            autoencoder = None
            if is_texts(X):  # the autoencoder knows the words to count
                kept = select(sum(1 for _ in as_documents(X))).training.numpy()
                learned = X if kept.all() else documents_where(X, kept)
                autoencoder = self._fitted_autoencoder(learned, y, kept, stages)
                X = autoencoder._validated_query(X)[1]
            source = fit_source(self, X)
            check_in_memory(source)
            places = autoencoder is not None or block_length is not None
            counted = rows_that_count(sample_weight, source, y, groups, keep_places=places)
            source, y, groups = counted.source, counted.y, counted.groups
            weights, numbers = counted.weights, counted.numbers
            X = X if numbers is None else source
            selection = select(source.n_rows)
            kept = selection.training
            if autoencoder is None:
                learned = X if bool(kept.all()) else source.where(kept)
                autoencoder = self._fitted_autoencoder(learned, y, kept.numpy(), stages)
            if validation_data is not None:
                n_rows = source.n_rows
                source, y, selection = self._beside(source, y, validation_data, autoencoder)
                if weights is not None:
                    weights = np.concatenate([weights, np.ones(source.n_rows - n_rows)])
            targets = self._read_y(y, source.n_rows, selection.training, weights)
            source = source.weighted(None if weights is None else torch.from_numpy(weights).float())
            self._fit_to(source, targets, autoencoder, stages, selection)
            if numbers is not None:
                self.training_rows_ = numbers[self.training_rows_]
            if numbers is not None and validation_data is None:
                self.held_out_rows_ = numbers[self.held_out_rows_]
            return self

    def _beside(
        self, source: Source, y: Any, validation_data: Any, autoencoder: AbstractAutoencoder
    ) -> tuple[Source, Any, Selection]:
        """Return the rows and y with those of ``validation_data`` behind them, held out."""
        X_held_out, y_held_out = rows_and_y(validation_data)
        if y_held_out is None:
            raise UsageError("validation_data: a head needs y too; give a pair (X, y).")
        if is_texts(X_held_out):
            X_held_out = autoencoder._validated_query(X_held_out, "validation_data")[1]
        held_out = query_source(self, X_held_out, "validation_data")
        if not is_texts(validation_data):  # of texts the counts have been checked
            autoencoder.model_.check_units(held_out)
        check_in_memory(held_out)
        describe(held_out, missing=autoencoder._admits_missing())  # while rows have their numbers
        mask = torch.zeros(source.n_rows + held_out.n_rows, dtype=torch.bool)
        mask[source.n_rows :] = True
        both = joined_targets(y, y_held_out, source.n_rows, held_out.n_rows)
        self._check_held_out_y(both, source.n_rows)
        return stacked(source, held_out), both, Selection(~mask, mask)

    def _check_held_out_y(self, y: np.ndarray, n_rows: int) -> None:
        """Raise if the y of held-out rows, from ``n_rows`` on, has values unseen in training."""

    def _stages(
        self,
        checkpoint: str | Path | None,
        resume: bool,
        stop_requested: Callable[[], bool] | None,
    ) -> AbstractContextManager[Stages]:
        """Open the checkpoints of a fit."""
        own = json_parameters(self._own_parameters())
        for name in ("device", "random_state", "verbose"):
            own.pop(name)
        return open_stages(
            checkpoint,
            {"estimator": type(self).__name__, **own},
            seed=seed_from(self.random_state),
            seed_is_drawn=self.random_state is None,
            resume=resume,
            stop_requested=stop_requested,
        )

    def _fit_to(
        self,
        source: Source,
        targets: Tensor,
        autoencoder: AbstractAutoencoder,
        stages: Stages,
        selection: Selection | None = None,
    ) -> Self:
        """Fit the head to a source whose y has been read."""
        check_same_columns(source, autoencoder)
        if self.training == "joint" and len(autoencoder.model_.objective.tasks):
            raise UsageError(
                "training: 'joint' has one y, and a penalty of the autoencoder is a task with "
                "another; use 'fine_tuned', or an autoencoder without it."
            )
        # whatever becomes of the given one, this head reads the code that it was fitted to
        self.autoencoder_ = deepcopy(autoencoder)
        autoencoder.model_.check_units(source)
        source = autoencoder.model_.scaling.for_training(source)
        if self.training != "frozen":
            self.autoencoder_.model_.densities = {}  # of the codes before fine-tuning
            self.autoencoder_.model_.calibration = None
        self._train(source.labeled(targets), stages, selection=selection)
        return self

    def _fitted_autoencoder(
        self, X: Any, y: Any, kept: np.ndarray | None, stages: Stages
    ) -> AbstractAutoencoder:
        """Return the autoencoder to start from, fitted to X here if it was not before.

        X are the rows of the mask ``kept``, y is of all rows.
        """
        given = given_autoencoder(self.autoencoder, self._default_autoencoder)
        if hasattr(given, "model_"):
            return given
        if given._task() is None or y is None:
            y = None  # that of a head: nothing for an autoencoder to rebuild
        elif kept is not None and not kept.all():
            y = np.asarray(y)[kept]
        return unfitted_copy(given, self.random_state).fit(X, y, **stages.of_fit("autoencoder"))

    def _default_autoencoder(self) -> AbstractAutoencoder:
        return Autoencoder(random_state=self.random_state, device=self.device)

    def _said(self, X: Any) -> np.ndarray:
        """Return what the head says of rows: logits, or standardized values."""
        check_is_fitted(self, "head_")
        source = query_source(self, self.autoencoder_._validated_query(X)[1] if is_texts(X) else X)
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
        write_artefact(path, self._artefact())

    def _artefact(self) -> Artefact:
        return head_artefact(self)

    def _own_parameters(self) -> dict[str, Any]:
        """Return the constructor's arguments but for the autoencoder."""
        return {k: v for k, v in self.get_params(deep=False).items() if k != "autoencoder"}

    def _check_parameters(self) -> None:
        json_parameters(self._own_parameters())  # raises for what no file can hold
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
        for name in self._without_effect():
            check_no_effect(self, name)

    def _without_effect(self) -> list[str]:
        """Return the arguments that count only where the encoder trains, if it does not.

        ``reconstruction_weight`` is not among them: it is the weight of a term of "joint", and
        stays as it is in a search over ``training``.
        """
        trains = self.training != "frozen"
        return [] if trains or "corruption" not in self._own_parameters() else ["corruption"]

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


def check_no_effect(head: Any, name: str) -> None:
    """Raise UsageError for an argument that ``training`` does not read, and is not its default."""
    value = getattr(head, name)
    default = signature(type(head).__init__).parameters[name].default
    if name == "corruption":
        value, default = corruption_spec(value), corruption_spec(default)
    if value != default:
        raise UsageError(
            f"{name}: has no effect with training={head.training!r}, got {value!r}; leave it out, "
            "or use 'fine_tuned' or 'joint'."
        )


def check_in_memory(source: Source) -> None:
    """Raise UsageError for a source that is streamed."""
    if not source.holds_targets:
        raise UsageError(f"{source.origin}: is streamed; a head needs rows in memory.")
