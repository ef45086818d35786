"""Fit a head to a layer of a fitted encoder, with or without the encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Generator, Tensor

from narrows.applications.heads.prediction import features_read, layer_number, layer_widths
from narrows.artefact import Artefact
from narrows.core.pieces import piece_from_spec
from narrows.core.terms import Trainable, known_rows, of_mean_one
from narrows.corruptions import CORRUPTIONS
from narrows.data.array_sources import DenseSource
from narrows.data.memory import check_result_fits
from narrows.data.scaling import Scaling
from narrows.data.source import Source
from narrows.data.splitting import Grouping, Selection, Split
from narrows.errors import UsageError
from narrows.fitting.plan import batch_size_for, epochs_of_steps
from narrows.model.model import Model
from narrows.objectives.code_task import CodeTask, FeatureTask, Head
from narrows.training.loop import train
from narrows.training.precision import resolve_device
from narrows.training.progress import Progress
from narrows.training.run import TrainingRecord
from narrows.training.sizes import check_head_fits, dense_sizes
from narrows.training.stages import Stages, digest_of
from narrows.training.trainer import Trainer

__all__ = [
    "FittedHead",
    "HeadRecipe",
    "HeadSettings",
    "Prepared",
    "begin_head",
    "feature_head",
    "fit_head",
    "on_features",
    "standardize_frozen",
    "weigh_rows",
]


@dataclass(frozen=True)
class HeadSettings:
    """The arguments that every head has for its training."""

    training: str
    layer: int
    hidden: list[int]
    activation: str
    corruption: dict[str, Any]
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
    verbose: int

    @property
    def frozen(self) -> bool:
        """Whether the encoder stays as it is."""
        return self.training == "frozen"

    @property
    def weight_of_rows(self) -> float:
        """The weight of the autoencoder's own J."""
        return self.reconstruction_weight if self.training == "joint" else 0.0


@dataclass(frozen=True)
class Prepared:
    """A head with its first weights, what to minimize, and over which rows."""

    head: Any
    layer: int
    task: Trainable
    rows: Source
    scaling: Scaling


Prepare = Callable[[Model, Source, HeadSettings, int, Tensor], Prepared]
"""A function of model, rows with their y, settings, seed, and the mask of the rows to train on."""


def weigh_rows(task: Trainable, split: Split) -> None:
    """Scale the weights of the rows to mean 1 over the rows of known y."""
    for rows in split.parts:
        if rows.weights is not None and rows.targets is not None:
            rows.weights = of_mean_one(rows.weights, known_rows(rows.targets))


