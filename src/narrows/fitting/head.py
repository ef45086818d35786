"""Train a head on a layer of a fitted encoder, with or without the encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from narrows.artefact import Artefact
from narrows.core.pieces import piece_from_spec
from narrows.core.targets import known_rows
from narrows.core.terms import Trainable
from narrows.core.weights import normalize_weights
from narrows.corruptions import CORRUPTIONS
from narrows.data.array_sources import DenseSource
from narrows.data.memory import check_result_fits
from narrows.data.scaling import Scaling
from narrows.data.source import Source, identity_of, n_batches
from narrows.data.splitting import Grouping, Selection, Split
from narrows.errors import UsageError
from narrows.fitting.plan import batch_size_for, epochs_for_steps
from narrows.model.features import feature_widths, head_features
from narrows.model.model import Model
from narrows.objectives.code_task import CodeTask, FeatureTask, Head
from narrows.training.early_stopping import EarlyStopping
from narrows.training.loop import held_out_errors, train
from narrows.training.precision import resolve_device
from narrows.training.progress import Progress
from narrows.training.record import Epoch, TrainingRecord
from narrows.training.sizes import check_head_fits, dense_sizes
from narrows.training.stages import Stages, digest_of
from narrows.training.trainer import Trainer

__all__ = [
    "FittedHead",
    "HeadRecipe",
    "HeadSettings",
    "PreparedHead",
    "feature_head",
    "features_of_rows",
    "fit_head",
    "new_head",
    "prepare_feature_head",
    "weigh_rows",
]


@dataclass(frozen=True)
class HeadSettings:
    """The training arguments that all heads share."""

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
    verbose: int

    @property
    def frozen(self) -> bool:
        """Whether the encoder is not trained."""
        return self.training == "frozen"

    @property
    def reconstruction_share(self) -> float:
        """The weight of the autoencoder's own J in the objective, 0 unless training is "joint"."""
        return self.reconstruction_weight if self.training == "joint" else 0.0


@dataclass(frozen=True)
class PreparedHead:
    """An untrained head, the task to minimize, and the rows to train on with their scaling."""

    head: Any
    layer: int
    task: Trainable
    rows: Source
    scaling: Scaling
    solved: bool = False
    """Whether there is nothing left to train."""
    started: bool = False
    """Whether it starts at a probe, which is kept unless held-out rows say clearly otherwise."""


Prepare = Callable[[Model, Source, HeadSettings, int, Tensor], PreparedHead]
"""Prepares a head, from the model, rows with targets, settings, seed, and mask of training rows."""


def weigh_rows(split: Split) -> None:
    """Scale the weights of each part to mean 1 over its rows of known y."""
    for rows in split.parts:
        if rows.weights is not None and rows.targets is not None:
            rows.weights = normalize_weights(rows.weights, known_rows(rows.targets))


