"""Fit a head: validate rows and y, fit the autoencoder if it is not fitted, and train."""

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
from narrows.estimators.heads.base import CodeHead, RawTargets
from narrows.estimators.held_out import HeldOut, joined_targets, rows_and_y
from narrows.estimators.inputs import fit_source, query_rows, query_source
from narrows.estimators.parameters import forget, json_parameters, seed_from
from narrows.estimators.sample_weights import rows_that_count
from narrows.estimators.targets import target_names
from narrows.estimators.texts import documents_where, is_texts
from narrows.fitting.head import FittedHead, HeadRecipe, fit_head
from narrows.text import as_documents
from narrows.training.stages import Stages, open_stages

__all__ = [
    "check_in_memory",
    "fit_rows",
    "fit_to_targets",
    "fitted_autoencoder",
    "learn_head",
    "open_head_stages",
]

Learn = Callable[[CodeHead, Source, Stages, Selection | None], None]
"""Trains a head on rows with targets, and sets its fitted attributes."""


def learn_head(
    recipe: Callable[[], HeadRecipe],
    head: CodeHead,
    source: Source,
    stages: Stages,
    selection: Selection | None,
) -> None:
    """Train a head by a recipe, which is called once y has been read, and set the fitted
    attributes."""

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
    """Fit a head to rows and y, and its autoencoder if that is not fitted.

    ``stages`` opens the checkpoints of the fit; ``learn`` trains the head.
    """
    head._check_parameters()
    forget(head)
    names, fraction = target_names(y), float(head.validation_fraction)
    with stages() as head_stages:
        seed = head_stages.seed
        autoencoder = None
        if is_texts(X):  # the autoencoder has the vocabulary
            n_documents = sum(1 for _ in as_documents(X))
            kept = held_out.select(n_documents, fraction, seed=seed).training.numpy()
            training = X if kept.all() else documents_where(X, kept)
            autoencoder = fitted_autoencoder(head, training, y, kept, head_stages)
            X = query_rows(autoencoder, X)[1]
        source = fit_source(head, X)
        check_in_memory(source)
        keep_places = autoencoder is not None or held_out.keeps_places
        counted = rows_that_count(
            sample_weight, source, y, held_out.groups, keep_places=keep_places
        )
        source, y, weights, numbers = counted.source, counted.y, counted.weights, counted.numbers
        held_out = replace(held_out, groups=counted.groups)
        X = X if numbers is None else source
        selection = held_out.select(source.n_rows, fraction, seed=seed)
        kept = selection.training
        if autoencoder is None:
            training = X if bool(kept.all()) else source.where(kept)
            autoencoder = fitted_autoencoder(head, training, y, kept.numpy(), head_stages)
        if held_out.validation_data is not None:
            n_rows = source.n_rows
            source, y, selection = _with_validation_data(
                head, source, y, held_out.validation_data, autoencoder
            )
            if weights is not None:
                weights = np.concatenate([weights, np.ones(source.n_rows - n_rows)])
        raw = RawTargets(y, source.n_rows, selection.training, weights, names, autoencoder.model_)
        targets = head._read_y(raw)
        source = source.weighted(None if weights is None else torch.from_numpy(weights).float())
        fit_to_targets(head, source, targets, autoencoder, head_stages, selection, learn=learn)
        if numbers is not None:
            head.training_rows_ = numbers[head.training_rows_]
        if numbers is not None and held_out.validation_data is None:
            head.held_out_rows_ = numbers[head.held_out_rows_]


def fit_to_targets(
    head: CodeHead,
    source: Source,
    targets: Tensor,
    autoencoder: AbstractAutoencoder,
    stages: Stages,
    selection: Selection | None = None,
    *,
    learn: Learn,
) -> None:
    """Fit a head to a source and targets that have been read from y."""
    check_same_columns(source, autoencoder)
    if head.training == "joint" and len(autoencoder.model_.objective.tasks):
        raise UsageError(
            "training: 'joint' has a single y, but a penalty of the autoencoder needs another "
            "one; use 'fine_tuned', or an autoencoder without that penalty."
        )
    # a copy, so that the head keeps its code if the caller's autoencoder changes
    head.autoencoder_ = deepcopy(autoencoder)
    autoencoder.model_.check_units(source)
    source = autoencoder.model_.scaling.for_training(source)
    if head.training != "frozen":
        head.autoencoder_.model_.densities = {}  # outdated by fine-tuning
        head.autoencoder_.model_.calibration = None
    learn(head, source.labeled(targets), stages, selection)


def open_head_stages(
    head: CodeHead,
    checkpoint: str | Path | None,
    resume: bool,
    stop_requested: Callable[[], bool] | None,
) -> AbstractContextManager[Stages]:
    """Return a context manager that opens the checkpoints of a head's fit and yields its stages."""
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
    """Return the autoencoder to start from, fitted to X if it is not fitted.

    X holds the rows of the mask ``kept``, y all rows.
    """
    autoencoder = given_autoencoder(head.autoencoder, head._default_autoencoder)
    if hasattr(autoencoder, "model_"):
        return autoencoder
    if task_of(autoencoder) is None or y is None:
        y = None  # the y of a head does not hold clean rows
    elif kept is not None and not kept.all():
        y = np.asarray(y)[kept]
    return unfitted_copy(autoencoder, head.random_state).fit(
        X, y, **stages.fit_arguments("autoencoder")
    )


def check_in_memory(source: Source) -> None:
    """Raise UsageError for a source that is streamed."""
    if not source.holds_targets:
        raise UsageError(f"{source.origin}: is streamed; a head needs rows in memory.")


def _with_validation_data(
    head: CodeHead, source: Source, y: Any, validation_data: Any, autoencoder: AbstractAutoencoder
) -> tuple[Source, Any, Selection]:
    """Append the held-out rows and y of ``validation_data`` to the rows and y."""
    X_held_out, y_held_out = rows_and_y(validation_data)
    if y_held_out is None:
        raise UsageError("validation_data: a head needs y too; give a pair (X, y).")
    if is_texts(X_held_out):
        X_held_out = query_rows(autoencoder, X_held_out, "validation_data")[1]
    held_out = query_source(head, X_held_out, "validation_data")
    if not is_texts(validation_data):  # counts of texts have been checked
        autoencoder.model_.check_units(held_out)
    check_in_memory(held_out)
    describe(held_out, missing=admits_missing(autoencoder))  # here errors name the row's own number
    mask = torch.zeros(source.n_rows + held_out.n_rows, dtype=torch.bool)
    mask[source.n_rows :] = True
    both = joined_targets(y, y_held_out, source.n_rows, held_out.n_rows)
    head._check_held_out_y(both, source.n_rows)
    return stacked(source, held_out), both, Selection(~mask, mask)
