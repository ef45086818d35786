"""How a head on a code learns: its net, the rows that it reads, one training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Generator, Tensor

from narrows.applications.heads.prediction import features_read, layer_number, layer_widths
from narrows.artefact import Artefact
from narrows.core.slots import piece_from_spec
from narrows.core.terms import Trainable, known_rows
from narrows.corruptions import CORRUPTIONS
from narrows.data.array_sources import DenseSource
from narrows.data.memory import check_result_fits
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.data.splitting import Grouping, Selection, Split
from narrows.errors import UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.parameters import (
    NarrowsEstimator,
    batch_size_for,
    corruption_spec,
    epochs_of_steps,
    widths_of,
)
from narrows.estimators.sample_weights import of_mean_one
from narrows.model.model import Model
from narrows.objectives.code_task import CodeTask, FeatureTask, Head, HeadTask
from narrows.training.loop import train
from narrows.training.precision import resolve_device
from narrows.training.progress import Progress
from narrows.training.run import TrainingRecord
from narrows.training.sizes import check_head_fits, dense_sizes
from narrows.training.stages import Stages, digest_of
from narrows.training.trainer import Trainer

__all__ = ["HeadTraining"]


class HeadTraining(NarrowsEstimator):
    """What of a head is made and trained, once y has been read. Kinds of heads change a part."""

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
    _least_steps: ClassVar[int] = 1000
    """So many steps few rows are trained for, where ``max_epochs`` does not say."""

    # Attributes set by fit.
    autoencoder_: AbstractAutoencoder
    head_: Any
    classes_: np.ndarray
    layer_: int
    history_: list[float]
    validation_history_: list[float]
    n_epochs_: int
    max_epochs_: int
    training_rows_: np.ndarray
    held_out_rows_: np.ndarray

    def _prepared(
        self, source: Source, seed: int, training: Tensor
    ) -> tuple[Trainable, Source, Scaling]:
        """Make the head; return what to minimize, over which rows, and how these are scaled.

        The head starts from the rows of the mask ``training``, bool (n_rows,).
        """
        features = self._begin_head(source, seed, training)
        model = self.autoencoder_.model_
        if self.training == "frozen":
            # the encoder will not change: its features are computed once
            rows = DenseSource(features.cpu()).copy_metadata(source).labeled(source.targets)
            rows.weights = source.weights
            return self._task(), rows, Scaling("none")
        corruption = corruption_spec(self.corruption)
        task = CodeTask(
            model.objective,
            self._task(),
            layer=self.layer_,
            corruption=piece_from_spec(CORRUPTIONS, corruption, slot="corruption"),
            reconstruction_weight=self._weight_of_rows(),
        )
        return self._smoothed(task), self._arranged(source), model.scaling

    def _weight_of_rows(self) -> float:
        """Return the weight of the autoencoder's own J."""
        return float(self.reconstruction_weight) if self.training == "joint" else 0.0

    def _train(
        self,
        source: Source,
        stages: Stages,
        stage: str = "head",
        selection: Selection | None = None,
    ) -> None:
        """Train the head, and the encoder where it trains too; ``stage`` names the checkpoints.

        ``selection`` says which rows are held out; None draws them.
        """
        seed = stages.seed
        model = self.autoencoder_.model_
        of_encoder = model.fingerprint() if stages.checkpoints is not None else ""
        given = source
        if selection is None:
            generator = Generator().manual_seed(seed)
            fraction = float(self.validation_fraction)
            selection = Grouping().select(self._n_units(source), fraction, generator=generator)
        self.training_rows_ = selection.training.nonzero()[:, 0].numpy()
        self.held_out_rows_ = selection.held_out.nonzero()[:, 0].numpy()
        task, source, scaling = self._prepared(source, seed, self._rows_of(selection.training))
        split = Split.of(source, selection)
        rows, validation = split.training, split.held_out
        told = 1.0 if validation is None else _share_told(validation)
        if not told or not _share_told(rows):
            raise UsageError(
                f"validation_fraction: {self.validation_fraction!r} leaves no label to train on, "
                "or none held out; give another random_state, or 0 to hold out nothing."
            )
        self._weigh(task, split)
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

        def identity() -> dict[str, Any]:
            y = digest_of(given.targets)
            weights = {} if given.weights is None else {"weights": digest_of(given.weights)}
            return {"encoder": of_encoder, **given.identity(), "y": y, **weights}

        def described(record: TrainingRecord) -> Artefact:
            self._adopt(record, told=told, max_epochs=epochs)
            return self.to_artefact()

        whole = self._opens_as_model and stage == "head"
        with (
            Progress(self.verbose, epochs) as progress,
            stages.of_loop(stage, identity, described if whole else None) as watch,
        ):
            record = train(
                trainer,
                rows,
                max_epochs=epochs,
                batch_size=batch_size,
                validation=validation,
                patience=self.patience,
                watch=replace(watch, on_epoch=progress.epoch),
            )
            progress.ended(record)
        model.objective.eval()
        self._adopt(record, told=told, max_epochs=epochs)

    _opens_as_model: ClassVar[bool] = True
    """Whether a head is whole when its loop is done, so that a checkpoint of it is a model."""

    @abstractmethod
    def to_artefact(self) -> Artefact:
        """Return the content of the model file."""

    def _n_units(self, source: Source) -> int:
        """Return the number of rows, or pairs, that the split draws from."""
        return source.n_rows

    def _rows_of(self, units: Tensor) -> Tensor:
        """Return the mask of the rows that a mask of rows, or pairs, selects."""
        return units

    def _begin_head(self, source: Source, seed: int, training: Tensor) -> Tensor:
        """Make the head from the rows of the mask ``training``, and return the features
        (n_samples, width) of all rows of the source it reads."""
        model = self.autoencoder_.model_
        model.to(resolve_device(self.device))
        self.layer_ = layer_number(model, self.layer)
        width = layer_widths(model)[self.layer_]
        check_result_fits((source.n_rows, width), "features of all rows", "give fewer rows")
        features = torch.cat(list(features_read(model, source, self.layer_)))
        widths = [*widths_of(self.hidden), self._n_outputs(features.shape[1])]
        check_head_fits(
            *dense_sizes([features.shape[1], *widths]),
            batch_size=batch_size_for(self.batch_size, source.n_rows),
            device=model.device,
            lower=f"hidden={self.hidden!r}" if len(widths) > 1 else "the number of classes",
        )
        generator = Generator().manual_seed(seed)
        head = self._new_head(model, widths, self.activation, generator=generator)
        self.head_ = head.to(model.device)
        self._start_head(features, source, training)
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

    def _start_head(self, features: Tensor, source: Source, training: Tensor) -> None:
        """Set what the head begins with, from the features (n_samples, width) of the source, of
        which only the rows to train on count."""
        if self.training == "frozen":
            kept = training.to(features.device)
            weights = None if source.weights is None else source.weights[training]
            self.head_.start_at(features[kept], weights)

    def _task(self) -> FeatureTask:
        """Return what the head is to learn."""
        return HeadTask(
            self.head_, classification=self._classification, dropout=float(self.dropout)
        )

    def _weigh(self, task: Trainable, split: Split) -> None:
        """Scale the weights of the rows to mean 1 over the rows of known y."""
        for rows in split.parts:
            if rows.weights is not None and rows.targets is not None:
                rows.weights = of_mean_one(rows.weights, known_rows(rows.targets))

    def _smoothed(self, task: CodeTask) -> Trainable:
        """Return the task, with what is asked of nearby rows."""
        return task

    def _arranged(self, source: Source) -> Source:
        """Return the source as the task reads it where the encoder trains."""
        return source

    def _trained_on(self, rows: Source) -> Source:
        """Return the rows that an epoch is of, from those that are not held out."""
        return rows

    def _epochs(self, steps: int) -> int:
        """Return how often to pass over rows that make so many steps."""
        if self.max_epochs is None:
            return epochs_of_steps(self._least_steps, steps, most=self._least_steps // 2)
        return int(self.max_epochs)

    def _rate(self) -> float:
        if self.learning_rate is None:
            return 1e-2 if self.training == "frozen" else 1e-3
        return float(self.learning_rate)

    def _adopt(self, record: TrainingRecord, *, told: float = 1.0, max_epochs: int = 0) -> None:
        """Set what the training left; ``told`` is the share of the rows held out with a label."""
        self.max_epochs_ = max_epochs
        self.history_ = [epoch.objective for epoch in record.epochs]
        self.validation_history_ = [
            epoch.validation / told for epoch in record.epochs if epoch.validation is not None
        ]
        self.n_epochs_ = len(record.epochs)


def _share_told(source: Source) -> float:
    """Return the share of the rows whose y is known."""
    y = source.targets_in_order()
    assert y is not None
    return float(known_rows(y).double().mean())