@dataclass(frozen=True)
class HeadRecipe:
    """What a kind of head is, as functions for the one trainer."""

    prepare: Prepare
    weigh: Callable[[Trainable, Split], None] = weigh_rows
    """Sets the weights of rows or classes before training."""

    rows_to_train_on: Callable[[Source], Source] = lambda rows: rows
    """Chooses the rows of an epoch among those that are not held out."""

    paired: bool = False
    """Whether rows i and n + i are a pair, which is held out as one."""

    least_steps: int = 1000
    """Steps that few rows are trained for, where ``max_epochs`` is None."""

    rates: tuple[float, float] = (1e-2, 1e-3)
    """Learning rates where it is None: of a frozen encoder, and of one that trains."""

    def epochs(self, steps: int, max_epochs: int | None) -> int:
        """Return how often to pass over rows that make so many steps."""
        if max_epochs is not None:
            return max_epochs
        return epochs_of_steps(self.least_steps, steps, most=self.least_steps // 2)


@dataclass(frozen=True)
class FittedHead:
    """A head and how its training went."""

    head: Any
    layer: int
    record: TrainingRecord
    max_epochs: int
    training_rows: Tensor
    held_out_rows: Tensor
    share_labeled: float = 1.0
    """Share of the held-out rows whose y is known."""


def feature_head(
    model: Model, layer: int, widths: list[int], activation: str, *, generator: Generator
) -> Head:
    """Return a head with its first weights on the features of a layer."""
    n_features = layer_widths(model)[layer]
    return Head(n_features, widths, activation=activation, generator=generator)


def begin_head(
    model: Model,
    source: Source,
    settings: HeadSettings,
    seed: int,
    n_outputs: Callable[[int, int], int],
) -> tuple[Head, int, Tensor]:
    """Return a new head, its layer, and the features (n_samples, width) of all rows there.

    ``n_outputs`` returns the head's outputs from the layer's width and number.
    """
    model.to(resolve_device(settings.device))
    layer = layer_number(model, settings.layer)
    width = layer_widths(model)[layer]
    check_result_fits((source.n_rows, width), "features of all rows", "give fewer rows")
    features = torch.cat(list(features_read(model, source, layer)))
    widths = [*settings.hidden, n_outputs(width, layer)]
    check_head_fits(
        *dense_sizes([width, *widths]),
        batch_size=batch_size_for(settings.batch_size, source.n_rows),
        device=model.device,
        lower=f"hidden={tuple(settings.hidden)!r}" if len(widths) > 1 else "the number of classes",
    )
    generator = Generator().manual_seed(seed)
    head = feature_head(model, layer, widths, settings.activation, generator=generator)
    return head.to(model.device), layer, features


def standardize_frozen(
    head: Head, features: Tensor, source: Source, settings: HeadSettings, training: Tensor
) -> None:
    """Have a head standardize features that stay as they are, by the rows to train on."""
    if settings.frozen:
        weights = None if source.weights is None else source.weights[training]
        head.start_at(features[training.to(features.device)], weights)


def on_features(
    model: Model,
    source: Source,
    settings: HeadSettings,
    begun: tuple[Head, int, Tensor],
    task: FeatureTask,
    *,
    wrapped: Callable[[CodeTask], Trainable] = lambda task: task,
    arranged: Callable[[Source], Source] = lambda source: source,
) -> Prepared:
    """Return what to minimize for a head on features, and over which rows.

    Where the encoder trains too, ``wrapped`` adds to the task, and ``arranged`` orders the rows.
    """
    head, layer, features = begun
    if settings.frozen:
        # the encoder will not change: its features are computed once
        rows = DenseSource(features.cpu()).copy_metadata(source).labeled(source.targets)
        rows.weights = source.weights
        return Prepared(head, layer, task, rows, Scaling("none"))
    on_code = CodeTask(
        model.objective,
        task,
        layer=layer,
        corruption=piece_from_spec(CORRUPTIONS, settings.corruption, slot="corruption"),
        reconstruction_weight=settings.weight_of_rows,
    )
    return Prepared(head, layer, wrapped(on_code), arranged(source), model.scaling)


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
) -> FittedHead:
    """Train a head, and the model's encoder where the settings say so, in place.

    Parameters
    ----------
    source : Source
        Rows with their y, as precise as the model's scaling.
    stage : str
        Names the checkpoints.
    selection : Selection, optional
        Which rows are held out; None draws them.
    snapshot : callable, optional
        Returns the model file as training stands, for checkpoints to open as.

    Raises
    ------
    UsageError
        If no y is known in the rows to train on, or in those held out.
    """
    seed = stages.seed
    of_encoder = model.fingerprint() if stages.checkpoints is not None else ""
    given = source
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
            f"validation_fraction: {settings.validation_fraction!r} leaves no label to train on, "
            "or none held out; give another random_state, or 0 to hold out nothing."
        )
    recipe.weigh(prepared.task, split)
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
    epochs = recipe.epochs(rows.n_batches(batch_size), settings.max_epochs)

    def identity() -> dict[str, Any]:
        y = digest_of(given.targets)
        weights = {} if given.weights is None else {"weights": digest_of(given.weights)}
        return {"encoder": of_encoder, **given.identity(), "y": y, **weights}

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

    described = None if snapshot is None else lambda record: snapshot(fitted(record))
    with (
        Progress(settings.verbose, epochs) as progress,
        stages.of_loop(stage, identity, described) as watch,
    ):
        record = train(
            trainer,
            rows,
            max_epochs=epochs,
            batch_size=batch_size,
            validation=validation,
            patience=settings.patience,
            watch=replace(watch, on_epoch=progress.epoch),
        )
        progress.ended(record)
    model.objective.eval()
    return fitted(record)


def _share_labeled(source: Source) -> float:
    """Return the share of the rows whose y is known."""
    y = source.targets_in_order()
    assert y is not None
    return float(known_rows(y).double().mean())
