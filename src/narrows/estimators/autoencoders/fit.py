"""Fit an autoencoder: validate and split the rows, resolve the plan, and train."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from narrows.applications.coding.evaluation import Evaluation, evaluate
from narrows.data.copies import warn_of_copies
from narrows.data.source import Source
from narrows.data.splitting import Selection, Split
from narrows.data.statistics import Statistics, describe
from narrows.errors import UsageError
from narrows.estimators.autoencoders.clean_rows import clean_rows
from narrows.estimators.autoencoders.plan import admits_missing, check_sizes, task_of
from narrows.estimators.held_out import HeldOut, rows_and_y
from narrows.estimators.inputs import called, rows_called, with_resumed_names
from narrows.estimators.parameters import (
    check_same_net,
    forget,
    json_parameters,
    seed_from,
)
from narrows.estimators.sample_weights import rows_that_count, weights_of_parts
from narrows.estimators.targets import read_classes, read_values
from narrows.estimators.texts import is_texts
from narrows.fitting.fit import fit_model, interrupted_identity
from narrows.fitting.partial_fit import partial_fit_model
from narrows.model.measured import fit_code_densities
from narrows.model.model import Model
from narrows.training.progress import Progress
from narrows.training.watch import Watch

__all__ = ["fit_rows", "held_out_evaluation", "pass_once"]

_DRAWN = HeldOut()


def fit_rows(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    held_out: HeldOut = _DRAWN,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    stop_requested: Callable[[], bool] | None = None,
) -> Split:
    """Fit an autoencoder, and return its training and held-out rows.

    The parameters are as in ``AbstractAutoencoder.fit``; ``held_out`` bundles those that choose
    the held-out rows.
    """
    estimator._check_parameters()
    forget(estimator)
    folder = None if checkpoint is None else Path(checkpoint)
    seed = seed_from(estimator.random_state)
    interrupted = interrupted_identity(folder) if folder is not None and resume else {}
    seed = interrupted.get("seed", seed) if estimator.random_state is None else seed
    fraction = float(estimator.validation_fraction)

    def select(n_rows: int) -> Selection:
        """Draw the held-out rows, before anything is fitted, the vocabulary included."""
        return held_out.select(n_rows, fraction, seed=seed)

    source = estimator._source(X, reset=True, min_samples=2, select=select)
    source = with_resumed_names(estimator, source, interrupted.get("names", ()))
    check_sizes(estimator, source)
    keep_places = held_out.keeps_places or is_texts(X)
    counted = rows_that_count(sample_weight, source, y, held_out.groups, keep_places=keep_places)
    source, regrouped = counted.source, replace(held_out, groups=counted.groups)
    selection = regrouped.select(source.n_rows, fraction, seed=seed)
    source = source.weighted(weights_of_parts(counted.weights, selection))
    source, rows, statistics = _read(
        estimator, source, counted.y, selection, held_out.validation_data
    )
    plan = replace(
        estimator._plan(source, statistics, seed, pairs=rows.inputs is not None),
        grouping=regrouped.grouping(source.n_rows).identity(),
        validation_data=held_out.validation_data is not None,
    )
    source = plan.scaling.for_training(source)
    rows = rows.each(plan.scaling.for_training)
    n_copies = warn_of_copies(rows.net_inputs)
    part_epochs = plan.max_epochs if plan.pretraining is None else plan.pretraining.max_epochs
    with Progress(estimator.verbose, estimator.max_epochs, part_epochs) as progress:
        model, record = fit_model(
            plan,
            source,
            rows,
            checkpoint=folder,
            resume=resume,
            extra=None if folder is None else estimator._artefact_extra(),
            watch=Watch(
                stop_requested=stop_requested or (lambda: False),
                on_epoch=progress.epoch,
                on_part=progress.part,
            ),
        )
        progress.ended(record)
    estimator._built_with = json_parameters(estimator.get_params(deep=False))
    if n_copies:
        model.record["n_copies_held_out"] = n_copies
    estimator._adopt(model, record)
    estimator._finish(rows.training, statistics)
    fit_code_densities(model, rows.training, seed=seed)
    return rows


def held_out_evaluation(model: Model, rows: Split) -> Evaluation:
    """Evaluate the model on the held-out rows, or on the training rows if there are none."""
    if rows.held_out is None:
        inputs = None if rows.inputs is None else rows.inputs.training
        return evaluate(model, rows.training, rows="training", inputs=inputs)
    inputs = None if rows.inputs is None else rows.inputs.held_out
    return evaluate(model, rows.held_out, rows="held_out", inputs=inputs)


def pass_once(estimator: Any, X: Any, y: Any = None) -> None:
    """Train an autoencoder for one pass over X; see ``AbstractAutoencoder.partial_fit``."""
    estimator._check_parameters()
    if n_neighbors := getattr(estimator, "n_neighbors", 0):
        raise UsageError(
            f"n_neighbors: is {n_neighbors!r}, but partial_fit does not support neighbors; "
            "set n_neighbors=None, or call fit."
        )
    first = not hasattr(estimator, "model_")
    current = json_parameters(estimator.get_params(deep=False))
    built_with = current if first else _arguments_of_net(estimator)
    check_same_net(built_with, current)
    reseed = built_with.get("random_state") != current["random_state"]
    try:
        source = estimator._source(X, reset=first, min_samples=2 if first else 1)
        check_sizes(estimator, source)
        source, paired = _with_targets(estimator, source, y)
        if paired:
            raise UsageError(
                "partial_fit: y gives clean rows, which only fit accepts; call fit(X, y)."
            )
        statistics = describe(source, missing=admits_missing(estimator))
        plan = estimator._plan(source, statistics, seed_from(estimator.random_state))
        scaling = plan.scaling if first else estimator.model_.scaling
        model, record, estimator._trainer = partial_fit_model(
            plan,
            scaling.for_training(source),
            None if first else estimator.model_,
            getattr(estimator, "_trainer", None),
            reseed=reseed,
        )
    except BaseException:
        if first:
            forget(estimator)
        raise
    estimator._built_with = {**built_with, "random_state": current["random_state"]}
    estimator._adopt(model, record)


def _arguments_of_net(estimator: Any) -> dict[str, Any]:
    """Return the arguments that the net was built with, as far as they are known."""
    known = estimator.model_.parameters  # old pickles have no _built_with
    widths = {name: known[name] for name in ("n_components", "hidden") if name in known}
    return getattr(estimator, "_built_with", widths)


def _read(
    estimator: Any, source: Source, y: Any, selection: Selection, validation_data: Any
) -> tuple[Source, Split, Statistics]:
    """Read y and ``validation_data``, and check every value.

    Return the rows to reconstruct, their split, and the statistics of the training rows.
    """
    missing, inputs = admits_missing(estimator), source
    source, paired = _with_targets(estimator, source, y, counted=selection.training)
    source = source.weighted(inputs.weights)
    not_trained = ~selection.training if bool(selection.held_out.any()) else None
    statistics = describe(source, held_out=not_trained, missing=missing)
    rows = Split.of(source, selection)
    corrupted = Split.of(inputs, selection) if paired else None
    if validation_data is not None:
        X_held_out, y_held_out = rows_and_y(validation_data)
        with rows_called("validation_data"):
            held_out_inputs = estimator._source(X_held_out, reset=False, min_samples=1, like=source)
        held_out_inputs = called(held_out_inputs, "validation_data")
        held_out, held_out_paired = _with_targets(
            estimator, held_out_inputs, y_held_out, again=True
        )
        if held_out_paired != paired:
            raise UsageError(
                "validation_data: must be a pair (X, y) if y gives clean rows, else X alone."
            )
        statistics = statistics.with_range_of(describe(held_out, missing=missing))
        rows = Split(source, held_out)
        corrupted = Split(inputs, held_out_inputs) if paired else None
    for part in corrupted.parts if corrupted is not None else ():
        describe(part, missing=missing)
    return source, replace(rows, inputs=corrupted), statistics


def _with_targets(
    estimator: Any,
    source: Source,
    y: Any,
    *,
    counted: torch.Tensor | None = None,
    again: bool = False,
) -> tuple[Source, bool]:
    """Return the rows to reconstruct, with targets if a penalty needs y, and whether y holds clean
    rows."""
    task = task_of(estimator)
    if task is not None:
        return source.labeled(_targets(estimator, task, y, source, counted, again)), False
    clean = clean_rows(y, source)
    if clean is None:
        return source, False
    return clean, True


def _targets(
    estimator: Any,
    task: str,
    y: Any,
    source: Source,
    counted: torch.Tensor | None,
    again: bool,
) -> torch.Tensor:
    """Return y as targets of a penalty. Values are standardized over the rows of the mask
    ``counted`` or, if ``again``, by the mean and deviation of the last call."""
    if not source.holds_targets:
        raise UsageError(
            f"y: {source.origin} is streamed, and a penalty that needs y needs rows in memory."
        )
    if y is None:
        raise UsageError("y: is missing, but a penalty needs it; call fit(X, y).")
    if task == "regression":
        targets, mean, deviation = read_values(
            y,
            source.n_rows,
            missing=True,
            counted=None if counted is None else counted.numpy(),
            weights=None if source.weights is None else source.weights.numpy(),
            moments=estimator._moments_of_y if again else None,
        )
        estimator._moments_of_y = (mean, deviation)
        return targets
    known = getattr(estimator, "classes_", None)
    targets, estimator.classes_ = read_classes(y, source.n_rows, unknown=-1, classes=known)
    return targets
