"""Choose by trials how long a head and its encoder train from a probe, or whether they stay."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from narrows.artefact import Artefact
from narrows.core.targets import known_rows
from narrows.data.source import Source
from narrows.data.splitting import Selection
from narrows.fitting.head import FittedHead, HeadRecipe, HeadSettings, fit_head
from narrows.fitting.probe import folds_of
from narrows.fitting.trials import choose_epoch
from narrows.model.model import Model
from narrows.training.early_stopping import EarlyStopping
from narrows.training.stages import Stages

__all__ = ["fit_head_after_trials"]

_TRIALS = 3
_MANY = 1000
"""Number of labels from which there is one trial."""

_PATIENCE = 20
"""Epochs without a lower held-out error after which a trial ends."""


def fit_head_after_trials(
    recipe: HeadRecipe,
    model: Model,
    source: Source,
    settings: HeadSettings,
    stages: Stages,
    *,
    selection: Selection | None,
    snapshot: Callable[[FittedHead], Artefact],
) -> FittedHead:
    """Train a head and the encoder as ``fit_head`` does, for as many epochs as trials choose.

    Each trial holds a share of the labels out. Without a clearly lower error on these than that of
    the probe, and if no class has two labels, nothing is trained: the head is the probe.
    """
    assert source.targets is not None
    trials = []
    quiet = replace(settings, verbose=0, patience=settings.patience or _PATIENCE)
    for number, held_out in enumerate(_shares(source.targets, seed=stages.seed), start=1):
        stopping = EarlyStopping(quiet.patience, keep_all=True)
        fit_head(
            recipe,
            deepcopy(model),
            source,
            quiet,
            stages,
            stage=f"trial-{number}",
            selection=Selection(~held_out, held_out),
            stopping=stopping,
        )
        trials.append(stopping.all)
    epoch = choose_epoch(trials, first=0).epoch if trials else 0
    return fit_head(
        recipe,
        model,
        source,
        settings,
        stages,
        selection=selection,
        snapshot=snapshot,
        last_epoch=epoch,
    )


def _shares(targets: Tensor, *, seed: int) -> list[Tensor]:
    """Return the mask of the rows that each trial holds out."""
    rows = known_rows(targets).nonzero()[:, 0].numpy()
    y = targets[rows].numpy()
    if len(y) < _MANY:
        folds = folds_of(np.zeros(len(y)) if targets.is_floating_point() else y, seed=seed)
        shares = [(folds >= 0) & (folds % _TRIALS == number) for number in range(_TRIALS)]
    else:
        shares = [np.arange(len(y)) % 5 == 0]
    masks = []
    for share in shares:
        held_out = torch.zeros(len(targets), dtype=torch.bool)
        held_out[rows[share]] = True
        if share.any() and not share.all():
            masks.append(held_out)
    return masks
