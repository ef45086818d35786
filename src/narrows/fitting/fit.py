"""Fit a model: build it, pretrain, train and calibrate, with checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from narrows.artefact import Artefact
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.fitting.builders import (
    check_loss,
    judge_epochs,
    minimize,
    new_model,
    new_trainable,
    scaled_mean,
)
from narrows.fitting.linear_start import start_at_linear_code
from narrows.fitting.neighbor_model import NEIGHBOR_MODEL, neighbor_codes
from narrows.fitting.plan import Plan, training_settings
from narrows.fitting.trials import choose_epoch, merged_record
from narrows.model.baseline import fit_baseline
from narrows.model.measured import calibrate, calibrate_by, sorted_errors
from narrows.model.model import Model
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.early_stopping import EarlyStopping
from narrows.training.precision import resolve_device
from narrows.training.pretraining import pretrain
from narrows.training.record import Epoch, TrainingRecord
from narrows.training.watch import Watch

__all__ = ["Fitted", "fit_model", "interrupted_identity"]

TRIAL = "trial"
"""Name of the folders with the checkpoints of trials, before their number."""


@dataclass(frozen=True)
class Fitted:
    """A trained model, and the trainings that held rows out.

    Attributes
    ----------
    held_out_error : float or None
        Mean L of the rows that several trials held out, after the epoch that they chose; None if
        there are not several.
    trials : list of (Model, Split)
        Each trial's model with its rows; the model itself if it was not trained again on all rows.
    """

    model: Model
    record: TrainingRecord
    trials: list[tuple[Model, Split]]
    held_out_error: float | None = None


def fit_model(
    plan: Plan,
    whole: Split,
    rows: Split,
    *,
    folds: Sequence[Split] = (),
    checkpoint: Path | None = None,
    resume: bool = False,
    extra: Mapping[str, Any] | None = None,
    watch: Watch,
) -> Fitted:
    """Build and train a model; return it, with its baseline, and the training record.

    ``whole`` has all rows in one part, ``rows`` is their split. Everything is fitted to the
    training rows; the held-out rows decide when to stop, and calibrate the errors. With ``folds``
    each of them is a trial, and the model is trained on all rows, for the number of epochs that the
    trials choose. ``plan.refit`` says whether it is if rows are held out once. ``extra`` is what
    the estimator adds to the model file; with it, checkpoints can be opened as models. ``watch``
    has the callbacks; its checkpoints are opened here.
    """
    source = whole.training
    with _open_checkpoints(checkpoint, resume=resume) as (checkpoints, saved):
        watch = replace(
            watch,
            checkpoints=checkpoints,
            resume=resume,
            saved=saved,
            identity=plan.identity(source, rows) if checkpoints else {},
        )
        if rows.inputs is not None:
            whole, rows, *folds = (_with_inputs_numbered(s) for s in (whole, rows, *folds))
        once = plan.refit == "always" and rows.held_out is not None
        splits = folds or ([rows] if once else [])
        if splits:
            return _fit_after_trials(plan, whole, splits, watch, extra)
        unheld = plan.refit is not None and rows.held_out is None  # nothing says when to stop
        trained = _train(plan, source, rows, watch, extra=extra, stays_at_start=unheld)
        if rows.held_out is not None:
            calibrate(trained.model, rows.held_out, seed=plan.seed)
        if plan.refit and trained.record.best_epoch == 0:
            return _start_of_all_rows(plan, whole, rows, trained)
        return Fitted(trained.model, trained.record, [(trained.model, rows)])


@dataclass(frozen=True)
class _Trained:
    """One training, on the training rows of a split."""

    model: Model
    record: TrainingRecord
    stopping: EarlyStopping
    started: bool


def _train(
    plan: Plan,
    source: Source,
    rows: Split,
    watch: Watch,
    *,
    extra: Mapping[str, Any] | None = None,
    is_trial: bool = False,
    last_epoch: int | None = None,
    stays_at_start: bool = False,
) -> _Trained:
    """Train a model on one split; one that ``stays_at_start`` is not, if it starts linear."""
    model = new_model(plan, source)
    labels = None
    if plan.n_neighbors:
        labels = _labels(rows)
        rows = _with_row_numbers(rows)
    if plan.validation_data and rows.held_out is not None:
        check_loss(model, rows.held_out)
        model.check_units(rows.net_inputs.held_out or rows.held_out)
    model.baseline = fit_baseline(rows.training, model.scaling, model.n_components, seed=plan.seed)
    started = False
    if plan.linear_start and model.baseline is not None:
        started = start_at_linear_code(model, rows.training, model.baseline, seed=plan.seed)
    if started:
        judge_epochs(plan, model)
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

    stopping = EarlyStopping(plan.patience, keep_all=is_trial)
    record = minimize(
        plan,
        model,
        new_trainable(plan, model, rows, codes, labels),
        rows,
        watch if extra is None else replace(watch, snapshot=snapshot),
        stopping=stopping,
        counts_start=started,
        last_epoch=0 if started and stays_at_start else last_epoch,
    )
    model.objective.eval()
    model.record = _as_json(plan, record)
    if layers:
        model.record["pretraining"] = [[asdict(epoch) for epoch in layer] for layer in layers]
    if neighbor_epochs:
        model.record["neighbor_model"] = [asdict(epoch) for epoch in neighbor_epochs]
    return _Trained(model, record, stopping, started)


def _fit_after_trials(
    plan: Plan,
    whole: Split,
    splits: Sequence[Split],
    watch: Watch,
    extra: Mapping[str, Any] | None,
) -> Fitted:
    """Train a model on all rows, for as many epochs as trainings on the splits choose."""
    trials = []
    for i, split in enumerate(splits, start=1):
        title = f"fold {i} of {len(splits)}" if len(splits) > 1 else "trial with rows held out"
        with watch.part(f"{TRIAL}-{i}", title) as part:
            trials.append(_train(plan, whole.training, split, part, is_trial=True))
    first = 0 if all(trial.started for trial in trials) else 1
    chosen = choose_epoch([trial.stopping.all for trial in trials], first=first)
    if chosen.epoch == 0:
        for trial in trials:  # what their models are measured by is what the model is
            trial.stopping.restore_start(trial.model.objective)
    if watch.saved is not None and watch.saved.spec["max_epochs"] != plan.max_epochs:
        watch = replace(watch, saved=None)  # another schedule: this training starts over
    final = _train(plan, whole.training, whole, watch, extra=extra, last_epoch=chosen.epoch)
    errors = chosen.held_out.rows
    if plan.n_neighbors:  # these are errors of neighborhoods, not of the rows
        parts = zip(trials, splits, strict=True)
        errors = torch.cat([sorted_errors(t.model, s.held_out) for t, s in parts if s.held_out])
    calibrate_by(final.model, errors, seed=plan.seed)
    fitted = _with_trials(plan, final, trials, splits, epoch=chosen.epoch)
    if len(trials) == 1 or plan.n_neighbors:
        return fitted
    return replace(fitted, held_out_error=chosen.held_out.mean_of_rows)


def _start_of_all_rows(plan: Plan, whole: Split, rows: Split, trained: _Trained) -> Fitted:
    """Return the linear code of all rows, since training has not improved on it."""
    final = _train(plan, whole.training, whole, Watch(), last_epoch=0)
    final.model.calibration = trained.model.calibration
    return _with_trials(plan, final, [trained], [rows], epoch=0)


def _with_trials(
    plan: Plan,
    final: _Trained,
    trials: Sequence[_Trained],
    splits: Sequence[Split],
    *,
    epoch: int,
) -> Fitted:
    """Return the final model, whose record is that of the trials that chose the epoch."""
    record = merged_record([trial.record for trial in trials], final.record, best_epoch=epoch)
    parts = {k: v for k, v in final.model.record.items() if k in ("pretraining", "neighbor_model")}
    final.model.record = {**_as_json(plan, record), **parts}
    pairs = zip(trials, splits, strict=True)
    return Fitted(final.model, record, [(trial.model, split) for trial, split in pairs])


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
        saved = _newest_of_parts(checkpoints) if saved is None else saved
    return {} if saved is None else saved.spec["identity"]


def _newest_of_parts(checkpoints: Checkpoints) -> Artefact | None:
    """Return the newest checkpoint of the first part, or of its own first part."""
    for part in ("layer-1", NEIGHBOR_MODEL, f"{TRIAL}-1"):
        if (checkpoints.folder / part).is_dir():
            with closing(checkpoints.subfolder(part)) as first:
                saved = first.newest()
                saved = _newest_of_parts(first) if saved is None else saved
            if saved is not None:
                return saved
    return None


def _labels(rows: Split) -> torch.Tensor | None:
    """Return the y of the training rows followed by the held-out rows; None if there is none."""
    parts = [part.targets_in_order() for part in rows.parts]
    labeled = [part for part in parts if part is not None]
    return torch.cat(labeled) if len(labeled) == len(parts) else None


def _with_inputs_numbered(rows: Split) -> Split:
    return rows if rows.inputs is None else replace(rows, inputs=_with_row_numbers(rows.inputs))


def _with_row_numbers(rows: Split) -> Split:
    """Set the targets to row numbers, to look up each row's neighborhood or clean row."""
    n = rows.training.n_rows
    held_out = rows.held_out
    if held_out is not None:
        held_out = held_out.labeled(torch.arange(n, n + held_out.n_rows))
    return Split(rows.training.labeled(torch.arange(n)), held_out)


def _as_json(plan: Plan, record: TrainingRecord) -> dict[str, Any]:
    return {**training_settings(plan), **asdict(record)}
