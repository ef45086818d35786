"""From a plan and a source to a fitted model: the one place where the parts work together."""

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
    scaled_mean,
    trained,
)
from narrows.fitting.neighbor_model import NEIGHBOR_MODEL, neighbor_codes
from narrows.fitting.plan import Plan, training_settings
from narrows.model.baseline import fit_baseline
from narrows.model.measured import calibrate
from narrows.model.model import Model
from narrows.training.checkpoints import Checkpoints
from narrows.training.precision import resolve_device
from narrows.training.pretraining import pretrain
from narrows.training.run import Epoch, TrainingRecord, Watch

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
    """Build, train and measure; return the model, with its baseline, and the training record.

    ``source`` holds all rows, ``rows`` splits them. Everything is fitted to the training rows;
    the held-out rows decide when to stop and calibrate the errors. ``extra`` is what the estimator
    adds to the model file: with it, checkpoints open as models. ``watch`` has the callbacks; its
    checkpoints are opened here.
    """
    with _opened(checkpoint, resume=resume) as (checkpoints, saved):
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
            rows = _numbered(rows)
        elif rows.inputs is not None:
            rows = replace(rows, inputs=_numbered(rows.inputs))
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
        codes, of_neighbors = None, []
        if plan.n_neighbors and plan.neighbors_by == "code":
            codes, of_neighbors = neighbor_codes(plan, source, rows, watch, labels)

        def snapshot(record: TrainingRecord) -> Artefact:
            model.record = _as_json(plan, record)
            return model.to_artefact(extra or {})

        record = minimize(
            plan,
            model,
            trained(plan, model, rows, codes, labels),
            rows,
            watch if extra is None else replace(watch, snapshot=snapshot),
        )
        model.objective.eval()
        if rows.held_out is not None:
            calibrate(model, rows.held_out, seed=plan.seed)
        model.record = _as_json(plan, record)
        if layers:
            model.record["pretraining"] = [[asdict(epoch) for epoch in layer] for layer in layers]
        if of_neighbors:
            model.record["neighbor_model"] = [asdict(epoch) for epoch in of_neighbors]
        return model, record


@contextmanager
def _opened(
    folder: Path | None, *, resume: bool
) -> Iterator[tuple[Checkpoints | None, Artefact | None]]:
    """Yield the checkpoints in a folder, and the newest one where a run resumes."""
    if folder is None:
        yield None, None
        return
    with closing(Checkpoints(folder)) as checkpoints:
        saved = checkpoints.newest() if resume else None
        if not resume:
            checkpoints.begin_anew()
        try:
            yield checkpoints, saved
        except Exception:
            checkpoints.clear_if_empty()
            raise


def interrupted_identity(folder: Path) -> dict[str, Any]:
    """Return the identity of an interrupted run, {} where there is no checkpoint.

    A run that stopped in its first part has a checkpoint of that part only.
    """
    if not folder.is_dir():
        return {}
    with closing(Checkpoints(folder)) as checkpoints:
        saved = checkpoints.newest()
        for part in ("layer-1", NEIGHBOR_MODEL):
            if saved is None and (checkpoints.folder / part).is_dir():
                with closing(checkpoints.beside(part)) as first:
                    saved = first.newest()
    return {} if saved is None else saved.spec["identity"]


def _labels(rows: Split) -> torch.Tensor | None:
    """Return the y of the rows to train on and then of those held out; None where there is none."""
    parts = [part.targets_in_order() for part in rows.parts]
    known = [part for part in parts if part is not None]
    return torch.cat(known) if len(known) == len(parts) else None


def _numbered(rows: Split) -> Split:
    """Set y to the row's number, by which its neighborhood or clean row is found."""
    n = rows.training.n_rows
    held_out = rows.held_out
    if held_out is not None:
        held_out = held_out.labeled(torch.arange(n, n + held_out.n_rows))
    return Split(rows.training.labeled(torch.arange(n)), held_out)


def _as_json(plan: Plan, record: TrainingRecord) -> dict[str, Any]:
    return {**training_settings(plan), **asdict(record)}
