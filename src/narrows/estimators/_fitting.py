"""From a plan and a source to a fitted model: the one place where the parts work together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator

from narrows.applications.anomalies import calibrate
from narrows.artefact import Artefact
from narrows.baseline import fit_baseline
from narrows.data.source import Source
from narrows.errors import UsageError
from narrows.estimators._parts import (
    check_loss,
    minimise,
    new_model,
    new_trainer,
    scaled_mean,
    trained,
)
from narrows.estimators._plan import Plan
from narrows.estimators._teacher import TEACHER, teacher_codes
from narrows.model import Model
from narrows.training.checkpoints import Checkpoints
from narrows.training.loop import train
from narrows.training.precision import resolve_device
from narrows.training.pretraining import pretrain
from narrows.training.run import Epoch, TrainingRecord
from narrows.training.trainer import Trainer

__all__ = ["fit_model", "partial_fit_model"]


def fit_model(
    plan: Plan,
    source: Source,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    extra: Mapping[str, Any] | None = None,
    stop_requested: Callable[[], bool] = lambda: False,
    on_epoch: Callable[[int, Epoch], None] = lambda number, epoch: None,
    on_part: Callable[[str, int, Epoch], None] = lambda part, number, epoch: None,
) -> tuple[Model, TrainingRecord]:
    """Build, train and measure; return the model, with its baseline, and the training record.

    ``extra`` is what the estimator adds to the model file: checkpoints then open as models.
    """
    checkpoints = None if checkpoint is None else Checkpoints(checkpoint)
    with nullcontext() if checkpoints is None else closing(checkpoints):
        saved = checkpoints.newest() if checkpoints is not None and resume else None
        if checkpoints is not None and not resume:
            checkpoints.begin_anew()
        if checkpoints is not None and resume and plan.seed_is_drawn:
            # nobody named a seed: the run that goes on keeps the one that it drew
            plan = replace(plan, seed=_drawn_seed(checkpoints, saved, plan.seed))
        return _fit(
            plan, source, checkpoints, saved, resume, extra, stop_requested, on_epoch, on_part
        )


def _drawn_seed(checkpoints: Checkpoints, saved: Artefact | None, fresh: int) -> int:
    """Return the seed of an interrupted run, from its first part where it got no further."""
    for part in ("layer-1", TEACHER):
        if saved is None and (checkpoints.folder / part).is_dir():
            with closing(checkpoints.beside(part)) as first:
                saved = first.newest()
    return fresh if saved is None else saved.spec["identity"]["seed"]


def _fit(
    plan: Plan,
    source: Source,
    checkpoints: Checkpoints | None,
    saved: Artefact | None,
    resume: bool,
    extra: Mapping[str, Any] | None,
    stop_requested: Callable[[], bool],
    on_epoch: Callable[[int, Epoch], None],
    on_part: Callable[[str, int, Epoch], None],
) -> tuple[Model, TrainingRecord]:
    splitter = Generator().manual_seed(plan.seed)
    if plan.neighbours:
        source = source.labelled(
            torch.arange(source.n_rows)
        )  # whose neighbourhood a row is to rebuild
    training, validation = source.split(plan.validation_fraction, generator=splitter)
    model = new_model(plan, source)
    model.baseline = fit_baseline(training, model.scaling, model.n_components, seed=plan.seed)
    identity = plan.identity(source) if checkpoints else None
    layers: list[list[Epoch]] = []
    if plan.pretraining is not None:
        device = resolve_device(plan.device)
        layers = pretrain(
            model.to(device).objective,
            model.scaling,
            training,
            plan.pretraining,
            parameters=plan.parameters,
            mean=scaled_mean(plan).to(device),
            device=device,
            precision=plan.precision,
            seed=plan.seed,
            checkpoints=checkpoints,
            resume=resume,
            identity=identity,
            stop_requested=stop_requested,
            on_epoch=lambda layer, number, epoch: on_part(f"layer {layer}", number, epoch),
        )
    codes, taught = None, []
    if plan.neighbours and plan.neighbours_by == "code":
        codes, taught = teacher_codes(
            plan,
            source,
            training,
            validation,
            checkpoints=checkpoints,
            resume=resume,
            stop_requested=stop_requested,
            on_epoch=lambda number, epoch: on_part("teacher", number, epoch),
        )

    def described(record: TrainingRecord) -> Artefact:
        model.record = _as_json(plan, record)
        return model.to_artefact(extra or {})

    record = minimise(
        plan,
        model,
        trained(plan, model, source, codes),
        training,
        validation,
        checkpoints=checkpoints,
        identity=identity,
        saved=saved,
        described=None if extra is None else described,
        stop_requested=stop_requested,
        on_epoch=on_epoch,
    )
    model.objective.eval()
    if validation is not None:
        calibrate(model, validation, seed=plan.seed)
    model.record = _as_json(plan, record)
    if layers:
        model.record["pretraining"] = [[asdict(epoch) for epoch in layer] for layer in layers]
    if taught:
        model.record["teacher"] = [asdict(epoch) for epoch in taught]
    return model, record


def partial_fit_model(
    plan: Plan, source: Source, model: Model | None, trainer: Trainer | None
) -> tuple[Model, TrainingRecord, Trainer]:
    """Pass once over the source at the full learning rate, going on where the last call ended."""
    if model is None:
        model = new_model(plan, source)
        model.baseline = fit_baseline(source, model.scaling, model.n_components, seed=plan.seed)
    else:
        _check_same_net(plan, model)
        model.densities = {}  # they are of the codes before
        model.calibration = None
        check_loss(model, source)
    if trainer is None:
        trainer = new_trainer(plan, model, model.objective)
    record = train(
        trainer,
        source,
        max_epochs=1,
        batch_size=plan.batch_size,
        constant_rate=True,
    )
    model.objective.eval()
    before = [Epoch(**epoch) for epoch in model.record.get("epochs", ())]
    record.epochs = before + record.epochs
    pretraining = {k: v for k, v in model.record.items() if k == "pretraining"}
    model.record = {**_as_json(plan, record), **pretraining}
    return model, record, trainer


def _check_same_net(plan: Plan, model: Model) -> None:
    for name in ("n_components", "hidden", "activation"):
        asked, built = plan.parameters.get(name), model.parameters.get(name)
        if asked != built:
            raise UsageError(
                f"partial_fit: {name} is {asked!r}, the net was built with {built!r}; call fit."
            )


def _as_json(plan: Plan, record: TrainingRecord) -> dict[str, Any]:
    return {
        "seed": plan.seed,
        "max_epochs": plan.max_epochs,
        "batch_size": plan.batch_size,
        "learning_rate": plan.learning_rate,
        "neighbours": plan.neighbours,
        "neighbours_by": plan.neighbours_by,
        **asdict(record),
    }