@dataclass(frozen=True)
class HeadRecipe:
    """How to build and train one kind of head, for ``fit_head``."""

    prepare: Prepare
    weigh: Callable[[Split], None] = weigh_rows
    """Sets the weights of rows before training."""

    rows_to_train_on: Callable[[Source], Source] = lambda rows: rows
    """Selects the rows of an epoch from the training rows."""

    paired: bool = False
    """Whether rows i and n + i are a pair, to be held out together."""

    least_steps: int = 1000
    """Minimum number of steps if ``max_epochs`` is None."""

    rates: tuple[float, float] = (1e-2, 1e-3)
    """Default learning rates, with a frozen encoder and with one that is trained."""

    trials: bool = False
    """Whether trials choose the number of epochs, unless rows are held out."""

    def epochs(self, steps: int, max_epochs: int | None) -> int:
        """Return the number of epochs, of ``steps`` steps each."""
        if max_epochs is not None:
            return max_epochs
        return epochs_for_steps(self.least_steps, steps, most=self.least_steps // 2)


@dataclass(frozen=True)
class FittedHead:
    """A trained head and the record of its training."""

    head: Any
    layer: int
    record: TrainingRecord
    max_epochs: int
    training_rows: Tensor
    held_out_rows: Tensor
    share_labeled: float = 1.0
    """Fraction of the held-out rows whose y is known."""


def feature_head(
    model: Model,
    layer: int,
    widths: list[int],
    activation: str,
    *,
    reads: str = "code",
    generator: Generator,
) -> Head:
    """Return an untrained head on a layer, the rows or both."""
    n_features = sum(feature_widths(model, layer, reads))
    return Head(n_features, widths, activation=activation, reads=reads, generator=generator)


def features_of_rows(
    model: Model, source: Source, layer: int, reads: str = "code", *, device: str
) -> Tensor:
    """Move the model to a device, and return what a head reads of all rows, (n_samples,
    n_features); ``layer`` is counted from 0."""
    model.to(resolve_device(device))
    shape = (source.n_rows, sum(feature_widths(model, layer, reads)))
    check_result_fits(shape, "features of all rows", "give fewer rows")
    return torch.cat(list(head_features(model, source, layer, reads)))


def new_head(
    model: Model,
    source: Source,
    settings: HeadSettings,
    seed: int,
    layer: int,
    widths: list[int],
    activation: str = "linear",
    reads: str = "code",
) -> Head:
    """Return an untrained head on a layer, counted from 0; ``widths`` are those of its layers, the
    outputs last.

    Raises
    ------
    ResourceError
        If training it would need more memory than is available.
    """
    hidden = tuple(widths[:-1])
    check_head_fits(
        *dense_sizes([sum(feature_widths(model, layer, reads)), *widths]),
        batch_size=batch_size_for(settings.batch_size, source.n_rows),
        device=model.device,
        lower=f"hidden={hidden!r}" if hidden else "the number of classes",
    )
    generator = Generator().manual_seed(seed)
    head = feature_head(model, layer, widths, activation, reads=reads, generator=generator)
    return head.to(model.device)


def prepare_feature_head(
    model: Model,
    source: Source,
    settings: HeadSettings,
    task: FeatureTask,
    layer: int,
    features: Tensor,
    corruption: dict[str, Any],
) -> PreparedHead:
    """Return the head of a task on a layer, and what is needed to train it.

    ``features`` (n_samples, width) are the activations of that layer for all rows. They are
    trained on if the encoder is frozen; otherwise the rows are, with a ``corruption``.
    """
    if settings.frozen:
        # the encoder does not change, so its features are computed once
        rows = DenseSource(features.cpu()).copy_metadata(source).labeled(source.targets)
        rows.weights = source.weights
        return PreparedHead(task.head, layer, task, rows, Scaling("none"))
    on_code = CodeTask(
        model.objective,
        task,
        layer=layer,
        corruption=piece_from_spec(CORRUPTIONS, corruption, slot="corruption"),
        reconstruction_weight=settings.reconstruction_share,
    )
    return PreparedHead(task.head, layer, on_code, source, model.scaling)


def fit_head(
    recipe: HeadRecipe,
    model: Model,
    source: Source,
    settings: HeadSettings,
    stages: Stages,
    *,
    stage: str = "head",
    selection: Selection | None = None,
    snapshot: Callable[[FittedHead], Artefact] | None = None,
    stopping: EarlyStopping | None = None,
    last_epoch: int | None = None,
) -> FittedHead:
    """Train a head in place, and the model's encoder too unless it is frozen.

    Parameters
    ----------
    source : Source
        Rows with targets, in the precision of the model's scaling.
    stage : str
        Name of the folder of checkpoints.
    selection : Selection, optional
        The held-out rows; None draws them.
    snapshot : callable, optional
        Returns the current content of the model file, so that checkpoints open as models.
    stopping, last_epoch : optional
        As in ``train``.

    Raises
    ------
    UsageError
        If no y is known in the training rows, or in the held-out rows.
    """
    seed = stages.seed
    encoder_digest = model.fingerprint() if stages.checkpoints is not None else ""
    if selection is None:
        n_units = source.n_rows // 2 if recipe.paired else source.n_rows
        generator = Generator().manual_seed(seed)
        selection = Grouping().select(n_units, settings.validation_fraction, generator=generator)
    training = selection.training.repeat(2) if recipe.paired else selection.training
    prepared = recipe.prepare(model, source, settings, seed, training)
    split = Split.of(prepared.rows, selection)
    rows, validation = split.training, split.held_out
    labeled = 1.0 if validation is None else _share_labeled(validation)
    if not labeled or not _share_labeled(rows):
        raise UsageError(
            f"validation_fraction: {settings.validation_fraction!r} leaves no label in the "
            "training rows, or none in the held-out rows; give another random_state, or 0 to hold "
            "out no rows."
        )
    recipe.weigh(split)
    rows = recipe.rows_to_train_on(rows)
    rate = settings.learning_rate
    trainer = Trainer(
        prepared.task,
        prepared.scaling,
        learning_rate=recipe.rates[0 if settings.frozen else 1] if rate is None else rate,
        precision=settings.precision,
        device=model.device,
        seed=seed,
        weight_decay=settings.weight_decay,
        image_shape=model.schema.image_shape,
    )
    batch_size = batch_size_for(settings.batch_size, rows.n_rows)
    epochs = (
        0 if prepared.solved else recipe.epochs(n_batches(rows, batch_size), settings.max_epochs)
    )

    def identity() -> dict[str, Any]:
        y = digest_of(source.targets)
        weights = {} if source.weights is None else {"weights": digest_of(source.weights)}
        return {"encoder": encoder_digest, **identity_of(source), "y": y, **weights}

    def fitted(record: TrainingRecord) -> FittedHead:
        return FittedHead(
            prepared.head,
            prepared.layer,
            record,
            epochs,
            selection.training.nonzero()[:, 0],
            selection.held_out.nonzero()[:, 0],
            labeled,
        )

    file_so_far = None if snapshot is None else lambda record: snapshot(fitted(record))
    with (
        Progress(settings.verbose, epochs) as progress,
        stages.loop_watch(stage, identity, file_so_far) as watch,
    ):
        record = train(
            trainer,
            rows,
            max_epochs=epochs,
            batch_size=batch_size,
            validation=validation,
            patience=settings.patience,
            stopping=stopping,
            counts_start=prepared.started,
            last_epoch=last_epoch,
            watch=replace(watch, on_epoch=progress.epoch),
        )
        progress.ended(record)
    if not record.epochs:  # the head is the probe
        record.epochs = [_as_epoch(trainer, rows, validation)]
    model.objective.eval()
    return fitted(record)


def _as_epoch(trainer: Trainer, rows: Source, validation: Source | None) -> Epoch:
    """Return the errors of a head that was not trained, as those of one epoch."""
    loss = held_out_errors(trainer, rows).mean / _share_labeled(rows)
    held_out = None if validation is None else held_out_errors(trainer, validation).mean
    return Epoch(loss, loss, 0.0, held_out, 0.0)


def _share_labeled(source: Source) -> float:
    """Return the fraction of the rows whose y is known."""
    y = source.targets_in_order()
    assert y is not None
    return float(known_rows(y).double().mean())
