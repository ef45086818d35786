"""Fit an autoencoder: validate and split the rows, resolve the plan, and train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch

from narrows.applications.coding.evaluation import Evaluation, evaluate, mean_evaluation
from narrows.applications.retrieval.half_comparison import HalvesComparison, compare_halves
from narrows.data.copies import warn_of_copies
from narrows.data.source import Source
from narrows.data.splitting import Selection, Split
from narrows.data.statistics import Statistics, describe
from narrows.errors import OutdatedWarning, UsageError, warn
from narrows.estimators.autoencoders.clean_rows import clean_rows
from narrows.estimators.autoencoders.penalty_targets import (
    TargetEncoding,
    n_outputs_of,
    read_targets,
    task_of,
)
from narrows.estimators.autoencoders.plan import admits_missing, check_sizes, new_plan
from narrows.estimators.autoencoders.training_state import TrainingState, state_of
from narrows.estimators.held_out import HeldOut, rows_and_y
from narrows.estimators.inputs import called, rows_called, with_resumed_names
from narrows.estimators.parameters import (
    check_same_net,
    forget,
    json_parameters,
    seed_from,
)
from narrows.estimators.sample_weights import drop_zero_weight_rows, weights_of_parts
from narrows.estimators.texts import is_texts
from narrows.fitting.auto_settings import (
    FEW_ROWS,
    N_FOLDS,
    REFIT_ROWS,
    TOO_FEW_ROWS,
    held_out_fraction,
)
from narrows.fitting.fit import Fitted, fit_model, interrupted_identity
from narrows.fitting.partial_fit import partial_fit_model
from narrows.losses import SquaredError
from narrows.model.measured import fit_code_densities
from narrows.model.model import Model
from narrows.training.progress import Progress
from narrows.training.watch import Watch, never

__all__ = [
    "fit_autoencoder",
    "held_out_evaluation",
    "held_out_halves",
    "partial_fit_autoencoder",
]

_DRAWN, _UNREAD = HeldOut(), TargetEncoding()


def fit_autoencoder(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    held_out: HeldOut = _DRAWN,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    stop_requested: Callable[[], bool] | None = None,
) -> Fitted:
    """Fit an autoencoder, and return its model, with the trainings that held rows out.

    The parameters are as in ``AbstractAutoencoder.fit``; ``held_out`` bundles those that choose
    the held-out rows.
    """
    estimator._check_parameters()
    forget(estimator)
    folder = None if checkpoint is None else Path(checkpoint)
    seed = seed_from(estimator.random_state)
    interrupted = interrupted_identity(folder) if folder is not None and resume else {}
    seed = interrupted.get("seed", seed) if estimator.random_state is None else seed
    automatic = estimator.validation_fraction == "auto"

    def select(n_rows: int, chosen: HeldOut = held_out) -> Selection:
        """Draw the held-out rows, before anything is fitted, the vocabulary included."""
        fraction = held_out_fraction(estimator.validation_fraction, n_rows)
        return chosen.select(n_rows, fraction, seed=seed)

    def in_folds(n_rows: int) -> bool:
        return automatic and TOO_FEW_ROWS <= n_rows < FEW_ROWS and not task_of(estimator)

    def counted(n_rows: int) -> Selection:
        """Return the rows that a vocabulary counts: all, if each is held out once."""
        return _all(n_rows) if in_folds(n_rows) else select(n_rows)

    keep_places = held_out.keeps_places or is_texts(X)
    source = estimator._source(estimator._counted(X, select=counted), reset=True, min_samples=2)
    source = with_resumed_names(estimator, source, interrupted.get("names", ()))
    check_sizes(estimator, source)
    weighted = drop_zero_weight_rows(
        sample_weight, source, y, held_out.groups, keep_places=keep_places
    )
    source, regrouped = weighted.source, replace(held_out, groups=weighted.groups)
    folds: list[Selection] = []
    if in_folds(source.n_rows):
        folds = regrouped.folds(source.n_rows, N_FOLDS, seed=seed)
    selection = _all(source.n_rows) if folds else select(source.n_rows, regrouped)
    source = source.weighted(weights_of_parts(weighted.weights, selection))
    whole, rows, statistics, encoding = _read(
        estimator, source, weighted.y, selection, held_out.validation_data
    )
    plan = replace(
        new_plan(
            estimator,
            whole.training,
            statistics,
            seed,
            training=rows.training,
            pairs=rows.inputs is not None,
            n_classes=encoding.n_classes,
        ),
        grouping=regrouped.grouping(source.n_rows).identity(),
        validation_data=held_out.validation_data is not None,
        refit=_refit(source.n_rows) if automatic and held_out.validation_data is None else None,
    )
    whole, rows = whole.each(plan.scaling.for_training), rows.each(plan.scaling.for_training)
    splits = [_with_inputs(whole, fold) for fold in folds]
    n_copies = warn_of_copies((splits or [rows])[0].net_inputs)
    part_epochs = plan.max_epochs if plan.pretraining is None else plan.pretraining.max_epochs
    with Progress(estimator.verbose, plan.max_epochs, part_epochs) as progress:
        fitted = fit_model(
            plan,
            whole,
            rows,
            folds=splits,
            checkpoint=folder,
            resume=resume,
            extra=None if folder is None else {**estimator._artefact_extra(), **encoding.to_spec()},
            watch=Watch(
                stop_requested=stop_requested or never,
                on_epoch=progress.epoch,
                on_part=progress.part,
            ),
        )
        progress.ended(fitted.record)
    model, record = fitted.model, fitted.record
    if n_copies:
        model.record["n_copies_held_out"] = n_copies
    arguments = json_parameters(estimator.get_params(deep=False))
    estimator._adopt(model, record, TrainingState(arguments, encoding))
    if (complete := estimator._choice().after_training) is not None:
        for name, value in complete(model, rows.training, statistics).items():
            setattr(estimator, name, value)
    fit_code_densities(model, rows.training, seed=seed)
    return fitted


def held_out_evaluation(fitted: Fitted) -> Evaluation:
    """Evaluate each trial's model on the rows it held out, and return the means.

    The errors of several trials are those after the epoch that they chose; only the squared error
    of another loss is that of each trial's own best epoch. Without held-out rows, evaluate the
    model on the training rows.
    """
    means = mean_evaluation([_evaluated(model, rows) for model, rows in fitted.trials])
    if (error := fitted.held_out_error) is None:
        return means
    squared = isinstance(fitted.model.objective.loss, SquaredError)
    squared_error = error if squared else means.squared_error
    return replace(means, rows="folds", error=error, squared_error=squared_error)


def _evaluated(model: Model, rows: Split) -> Evaluation:
    if rows.held_out is None:
        inputs = None if rows.inputs is None else rows.inputs.training
        return evaluate(model, rows.training, rows="training", inputs=inputs)
    inputs = None if rows.inputs is None else rows.inputs.held_out
    return evaluate(model, rows.held_out, rows="held_out", inputs=inputs)


def held_out_halves(fitted: Fitted) -> HalvesComparison | None:
    """Compare how halves of the held-out rows, or else of the training rows, find each other.

    Of several trials the first one is measured.
    """
    model, rows = fitted.trials[0]
    if rows.inputs is not None:
        return None
    if rows.held_out is None:
        return compare_halves(model, rows.training, rows.training, rows="training")
    return compare_halves(model, rows.training, rows.held_out)


def partial_fit_autoencoder(estimator: Any, X: Any, y: Any = None) -> None:
    """Train an autoencoder for one pass over X; see ``AbstractAutoencoder.partial_fit``."""
    estimator._check_parameters()
    if n_neighbors := estimator._choice().n_neighbors:
        raise UsageError(
            f"n_neighbors: is {n_neighbors!r}, but partial_fit does not support neighbors; "
            "set n_neighbors=None, or call fit."
        )
    first = not hasattr(estimator, "model_")
    current = json_parameters(estimator.get_params(deep=False))
    state = TrainingState(current) if first else state_of(estimator)
    check_same_net(state.arguments, current)
    reseed = state.arguments.get("random_state") != current["random_state"]
    try:
        X = estimator._counted(X, like=None if first else estimator.model_)
        source = estimator._source(X, reset=first, min_samples=2 if first else 1)
        check_sizes(estimator, source)
        n_classes = None if first else n_outputs_of(estimator.model_)
        targets = _with_targets(estimator, source, y, known=state.encoding, n_classes=n_classes)
        if targets.paired:
            raise UsageError(
                "partial_fit: y gives clean rows, which only fit accepts; call fit(X, y)."
            )
        source = targets.rows
        statistics = describe(source, missing=admits_missing(estimator))
        plan = new_plan(
            estimator,
            source,
            statistics,
            seed_from(estimator.random_state),
            n_classes=targets.encoding.n_classes,
        )
        scaling = plan.scaling if first else estimator.model_.scaling
        fitted = None if first else estimator.model_
        outdated = fitted is not None and bool(fitted.densities or fitted.calibration is not None)
        model, record, trainer = partial_fit_model(
            plan,
            scaling.for_training(source),
            fitted,
            state.trainer,
            reseed=reseed,
        )
    except BaseException:
        if first:
            forget(estimator)
        raise
    arguments = {**state.arguments, "random_state": current["random_state"]}
    estimator._adopt(model, record, TrainingState(arguments, targets.encoding, trainer))
    if outdated:  # last, in case warnings are errors
        warn(
            "partial_fit: the errors of held-out rows (p_values) and the densities of the codes "
            "(sample) that fit measured are dropped, because the net has changed; call fit for new "
            "ones, or give p_values normal rows as X_calibration.",
            OutdatedWarning,
        )


def _read(
    estimator: Any, source: Source, y: Any, selection: Selection, validation_data: Any
) -> tuple[Split, Split, Statistics, TargetEncoding]:
    """Read y and ``validation_data``, and check every value.

    Return the rows to reconstruct, all in one part, and their split, the statistics of the training
    rows, and how y was read.
    """
    missing, inputs = admits_missing(estimator), source
    given = _with_targets(estimator, source, y, counted=selection.training)
    source, encoding = given.rows.weighted(inputs.weights), given.encoding
    not_trained = ~selection.training if bool(selection.held_out.any()) else None
    statistics = describe(source, held_out=not_trained, missing=missing)
    rows = Split.of(source, selection)
    corrupted = Split.of(inputs, selection) if given.paired else None
    if validation_data is not None:
        X_held_out, y_held_out = rows_and_y(validation_data)
        with rows_called("validation_data"):
            X_held_out = estimator._counted(X_held_out, like=source)
            held_out_inputs = estimator._source(X_held_out, reset=False, min_samples=1)
        held_out_inputs = called(held_out_inputs, "validation_data")
        held_out = _with_targets(estimator, held_out_inputs, y_held_out, known=encoding)
        if held_out.paired != given.paired:
            raise UsageError(
                "validation_data: must be a pair (X, y) if y gives clean rows, else X alone."
            )
        statistics = statistics.with_range_of(describe(held_out.rows, missing=missing))
        rows = Split(source, held_out.rows)
        corrupted = Split(inputs, held_out_inputs) if given.paired else None
    for part in corrupted.parts if corrupted is not None else ():
        describe(part, missing=missing)
    whole = Split(source, None, Split(inputs, None) if given.paired else None)
    return whole, replace(rows, inputs=corrupted), statistics, encoding


def _with_inputs(whole: Split, selection: Selection) -> Split:
    """Return the split of all rows, and of their corrupted copies, by a selection."""
    rows = Split.of(whole.training, selection)
    if whole.inputs is None:
        return rows
    return replace(rows, inputs=Split.of(whole.inputs.training, selection))


def _all(n_rows: int) -> Selection:
    none = torch.zeros(n_rows, dtype=torch.bool)
    return Selection(~none, none)


def _refit(n_rows: int) -> str:
    return "always" if n_rows <= REFIT_ROWS else "at_start"


class _Given(NamedTuple):
    """The rows to reconstruct, and how y was read."""

    rows: Source
    """With targets if a penalty reads y."""

    encoding: TargetEncoding = _UNREAD
    paired: bool = False
    """Whether y holds clean rows."""


def _with_targets(
    estimator: Any,
    source: Source,
    y: Any,
    *,
    known: TargetEncoding = _UNREAD,
    counted: torch.Tensor | None = None,
    n_classes: int | None = None,
) -> _Given:
    """Read y for a source: targets if a penalty needs them, otherwise clean rows if it has any."""
    task = task_of(estimator)
    if task is not None:
        targets, encoding = read_targets(
            task, y, source, known, counted=counted, n_classes=n_classes
        )
        return _Given(source.labeled(targets), encoding)
    clean = clean_rows(y, source)
    return _Given(source) if clean is None else _Given(clean, paired=True)
