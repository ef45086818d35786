"""Train a model for one more pass over some rows; a failed call leaves it unchanged."""

from __future__ import annotations

from dataclasses import asdict

import torch

from narrows.data.source import Source, with_targets
from narrows.errors import TrainingDiverged
from narrows.fitting.builders import check_loss, new_model, new_trainer
from narrows.fitting.linear_start import start_at_linear_code
from narrows.fitting.plan import Plan, training_settings
from narrows.model.baseline import fit_baseline
from narrows.model.model import Model
from narrows.objectives.sampled_softmax import SampledSoftmax
from narrows.training.loop import train
from narrows.training.record import Epoch, TrainingRecord
from narrows.training.trainer import Trainer

__all__ = ["partial_fit_model"]

_N_CHECKED = 1024


def partial_fit_model(
    plan: Plan, source: Source, model: Model | None, trainer: Trainer | None, *, reseed: bool
) -> tuple[Model, TrainingRecord, Trainer]:
    """Train for one pass over the source at the full learning rate, continuing the last call.

    ``model`` is trained in place. If the call fails, it and ``trainer``, the trainer of the last
    call, stay unchanged. ``reseed`` restarts the random generators from the plan's seed.

    Raises
    ------
    TrainingDiverged
        If the loss, a weight or the error of a row is not finite.
    """
    if model is None:
        model = new_model(plan, source)
        model.baseline = fit_baseline(source, model.scaling, model.n_components, seed=plan.seed)
        if plan.linear_start and model.baseline is not None:
            start_at_linear_code(model, source, model.baseline, seed=plan.seed)
    else:
        model.check_units(source)
        check_loss(model, source)
    objective = model.objective
    minimized = SampledSoftmax(objective, plan.sampled_words) if plan.sampled_words else objective
    new = new_trainer(plan, model, minimized)
    if trainer is not None:
        new.continue_from(trainer, random=not reseed)
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    try:
        record = train(new, source, max_epochs=1, batch_size=plan.batch_size, constant_rate=True)
        _check_errors(new, source)
    except BaseException:
        objective.load_state_dict(before)
        raise
    finally:
        objective.eval()
    model.densities, model.calibration = {}, None
    if model.value_range is not None and plan.statistics.value_range is not None:
        model.value_range = model.value_range.merged(plan.statistics.value_range)
    past = [Epoch(**epoch) for epoch in model.record.get("epochs", ())]
    record.epochs = past + record.epochs
    pretraining = {k: v for k, v in model.record.items() if k == "pretraining"}
    model.record = {**training_settings(plan), **asdict(record), **pretraining}
    return model, record, new


@torch.no_grad()
def _check_errors(trainer: Trainer, source: Source) -> None:
    """Raise TrainingDiverged if finite weights give errors that are not finite."""
    raw, y = next(iter(with_targets(source, _N_CHECKED)))
    x = trainer.scaling.forward(raw.to(trainer.device))
    errors = trainer.objective.error(x, None if y is None else y.to(trainer.device))
    if not bool(torch.isfinite(errors).all()):
        raise TrainingDiverged(
            "partial_fit: the error of a row is not finite after this pass; the weights are those "
            f"before it. Lower learning_rate ({trainer.learning_rate:g}) or scale the data."
        )
