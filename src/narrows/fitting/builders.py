"""The parts of a training that a plan asks for: the net, what is minimized, and the trainer."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from narrows.augmentations import AUGMENTATIONS
from narrows.core.own_pieces import check_own_shapes
from narrows.core.pieces import piece_from_spec
from narrows.core.terms import Trainable
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.fitting.plan import Plan
from narrows.model.model import Model
from narrows.model.schema import Schema
from narrows.objectives.neighbors import NeighborObjective, neighborhoods, own_neighborhoods
from narrows.objectives.sampled_softmax import SampledSoftmax
from narrows.training.loop import train
from narrows.training.precision import resolve_device
from narrows.training.run import TrainingRecord, Watch
from narrows.training.sizes import check_net_fits
from narrows.training.trainer import Trainer
from narrows.variants.building import build_objective

__all__ = ["check_loss", "minimize", "new_model", "new_trainer", "scaled_mean", "trained"]


def new_model(plan: Plan, source: Source) -> Model:
    """Return the net of a plan, untrained, for rows like those of the source.

    Raises
    ------
    ResourceError
        If its training would need more memory than there is.
    """
    check_net_fits(
        plan.variant,
        plan.parameters,
        source.n_features,
        batch_size=plan.batch_size,
        device=resolve_device(plan.device),
    )
    objective = build_objective(plan.variant, plan.parameters, source.n_features, seed=plan.seed)
    schema = Schema(source.n_features, source.kind, source.names, source.image_shape)
    model = Model(plan.variant, plan.parameters, objective, plan.scaling, schema)
    model.vocabulary = source.vocabulary
    model.value_range = plan.statistics.value_range
    check_loss(model, source)
    check_own_shapes(objective.encoder, objective.decoder, source.n_features)
    objective.start_at(scaled_mean(plan))
    return model


def scaled_mean(plan: Plan) -> Tensor:
    """Return the mean of the scaled rows, (features,)."""
    scaled = plan.scaling.forward(plan.statistics.mean[None])
    assert isinstance(scaled, Tensor)
    return scaled[0]


def check_loss(model: Model, source: Source) -> None:
    """Have the loss refuse, before training, the values that it cannot take."""
    loss = model.objective.loss
    if loss.bounded:
        for raw in source.in_order(16384):
            loss.check(model.scaling.forward(raw))


def trained(
    plan: Plan,
    model: Model,
    rows: Split,
    codes: np.ndarray | None = None,
    labels: Tensor | None = None,
) -> Trainable:
    """Return what the loop minimizes: the formula, or what stands in its place.

    ``codes`` (n_samples, width), of the rows to train on and then of those held out, say which rows
    are near, where the rows themselves do not. ``labels`` are their y where y holds numbers.
    """
    if rows.inputs is not None:
        return NeighborObjective(model.objective, own_neighborhoods(rows, model.scaling))
    if plan.n_neighbors:
        around = neighborhoods(rows, model.scaling, plan.n_neighbors, codes=codes)
        return NeighborObjective(model.objective, around, labels)
    if plan.sampled_words:
        return SampledSoftmax(model.objective, plan.sampled_words)
    return model.objective


def new_trainer(plan: Plan, model: Model, objective: Trainable) -> Trainer:
    """Return what minimizes an objective as the plan says, the model on its device."""
    device = resolve_device(plan.device)
    model.to(device)
    augmentation = None
    if plan.augmentation is not None:
        augmentation = piece_from_spec(AUGMENTATIONS, plan.augmentation, slot="augmentation")
    return Trainer(
        objective,
        model.scaling,
        learning_rate=plan.learning_rate,
        precision=plan.precision,
        device=device,
        seed=plan.seed,
        weight_decay=plan.weight_decay,
        augmentation=augmentation,
        image_shape=model.schema.image_shape,
    )


def _augment_until(plan: Plan) -> float:
    """Return the share of the epochs in which images are augmented."""
    given = plan.augmentation
    return float(given["until"]) if isinstance(given, dict) else getattr(given, "until", 1.0)


def minimize(
    plan: Plan,
    model: Model,
    objective: Trainable,
    rows: Split,
    watch: Watch,
) -> TrainingRecord:
    """Train a model as the plan says, in place."""
    return train(
        new_trainer(plan, model, objective),
        rows.net_inputs.training,
        max_epochs=plan.max_epochs,
        batch_size=plan.batch_size,
        validation=rows.net_inputs.held_out,
        patience=plan.patience,
        augment_until=_augment_until(plan),
        watch=watch,
    )
