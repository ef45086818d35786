"""Fit a head: read rows and y, fit the autoencoder where it is not fitted, and train."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from narrows.artefact import Artefact
from narrows.data.array_sources import stacked
from narrows.data.source import Source
from narrows.data.splitting import Selection
from narrows.data.statistics import describe
from narrows.errors import UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.plan import admits_missing, task_of
from narrows.estimators.columns import check_same_columns
from narrows.estimators.given_autoencoder import given_autoencoder, unfitted_copy
from narrows.estimators.heads.base import CodeHead, GivenTargets
from narrows.estimators.held_out import HeldOut, joined_targets, rows_and_y
from narrows.estimators.inputs import fit_source, query_source
from narrows.estimators.parameters import forget, json_parameters, seed_from
from narrows.estimators.sample_weights import rows_that_count
from narrows.estimators.targets import target_names
from narrows.estimators.texts import documents_where, is_texts
from narrows.fitting.head import FittedHead, HeadRecipe, fit_head
from narrows.text import as_documents
from narrows.training.stages import Stages, open_stages

__all__ = ["check_in_memory", "fit_rows", "fit_to", "fitted_autoencoder", "learn_head", "opened"]

Learn = Callable[[CodeHead, Source, Stages, Selection | None], None]
"""Trains a head on rows with their y, and sets its attributes."""


def learn_head(
    recipe: Callable[[], HeadRecipe],
    head: CodeHead,
    source: Source,
    stages: Stages,
    selection: Selection | None,
) -> None:
    """Train a head by a recipe, which is called once y has been read, and set its attributes."""

    def snapshot(fitted: FittedHead) -> Artefact:
        head._adopt(fitted)
        return head.to_artefact()

    model = head.autoencoder_.model_
    head._adopt(
        fit_head(
            recipe(),
            model,
            source,
            head._settings(),
            stages,
            selection=selection,
            snapshot=snapshot,
        )
    )


def fit_rows(
    head: CodeHead,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    held_out: HeldOut,
    stages: Callable[[], AbstractContextManager[Stages]],
    learn: Learn,
) -> None:
    """Fit a head to rows and their y; ``stages`` opens the checkpoints of the fit."""
    head._check_parameters()
    forget(head)
    names, fraction = target_names(y), float(head.validation_fraction)
    with stages() as opened_stages:
        seed = opened_stages.seed
        autoencoder = None
        if is_texts(X):  # the autoencoder knows the words to count
            n_documents = sum(1 for _ in as_documents(X))
            kept = held_out.select(n_documents, fraction, seed=seed).training.numpy()
            learned = X if kept.all() else documents_where(X, kept)
            autoencoder = fitted_autoencoder(head, learned, y, kept, opened_stages)
            X = autoencoder._validated_query(X)[1]
        source = fit_source(head, X)
        check_in_memory(source)
        places = autoencoder is not None or held_out.keeps_places
        counted = rows_that_count(sample_weight, source, y, held_out.groups, keep_places=places)
        source, y, weights, numbers = counted.source, counted.y, counted.weights, counted.numbers
        held_out = replace(held_out, groups=counted.groups)
        X = X if numbers is None else source
        selection = held_out.select(source.n_rows, fraction, seed=seed)
        kept = selection.training
        if autoencoder is None:
            learned = X if bool(kept.all()) else source.where(kept)
            autoencoder = fitted_autoencoder(head, learned, y, kept.numpy(), opened_stages)
        if held_out.validation_data is not None:
            n_rows = source.n_rows
            source, y, selection = _beside(head, source, y, held_out.validation_data, autoencoder)
            if weights is not None:
                weights = np.concatenate([weights, np.ones(source.n_rows - n_rows)])
        given = GivenTargets(
            y, source.n_rows, selection.training, weights, names, autoencoder.model_
        )
        targets = head._read_y(given)
        source = source.weighted(None if weights is None else torch.from_numpy(weights).float())
        fit_to(head, source, targets, autoencoder, opened_stages, selection, learn=learn)
        if numbers is not None:
            head.training_rows_ = numbers[head.training_rows_]
        if numbers is not None and held_out.validation_data is None:
            head.held_out_rows_ = numbers[head.held_out_rows_]


def fit_to(
    head: CodeHead,
    source: Source,
    targets: Tensor,
    autoencoder: AbstractAutoencoder,
    stages: Stages,
    selection: Selection | None = None,
    *,
    learn: Learn,
) -> None:
    """Fit a head to a source whose y has been read."""
    check_same_columns(source, autoencoder)
    if head.training == "joint" and len(autoencoder.model_.objective.tasks):
        raise UsageError(
            "training: 'joint' has one y, and a penalty of the autoencoder is a task with "
            "another; use 'fine_tuned', or an autoencoder without it."
        )
    # whatever becomes of the given one, this head reads the code that it was fitted to
    head.autoencoder_ = deepcopy(autoencoder)
    autoencoder.model_.check_units(source)
    source = autoencoder.model_.scaling.for_training(source)
    if head.training != "frozen":
        head.autoencoder_.model_.densities = {}  # of the codes before fine-tuning
        head.autoencoder_.model_.calibration = None
    learn(head, source.labeled(targets), stages, selection)


def opened(
    head: CodeHead,
    checkpoint: str | Path | None,
    resume: bool,
    stop_requested: Callable[[], bool] | None,
) -> AbstractContextManager[Stages]:
    """Open the checkpoints of a head's fit."""
    own = json_parameters(head._own_parameters())
    for name in ("device", "random_state", "verbose"):
        own.pop(name)
    return open_stages(
        checkpoint,
        {"estimator": type(head).__name__, **own},
        seed=seed_from(head.random_state),
        seed_is_drawn=head.random_state is None,
        resume=resume,
        stop_requested=stop_requested,
    )


