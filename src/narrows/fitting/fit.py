"""Fit a model: build it, pretrain, train and calibrate, with checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from narrows.artefact import Artefact
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.fitting.builders import (
    check_loss,
    minimize,
    new_model,
    new_trainable,
    scaled_mean,
)
from narrows.fitting.neighbor_model import NEIGHBOR_MODEL, neighbor_codes
from narrows.fitting.plan import Plan, training_settings
from narrows.model.baseline import fit_baseline
from narrows.model.measured import calibrate
from narrows.model.model import Model
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.precision import resolve_device
from narrows.training.pretraining import pretrain
from narrows.training.record import Epoch, TrainingRecord
from narrows.training.watch import Watch

__all__ = ["fit_model", "interrupted_identity"]


def fit_model(
    plan: Plan,
    source: Source,
    rows: Split,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    extra: Mapping[str, Any] | None = None,
    watch: Watch,
) -> tuple[Model, TrainingRecord]:
    """Build and train a model; return it, with its baseline, and the training record.

    ``source`` holds all rows, ``rows`` their split. Everything is fitted to the training rows; the
    held-out rows decide when to stop, and calibrate the errors. ``extra`` is what the estimator
    adds to the model file; with it, checkpoints can be opened as models. ``watch`` has the
    callbacks; its checkpoints are opened here.
    """
    with _open_checkpoints(checkpoint, resume=resume) as (checkpoints, saved):
        watch = replace(
            watch,
            checkpoints=checkpoints,
            resume=resume,
            saved=saved,
            identity=plan.identity(source, rows) if checkpoints else {},
        )
        labels = None
        if plan.n_neighbors:
            labels = _labels(rows)
            rows = _with_row_numbers(rows)
        elif rows.inputs is not None:
            rows = replace(rows, inputs=_with_row_numbers(rows.inputs))
        model = new_model(plan, source)
        if plan.validation_data and rows.held_out is not None:
            check_loss(model, rows.held_out)
            model.check_units(rows.net_inputs.held_out or rows.held_out)
        model.baseline = fit_baseline(
            rows.training, model.scaling, model.n_components, seed=plan.seed
        )
        layers: list[list[Epoch]] = []
        if plan.pretraining is not None:
            device = resolve_device(plan.device)
            layers = pretrain(
                model.to(device),
                rows.training,
                plan.pretraining,
                mean=scaled_mean(plan).to(device),
                precision=plan.precision,
                seed=plan.seed,
                watch=watch,
            )
        codes, neighbor_epochs = None, []
        if plan.n_neighbors and plan.neighbors_by == "code":
            codes, neighbor_epochs = neighbor_codes(plan, source, rows, watch, labels)

        def snapshot(record: TrainingRecord) -> Artefact:
            model.record = _as_json(plan, record)
            return model.to_artefact(extra or {})

        record = minimize(
            plan,
            model,
            new_trainable(plan, model, rows, codes, labels),
            rows,
            watch if extra is None else replace(watch, snapshot=snapshot),
        )
        model.objective.eval()
        if rows.held_out is not None:
            calibrate(model, rows.held_out, seed=plan.seed)
        model.record = _as_json(plan, record)
        if layers:
            model.record["pretraining"] = [[asdict(epoch) for epoch in layer] for layer in layers]
        if neighbor_epochs:
            model.record["neighbor_model"] = [asdict(epoch) for epoch in neighbor_epochs]
        return model, record


@contextmanager
def _open_checkpoints(
    folder: Path | None, *, resume: bool
) -> Iterator[tuple[Checkpoints | None, Artefact | None]]:
    """Open the checkpoints in a folder; yield them, and the newest one if training resumes."""
    if folder is None:
        yield None, None
        return
    with closing(Checkpoints(folder)) as checkpoints:
        saved = checkpoints.newest() if resume else None
        if not resume:
            checkpoints.discard_on_next_save()
        try:
            yield checkpoints, saved
        except Exception:
            checkpoints.clear_if_empty()
            raise


def interrupted_identity(folder: Path) -> dict[str, Any]:
    """Return the identity in the newest checkpoint of an interrupted run; {} if there is none.

    A run that stopped in its first part only has checkpoints of that part.
    """
    if not folder.is_dir():
        return {}
    with closing(Checkpoints(folder)) as checkpoints:
        saved = checkpoints.newest()
        for part in ("layer-1", NEIGHBOR_MODEL):
            if saved is None and (checkpoints.folder / part).is_dir():
                with closing(checkpoints.subfolder(part)) as first:
                    saved = first.newest()
    return {} if saved is None else saved.spec["identity"]


def _labels(rows: Split) -> torch.Tensor | None:
    """Return the y of the training rows followed by the held-out rows; None if there is none."""
    parts = [part.targets_in_order() for part in rows.parts]
    labeled = [part for part in parts if part is not None]
    return torch.cat(labeled) if len(labeled) == len(parts) else None


def _with_row_numbers(rows: Split) -> Split:
    """Set the targets to row numbers, to look up each row's neighborhood or clean row."""
    n = rows.training.n_rows
    held_out = rows.held_out
    if held_out is not None:
        held_out = held_out.labeled(torch.arange(n, n + held_out.n_rows))
    return Split(rows.training.labeled(torch.arange(n)), held_out)


def _as_json(plan: Plan, record: TrainingRecord) -> dict[str, Any]:
    return {**training_settings(plan), **asdict(record)}
