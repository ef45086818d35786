"""Build what a plan describes: the net, the objective to minimize, and the trainer."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from narrows.augmentations import AUGMENTATIONS
from narrows.core.custom_pieces import (
    check_augmentation,
    check_custom_pieces,
    check_separate,
)
from narrows.core.pieces import piece_from_spec
from narrows.core.terms import Trainable
from narrows.corruptions import Identity
from narrows.data.source import Source, with_targets
from narrows.data.splitting import Split
from narrows.fitting.plan import Plan
from narrows.model.model import Model
from narrows.model.schema import Schema
from narrows.objectives.neighbors import NeighborObjective, neighborhoods, own_neighborhoods
from narrows.objectives.sampled_softmax import SampledSoftmax
from narrows.training.early_stopping import EarlyStopping
from narrows.training.loop import train
from narrows.training.precision import resolve_device
from narrows.training.record import TrainingRecord
from narrows.training.sizes import check_net_fits
from narrows.training.trainer import Trainer
from narrows.training.watch import Watch
from narrows.variants.building import build_objective

__all__ = [
    "check_loss",
    "judge_epochs",
    "minimize",
    "new_model",
    "new_trainable",
    "new_trainer",
    "scaled_mean",
]

_TRIED = 2
"""Rows on which a user's own pieces are tried."""


def new_model(plan: Plan, source: Source) -> Model:
    """Return an untrained model for a plan and the rows of a source.

    Raises
    ------
    ResourceError
        If training it would need more memory than is available.
    """
    check_separate(plan.parameters.get("encoder"), plan.parameters.get("decoder"))
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
    _try_custom_pieces(plan, model, source)
    objective.start_at(scaled_mean(plan))
    if model.n_components >= source.n_features and not isinstance(objective.corruption, Identity):
        objective.judged_by = "objective"  # on clean rows a code so wide is best if it only copies
    return model


def judge_epochs(plan: Plan, model: Model) -> None:
    """Say how the epochs of a net that has started linear are judged, beside its start.

    By J with all corruption, noise and penalties that the user asked for. Beside those that an
    estimator has by default, an epoch has to reconstruct clean rows better than the linear code; a
    code as wide as the rows has no error at the start, and so no such bound.
    """
    objective = model.objective
    disturbed = objective.judged_by == "objective" or not isinstance(objective.corruption, Identity)
    narrow = model.n_components < model.schema.n_features
    if disturbed:
        objective.judged_by = "bounded" if plan.bounded and narrow else "objective"


def _try_custom_pieces(plan: Plan, model: Model, source: Source) -> None:
    """Pass the first rows through the user's own pieces, to find faults before training."""
    raw, y = next(with_targets(source, _TRIED))
    x = model.scaling.forward(raw)
    check_custom_pieces(model.objective, x, y, mean=scaled_mean(plan))
    if plan.augmentation is not None and not isinstance(plan.augmentation, dict):
        check_augmentation(plan.augmentation, x, source.image_shape)


def scaled_mean(plan: Plan) -> Tensor:
    """Return the mean of the scaled rows, (n_features,)."""
    scaled = plan.scaling.forward(plan.statistics.mean[None])
    assert isinstance(scaled, Tensor)
    return scaled[0]


def check_loss(model: Model, source: Source) -> None:
    """Raise InvalidData, before training, if a row has values that the loss refuses."""
    loss = model.objective.loss
    if loss.bounded:
        for raw in source.in_order(16384):
            loss.check(model.scaling.forward(raw))


def new_trainable(
    plan: Plan,
    model: Model,
    rows: Split,
    codes: np.ndarray | None = None,
    labels: Tensor | None = None,
) -> Trainable:
    """Return what the loop minimizes: the model's objective, or a variation of it.

    ``codes`` (n_samples, width), of the training rows followed by the held-out rows, define the
    nearest rows if the rows themselves do not. ``labels`` is the y of these rows, if the targets
    hold row numbers instead.
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
    """Move the model to the plan's device, and return a trainer of an objective of it."""
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
    """Return the fraction of the epochs in which images are augmented."""
    spec = plan.augmentation
    return float(spec["until"]) if isinstance(spec, dict) else getattr(spec, "until", 1.0)


def minimize(
    plan: Plan,
    model: Model,
    objective: Trainable,
    rows: Split,
    watch: Watch,
    stopping: EarlyStopping | None = None,
    counts_start: bool = False,
    last_epoch: int | None = None,
) -> TrainingRecord:
    """Train a model in place, with the settings of the plan; the rest is as in ``train``."""
    return train(
        new_trainer(plan, model, objective),
        rows.net_inputs.training,
        max_epochs=plan.max_epochs,
        batch_size=plan.batch_size,
        validation=rows.net_inputs.held_out,
        patience=plan.patience,
        augment_until=_augment_until(plan),
        stopping=stopping,
        counts_start=counts_start,
        last_epoch=last_epoch,
        watch=watch,
    )
