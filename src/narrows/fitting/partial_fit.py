"""One more pass over some rows; a call that fails leaves the net as it was."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from narrows.data.source import Source, with_targets
from narrows.errors import OutdatedWarning, TrainingDiverged, UsageError
from narrows.estimators.parameters import corruption_spec, spec_of, specs_of
from narrows.fitting.builders import check_loss, new_model, new_trainer
from narrows.fitting.plan import Plan, training_settings
from narrows.losses import LOSSES
from narrows.model.baseline import fit_baseline
from narrows.model.model import Model
from narrows.objectives.sampled_softmax import SampledSoftmax
from narrows.penalties import PENALTIES
from narrows.training.loop import train
from narrows.training.run import Epoch, TrainingRecord
from narrows.training.trainer import Trainer

__all__ = ["check_same_net", "partial_fit_model"]

_TAKE_EFFECT = frozenset(
    "augmentation batch_size device learning_rate n_neighbors neighbors_by precision random_state "
    "sampled_words verbose weight_decay".split()
)
_OF_FIT = frozenset(
    "cd_steps fine_tune max_epochs patience persistent pretrain pretrain_epochs "
    "pretrain_learning_rate validation_fraction".split()
)
_TRIED = 1024


def check_same_net(was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Refuse constructor arguments that changed since the net was built, and cannot take effect.

    Parameters
    ----------
    was, now : mapping
        Arguments as JSON values, by name; those that ``was`` lacks are not compared.

    Raises
    ------
    UsageError
        Naming the argument and both values.
    """
    for name in sorted(was.keys() & now.keys() - _TAKE_EFFECT):
        before, asked = _resolved(name, was[name]), _resolved(name, now[name])
        if before == asked:
            continue
        if name in _OF_FIT:
            raise UsageError(
                f"partial_fit: {name} is {asked!r} now and was {before!r}; only fit reads it, and "
                "partial_fit passes once over X. Set it back, or call fit."
            )
        raise UsageError(
            f"partial_fit: {name} is {asked!r}, the net was built with {before!r}; call fit, or "
            "set it back."
        )


def _resolved(name: str, value: Any) -> Any:
    """Return an argument in one form, so that equal pieces compare equal however they are given."""
    if name == "corruption":
        return corruption_spec(value)
    if name == "penalties":
        return specs_of(PENALTIES, value, slot=name)
    if name == "loss" and value != "auto":
        return spec_of(LOSSES, value, slot=name)
    return value


def partial_fit_model(
    plan: Plan, source: Source, model: Model | None, trainer: Trainer | None, *, seeded_anew: bool
) -> tuple[Model, TrainingRecord, Trainer]:
    """Pass once over the source at the full learning rate, going on where the last call ended.

    ``model`` is trained in place. If the call fails, it and ``trainer``, the trainer of the last
    call, stay as they were. ``seeded_anew`` restarts the random numbers from the plan's seed.

    Raises
    ------
    TrainingDiverged
        If the loss, a weight or the error of a row is not finite.
    """
    if model is None:
        model = new_model(plan, source)
        model.baseline = fit_baseline(source, model.scaling, model.n_components, seed=plan.seed)
    else:
        model.check_units(source)
        check_loss(model, source)
    objective = model.objective
    minimized = SampledSoftmax(objective, plan.sampled_words) if plan.sampled_words else objective
    fresh = new_trainer(plan, model, minimized)
    if trainer is not None:
        fresh.go_on_from(trainer, random=not seeded_anew)
    before = {name: value.clone() for name, value in objective.state_dict().items()}
    try:
        record = train(fresh, source, max_epochs=1, batch_size=plan.batch_size, constant_rate=True)
        _check_answers(fresh, source)
    except BaseException:
        objective.load_state_dict(before)
        raise
    finally:
        objective.eval()
    if model.densities or model.calibration is not None:
        warnings.warn(
            "partial_fit: the errors of held-out rows (p_values) and the densities of the codes "
            "(sample) that fit measured are dropped, because the net has changed; call fit for new "
            "ones, or give p_values normal rows as X_calibration.",
            OutdatedWarning,
            stacklevel=4,
        )
    model.densities, model.calibration = {}, None
    if model.value_range is not None and plan.statistics.value_range is not None:
        model.value_range = model.value_range.merged(plan.statistics.value_range)
    past = [Epoch(**epoch) for epoch in model.record.get("epochs", ())]
    record.epochs = past + record.epochs
    pretraining = {k: v for k, v in model.record.items() if k == "pretraining"}
    model.record = {**training_settings(plan), **asdict(record), **pretraining}
    return model, record, fresh


@torch.no_grad()
def _check_answers(trainer: Trainer, source: Source) -> None:
    """Raise TrainingDiverged where finite weights give errors that are not."""
    raw, y = next(iter(with_targets(source, _TRIED)))
    x = trainer.scaling.forward(raw.to(trainer.device))
    errors = trainer.objective.error(x, None if y is None else y.to(trainer.device))
    if not bool(torch.isfinite(errors).all()):
        raise TrainingDiverged(
            "partial_fit: the error of a row is not finite after this pass; the weights are those "
            f"before it. Lower learning_rate ({trainer.learning_rate:g}) or scale the data."
        )
