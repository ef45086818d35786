"""Fit a head: validate rows and y, fit the autoencoder if it is not fitted, and train."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
from narrows.errors import InvalidData, UsageError
from narrows.estimators.autoencoders.base import AbstractAutoencoder
from narrows.estimators.autoencoders.penalty_targets import task_of
from narrows.estimators.autoencoders.plan import admits_missing
from narrows.estimators.columns import check_same_columns
from narrows.estimators.given_autoencoder import given_autoencoder, unfitted_copy
from narrows.estimators.heads.base import CodeHead
from narrows.estimators.heads.kind import RawTargets, Train
from narrows.estimators.held_out import HeldOut, joined_targets, rows_and_y
from narrows.estimators.inputs import fit_source, query_rows, query_source
from narrows.estimators.parameters import forget, json_parameters, seed_from
from narrows.estimators.sample_weights import drop_zero_weight_rows
from narrows.estimators.targets import read_same, target_names
from narrows.estimators.texts import documents_where, is_texts
from narrows.fitting.head import FittedHead, HeadRecipe, fit_head
from narrows.fitting.head_trials import fit_head_after_trials
from narrows.text import as_documents
from narrows.training.stages import Stages, open_stages

__all__ = [
    "check_paired",
    "fit_head_to_pairs",
    "fit_head_to_rows",
    "open_head_stages",
    "train_by_recipe",
]


def train_by_recipe(
    recipe: Callable[[Any], HeadRecipe],
    head: CodeHead,
    source: Source,
    stages: Stages,
    selection: Selection | None,
) -> None:
    """Train a head by its recipe, and set the fitted attributes; y has been read."""

    def snapshot(fitted: FittedHead) -> Artefact:
        head._adopt(fitted)
        return head.to_artefact()

    made = recipe(head)
    held_out = selection is not None and bool(selection.held_out.any())
    fit = fit_head_after_trials if made.trials and not held_out else fit_head
    fitted = fit(
        made,
        head.autoencoder_.model_,
        source,
        head._settings(),
        stages,
        selection=selection,
        snapshot=snapshot,
    )
    head._adopt(fitted)


def fit_head_to_rows(
    head: CodeHead,
    X: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    held_out: HeldOut,
    stages: AbstractContextManager[Stages],
) -> None:
    """Fit a head to rows and y, and its autoencoder if that is not fitted.

    ``stages`` opens the checkpoints of the fit.
    """
    head._check_parameters()
    forget(head)
    names, fraction = target_names(y), float(head.validation_fraction)
    with stages as head_stages:
        seed = head_stages.seed
        autoencoder = None
        if is_texts(X):  # the autoencoder has the vocabulary
            n_documents = sum(1 for _ in as_documents(X))
            kept = held_out.select(n_documents, fraction, seed=seed).training.numpy()
            training = X if kept.all() else documents_where(X, kept)
            autoencoder = _fitted_autoencoder(head, training, y, kept, head_stages)
            X = query_rows(autoencoder, X)[1]
        source = fit_source(head, X)
        _check_in_memory(source)
        keep_places = autoencoder is not None or held_out.keeps_places
        counted = drop_zero_weight_rows(
            sample_weight, source, y, held_out.groups, keep_places=keep_places
        )
        source, y, weights, numbers = counted.source, counted.y, counted.weights, counted.numbers
        held_out = replace(held_out, groups=counted.groups)
        X = X if numbers is None else source
        selection = held_out.select(source.n_rows, fraction, seed=seed)
        kept = selection.training
        if autoencoder is None:
            training = X if bool(kept.all()) else source.where(kept)
            autoencoder = _fitted_autoencoder(head, training, y, kept.numpy(), head_stages)
        if held_out.validation_data is not None:
            n_rows = source.n_rows
            source, y, selection = _with_validation_data(
                head, source, y, held_out.validation_data, autoencoder
            )
            if weights is not None:
                weights = np.concatenate([weights, np.ones(source.n_rows - n_rows)])
        raw = RawTargets(y, source.n_rows, selection.training, weights, names, autoencoder.model_)
        targets = head._kind().read_y(head, raw)
        source = source.weighted(None if weights is None else torch.from_numpy(weights).float())
        _fit_to_targets(
            head, source, targets, autoencoder, head_stages, selection, train=head._kind().train
        )
        if numbers is not None:
            head.training_rows_ = numbers[head.training_rows_]
        if numbers is not None and held_out.validation_data is None:
            head.held_out_rows_ = numbers[head.held_out_rows_]


def fit_head_to_pairs(
    head: CodeHead,
    A: Any,
    B: Any,
    same: Any,
    *,
    stages: AbstractContextManager[Stages],
    train: Train,
) -> None:
    """Fit a head to pairs of rows and whether both are the same thing, and its autoencoder if that
    is not fitted.

    ``train`` gets the rows of A followed by those of B.
    """
    head._check_parameters()
    forget(head)
    with stages as head_stages:
        autoencoder = None
        if is_texts(A):
            autoencoder = _fitted_autoencoder(head, [*A, *B], None, None, head_stages)
            A = query_rows(autoencoder, A, "A")[1]
            B = query_rows(autoencoder, B, "B")[1]
        first = fit_source(head, A, argument="A")
        second = query_source(head, B, "B")
        chosen = autoencoder or _chosen_autoencoder(head)
        for source in (first, second):
            _check_in_memory(source)
            # here errors name the row's own number
            describe(source, missing=admits_missing(chosen))
        check_paired(first.n_rows, second.n_rows)
        labels = read_same(same, first.n_rows)
        both = stacked(first, second)
        autoencoder = autoencoder or _fitted_autoencoder(head, both, None, None, head_stages)
        _fit_to_targets(head, both, labels.repeat(2), autoencoder, head_stages, train=train)


def check_paired(n_a: int, n_b: int) -> None:
    """Raise InvalidData if there are more rows of one than of the other."""
    if n_a != n_b:
        raise InvalidData(f"B: {n_b} rows for {n_a} rows of A; give one row of B per row of A.")


def _fit_to_targets(
    head: CodeHead,
    source: Source,
    targets: Tensor,
    autoencoder: AbstractAutoencoder,
    stages: Stages,
    selection: Selection | None = None,
    *,
    train: Train,
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
    train(head, source.labeled(targets), stages, selection)


@contextmanager
def open_head_stages(
    head: CodeHead,
    checkpoint: str | Path | None,
    resume: bool,
    stop_requested: Callable[[], bool] | None,
) -> Iterator[Stages]:
    """Open the checkpoints of a head's fit, and yield its stages."""
    own = json_parameters(head._own_parameters())
    for name in ("device", "random_state", "verbose"):
        own.pop(name)
    with open_stages(
        checkpoint,
        {"estimator": type(head).__name__, **own},
        seed=seed_from(head.random_state),
        seed_is_drawn=head.random_state is None,
        resume=resume,
        stop_requested=stop_requested,
    ) as stages:
        yield stages


