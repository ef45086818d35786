"""Fit an autoencoder: read the rows, split them, resolve a plan, and train."""

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
from narrows.estimators.inputs import called, rows_called, with_names_of_before
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
from narrows.training.run import Watch

__all__ = ["fit_rows", "held_out_evaluation", "pass_once"]


def fit_rows(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    held_out: HeldOut | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    stop_requested: Callable[[], bool] | None = None,
) -> Split:
    """Fit an autoencoder, and return the rows as they were split.

    The parameters are those of ``AbstractAutoencoder.fit``, ``held_out`` some of them together.
    """
    held_out = held_out or HeldOut()
    estimator._check_parameters()
    forget(estimator)
    folder = None if checkpoint is None else Path(checkpoint)
    seed = seed_from(estimator.random_state)
    before = interrupted_identity(folder) if folder is not None and resume else {}
    seed = before.get("seed", seed) if estimator.random_state is None else seed
    fraction = float(estimator.validation_fraction)

    def select(n_rows: int) -> Selection:
        """Return which rows are held out: before anything is fitted, words included."""
        return held_out.select(n_rows, fraction, seed=seed)

    source = estimator._source(X, reset=True, min_samples=2, select=select)
    source = with_names_of_before(estimator, source, before.get("names", ()))
    check_sizes(estimator, source)
    places = held_out.keeps_places or is_texts(X)
    counted = rows_that_count(sample_weight, source, y, held_out.groups, keep_places=places)
    source, held_out = counted.source, replace(held_out, groups=counted.groups)
    selection = select(source.n_rows)
    source = source.weighted(weights_of_parts(counted.weights, selection))
    source, rows, statistics = _read(
        estimator, source, counted.y, selection, held_out.validation_data
    )
    plan = replace(
        estimator._plan(source, statistics, seed, pairs=rows.given is not None),
        grouping=held_out.grouping(source.n_rows).identity(),
        validation_data=held_out.validation_data is not None,
    )
    source = plan.scaling.for_training(source)
    rows = rows.each(plan.scaling.for_training)
    n_copies = warn_of_copies(rows if rows.given is None else rows.given)
    of_parts = plan.max_epochs if plan.pretraining is None else plan.pretraining.max_epochs
    with Progress(estimator.verbose, estimator.max_epochs, of_parts) as progress:
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
    """Return the errors on the rows that were held out, or on those trained on if none was."""
    given = rows.given
    if rows.held_out is None:
        inputs = None if given is None else given.training
        return evaluate(model, rows.training, rows="training", inputs=inputs)
    inputs = None if given is None else given.held_out
    return evaluate(model, rows.held_out, rows="held_out", inputs=inputs)


def pass_once(estimator: Any, X: Any, y: Any = None) -> None:
    """Train an autoencoder by one pass over X; see ``AbstractAutoencoder.partial_fit``."""
    estimator._check_parameters()
    if n_neighbors := getattr(estimator, "n_neighbors", 0):
        raise UsageError(
            f"n_neighbors: is {n_neighbors!r}, and partial_fit rebuilds rows themselves; "
            "set n_neighbors=None, or call fit."
        )
    first = not hasattr(estimator, "model_")
    given = json_parameters(estimator.get_params(deep=False))
    built = given if first else _arguments_of_net(estimator)
    check_same_net(built, given)
    anew = built.get("random_state") != given["random_state"]
    try:
        source = estimator._source(X, reset=first, min_samples=2 if first else 1)
        check_sizes(estimator, source)
        source, paired = _with_targets(estimator, source, y)
        if paired:
            raise UsageError("partial_fit: y gives clean rows, which fit takes; call fit(X, y).")
        statistics = describe(source, missing=admits_missing(estimator))
        plan = estimator._plan(source, statistics, seed_from(estimator.random_state))
        scaling = plan.scaling if first else estimator.model_.scaling
        model, record, estimator._trainer = partial_fit_model(
            plan,
            scaling.for_training(source),
            None if first else estimator.model_,
            getattr(estimator, "_trainer", None),
            seeded_anew=anew,
        )
    except BaseException:
        if first:
            forget(estimator)
        raise
    estimator._built_with = {**built, "random_state": given["random_state"]}
    estimator._adopt(model, record)


def _arguments_of_net(estimator: Any) -> dict[str, Any]:
    """Return the arguments that the net was built with, as far as they are known."""
    known = estimator.model_.parameters  # old pickles hold no more than these
    of_shape = {name: known[name] for name in ("n_components", "hidden") if name in known}
    return getattr(estimator, "_built_with", of_shape)


def _read(
    estimator: Any, source: Source, y: Any, selection: Selection, validation_data: Any
) -> tuple[Source, Split, Statistics]:
    """Read y and the rows held out, and check every value.

    Return the rows to rebuild, how they are split, and the statistics of those to train on.
    """
    missing, given = admits_missing(estimator), source
    source, paired = _with_targets(estimator, source, y, counted=selection.training)
    source = source.weighted(given.weights)
    apart = ~selection.training if bool(selection.held_out.any()) else None
    statistics = describe(source, held_out=apart, missing=missing)
    rows = Split.of(source, selection)
    copies = Split.of(given, selection) if paired else None
    if validation_data is not None:
        X_held_out, y_held_out = rows_and_y(validation_data)
        with rows_called("validation_data"):
            corrupted = estimator._source(X_held_out, reset=False, min_samples=1, like=source)
        corrupted = called(corrupted, "validation_data")
        held_out, also = _with_targets(estimator, corrupted, y_held_out, again=True)
        if also != paired:
            raise UsageError(
                "validation_data: must be a pair (X, y) if y gives clean rows, else X alone."
            )
        statistics = statistics.with_range_of(describe(held_out, missing=missing))
        rows = Split(source, held_out)
        copies = Split(given, corrupted) if paired else None
    for part in copies.parts if copies is not None else ():
        describe(part, missing=missing)
    return source, replace(rows, given=copies), statistics


def _with_targets(
    estimator: Any,
    source: Source,
    y: Any,
    *,
    counted: torch.Tensor | None = None,
    again: bool = False,
) -> tuple[Source, bool]:
    """Return the rows to rebuild, with their y if a penalty needs it, and whether y gives them as
    clean rows."""
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
    """Return y for the loop, values standardized by the moments of the rows in the mask
    ``counted``, or, if ``again``, by those of the last call."""
    if not source.holds_targets:
        raise UsageError(f"y: {source.origin} is streamed, and a task needs rows in memory.")
    if y is None:
        raise UsageError("y: a penalty is another task and needs it; call fit(X, y).")
    if task == "regression":
        targets, *found = read_values(
            y,
            source.n_rows,
            missing=True,
            counted=None if counted is None else counted.numpy(),
            weights=None if source.weights is None else source.weights.numpy(),
            moments=estimator._moments_of_y if again else None,
        )
        estimator._moments_of_y = (found[0], found[1])
        return targets
    known = getattr(estimator, "classes_", None)
    targets, estimator.classes_ = read_classes(y, source.n_rows, unknown=-1, classes=known)
    return targets