def fitted_autoencoder(
    head: CodeHead, X: Any, y: Any, kept: np.ndarray | None, stages: Stages
) -> AbstractAutoencoder:
    """Return the autoencoder to start from, fitted to X here if it was not before.

    X are the rows of the mask ``kept``, y is of all rows.
    """
    given = given_autoencoder(head.autoencoder, head._default_autoencoder)
    if hasattr(given, "model_"):
        return given
    if task_of(given) is None or y is None:
        y = None  # a head's y is nothing for an autoencoder to rebuild
    elif kept is not None and not kept.all():
        y = np.asarray(y)[kept]
    return unfitted_copy(given, head.random_state).fit(X, y, **stages.of_fit("autoencoder"))


def check_in_memory(source: Source) -> None:
    """Raise UsageError for a source that is streamed."""
    if not source.holds_targets:
        raise UsageError(f"{source.origin}: is streamed; a head needs rows in memory.")


def _beside(
    head: CodeHead, source: Source, y: Any, validation_data: Any, autoencoder: AbstractAutoencoder
) -> tuple[Source, Any, Selection]:
    """Return the rows and y with those of ``validation_data`` behind them, held out."""
    X_held_out, y_held_out = rows_and_y(validation_data)
    if y_held_out is None:
        raise UsageError("validation_data: a head needs y too; give a pair (X, y).")
    if is_texts(X_held_out):
        X_held_out = autoencoder._validated_query(X_held_out, "validation_data")[1]
    held_out = query_source(head, X_held_out, "validation_data")
    if not is_texts(validation_data):  # of texts the counts have been checked
        autoencoder.model_.check_units(held_out)
    check_in_memory(held_out)
    describe(held_out, missing=admits_missing(autoencoder))  # while rows have their numbers
    mask = torch.zeros(source.n_rows + held_out.n_rows, dtype=torch.bool)
    mask[source.n_rows :] = True
    both = joined_targets(y, y_held_out, source.n_rows, held_out.n_rows)
    head._check_held_out_y(both, source.n_rows)
    return stacked(source, held_out), both, Selection(~mask, mask)