def _chosen_autoencoder(head: CodeHead) -> AbstractAutoencoder:
    """Return the autoencoder of a head, or an unfitted default one if it has none."""
    default: Any = head._kind().default_autoencoder
    return given_autoencoder(
        head.autoencoder, lambda: default(random_state=head.random_state, device=head.device)
    )


def _fitted_autoencoder(
    head: CodeHead, X: Any, y: Any, kept: np.ndarray | None, stages: Stages
) -> AbstractAutoencoder:
    """Return the autoencoder to start from, fitted to X if it is not fitted.

    X holds the rows of the mask ``kept``, y all rows.
    """
    autoencoder = _chosen_autoencoder(head)
    if hasattr(autoencoder, "model_"):
        return autoencoder
    if task_of(autoencoder) is None or y is None:
        y = None  # the y of a head does not hold clean rows
    elif kept is not None and not kept.all():
        y = np.asarray(y)[kept]
    return unfitted_copy(autoencoder, head.random_state).fit(
        X, y, **stages.fit_arguments("autoencoder")
    )


def _check_in_memory(source: Source) -> None:
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
    _check_in_memory(held_out)
    describe(held_out, missing=admits_missing(autoencoder))  # here errors name the row's own number
    mask = torch.zeros(source.n_rows + held_out.n_rows, dtype=torch.bool)
    mask[source.n_rows :] = True
    both = joined_targets(y, y_held_out, source.n_rows, held_out.n_rows)
    head._kind().check_held_out_y(head, both, source.n_rows)
    return stacked(source, held_out), both, Selection(~mask, mask)
