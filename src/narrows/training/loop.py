"""The training loop: epochs of shuffled batches, with checkpoints and early stopping."""

from __future__ import annotations

import torch
from torch import Generator

from narrows.data.source import Source, n_batches, rows_at_a_time, with_targets
from narrows.training.checkpoint_content import restore_run, save_run
from narrows.training.early_stopping import EarlyStopping
from narrows.training.precision import product_context
from narrows.training.record import TrainingRecord
from narrows.training.run import Run
from narrows.training.schedule import rate_factor
from narrows.training.trainer import Trainer
from narrows.training.watch import Watch

__all__ = ["TrainingStopped", "mean_error", "train"]

_CHECK_EVERY = 100
"""Steps between checks that the loss is finite: each check waits for the device."""

EVALUATION_BATCH = 1024

_NO_WATCH = Watch()


class TrainingStopped(BaseException):
    """Raised after a stop was requested and the checkpoint saved; it is not an error."""


def train(
    trainer: Trainer,
    source: Source,
    *,
    max_epochs: int,
    batch_size: int,
    validation: Source | None = None,
    patience: int | None = None,
    augment_until: float = 1.0,
    constant_rate: bool = False,
    watch: Watch = _NO_WATCH,
) -> TrainingRecord:
    """Minimize the trainer's objective over the source, in place.

    Parameters
    ----------
    max_epochs, batch_size : int
        The learning rate follows ``rate_factor`` over ``max_epochs`` epochs, unless
        ``constant_rate``.
    validation : Source, optional
        Held-out rows; the weights of the epoch with the lowest error on them are kept at the end.
    patience : int, optional
        Epochs without a better held-out error before training stops.
    augment_until : float
        Fraction of the epochs in which the trainer's augmentation is used.
    watch : Watch, optional
        Checkpoints and callbacks.

    Raises
    ------
    TrainingDiverged
        When a loss or a weight is not finite; the checkpoints before it stay.
    DataChanged, ModelFileError
        If the checkpoint has other data or other parameters.
    """
    record = TrainingRecord(
        n_rows=source.n_rows,
        n_validation_rows=validation.n_rows if validation else 0,
    )
    run = Run(trainer, record, EarlyStopping(patience), watch, max_epochs=max_epochs)
    if watch.saved is not None:
        restore_run(run, watch.saved)
    batches = n_batches(source, batch_size)
    total = max_epochs * batches

    while run.epoch < max_epochs and not record.stopped_early:
        run.begin_epoch()
        trainer.objective.train()
        augment = run.epoch < augment_until * max_epochs
        rows = source.shuffled(batch_size, generator=trainer.sampler, start=run.position)
        for raw in rows:
            step = run.epoch * batches + run.position
            factor = 1.0 if constant_rate else rate_factor(step, total)
            trainer.step(raw, factor=factor, augment=augment)
            record.precision = trainer.precision
            run.position += 1
            stopped = watch.stop_requested()
            if (step + 1) % _CHECK_EVERY == 0:
                run.check_finite()
            if stopped or run.checkpoint_due():
                save_run(run)
            if stopped:
                raise TrainingStopped
        error = None
        run.check_finite()
        if validation is not None:
            error = mean_error(trainer, validation)
            run.check_held_out(error)
        watch.on_epoch(run.epoch + 1, run.end_epoch(error))

    save_run(run)
    if validation is not None:
        run.stopping.restore_best(trainer.objective)
        record.best_epoch = run.stopping.best_epoch
    return record


@torch.no_grad()
def mean_error(trainer: Trainer, source: Source) -> float:
    """Return the mean error over a source, in the precision of training.

    For stochastic objectives it is the mean of J, with one draw for each row: the error of the
    mean code would leave out the penalty. Rows count by the source's weights, of mean 1.
    """
    total = torch.zeros((), dtype=torch.float64, device=trainer.device)
    first = 0
    objective = trainer.objective.eval()
    noise = Generator(trainer.device).manual_seed(0)  # the same draws after every epoch
    with product_context(trainer.precision, trainer.device):
        for raw, y in with_targets(source, rows_at_a_time(source, EVALUATION_BATCH)):
            x = trainer.scaling.forward(raw.to(trainer.device))
            y = None if y is None else y.to(trainer.device)
            weights = None
            if source.weights is not None:
                weights = source.weights[first : first + len(x)].to(trainer.device)
            weighted = {} if weights is None else {"weights": weights}
            if objective.stochastic:
                terms = objective(x, y, generator=noise, **weighted)
                total += terms.total.double() * len(x)
            else:
                errors = objective.error(x, y).double()
                total += (errors if weights is None else errors * weights).sum()
            first += len(x)
    return float(total / source.n_rows)
