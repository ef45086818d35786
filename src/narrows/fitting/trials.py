"""Choose the number of epochs by trial trainings, each with other rows held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from narrows.training.early_stopping import HeldOutErrors, clearly_lower, within_bound
from narrows.training.record import Epoch, TrainingRecord

__all__ = ["Chosen", "choose_epoch", "merged_record"]


@dataclass(frozen=True)
class Chosen:
    """The epoch with the lowest error on held-out rows, and the errors of these rows after it.

    Of every row it is the L in the trial that held it out.
    """

    epoch: int
    held_out: HeldOutErrors


def choose_epoch(trials: Sequence[Sequence[HeldOutErrors]], *, first: int) -> Chosen:
    """Return the epoch with the lowest error, over the held-out rows of all trials.

    ``trials`` hold the errors of each trial after every epoch, from the ``first``, which is 0 if
    the start counts. The start is left only if the errors are clearly lower than its own, and
    within their bound.

    Examples
    --------
    >>> start = HeldOutErrors(2.0, torch.tensor([2.0, 2.0, 2.0]))
    >>> after = HeldOutErrors(1.5, torch.tensor([1.4, 1.5, 1.6]))
    >>> choose_epoch([[start, after]], first=0).epoch
    1
    """
    n_epochs = min(map(len, trials))
    pooled = [_pooled([trial[i] for trial in trials]) for i in range(n_epochs)]
    start = pooled[0] if first == 0 else None
    bounded = [i for i in range(n_epochs) if i == 0 or within_bound(pooled[i], start)]
    best = min(bounded, key=lambda i: pooled[i].mean)
    if first == 0 and not clearly_lower(pooled[best], pooled[0]):
        best = 0
    return Chosen(best + first, pooled[best])


def _pooled(parts: Sequence[HeldOutErrors]) -> HeldOutErrors:
    """Return the errors of several trials after the same epoch, as those of one."""
    sizes = [len(part.rows) for part in parts]
    mean = sum(part.mean * n for part, n in zip(parts, sizes, strict=True)) / sum(sizes)
    weights = None
    if any(part.weights is not None for part in parts):
        weights = torch.cat(
            [torch.ones(len(p.rows)) if p.weights is None else p.weights for p in parts]
        )
    rows = torch.cat([part.rows for part in parts])
    return HeldOutErrors(mean, rows, weights, parts[0].judged_by)


def merged_record(
    trials: Sequence[TrainingRecord], final: TrainingRecord, *, best_epoch: int
) -> TrainingRecord:
    """Return the record of a training that was repeated: the means of the trials' epochs.

    The numbers of rows are those of the final training; the seconds of the trials are summed.
    """
    epochs = [_mean_epoch(same) for same in zip(*(trial.epochs for trial in trials), strict=False)]
    return replace(
        final,
        epochs=epochs,
        best_epoch=best_epoch,
        stopped_early=any(trial.stopped_early for trial in trials),
        refit_epochs=len(final.epochs),
        precision=final.precision if final.epochs else trials[0].precision,
    )


def _mean_epoch(same: Sequence[Epoch]) -> Epoch:
    def mean(name: str) -> float:
        return sum(getattr(epoch, name) for epoch in same) / len(same)

    names = ("objective", "loss", "penalty", "validation")
    return Epoch(**{name: mean(name) for name in names}, seconds=sum(e.seconds for e in same))
