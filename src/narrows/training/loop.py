"""The training loop: epochs of shuffled batches, with checkpoints and early stopping."""

from __future__ import annotations

import torch
from torch import Generator

from narrows.data.source import Source, n_batches, rows_at_a_time, with_targets
from narrows.training.checkpoint_content import restore_run, save_run
from narrows.training.early_stopping import EarlyStopping, HeldOutErrors
from narrows.training.precision import product_context
from narrows.training.record import TrainingRecord
from narrows.training.run import Run
from narrows.training.schedule import rate_factor
from narrows.training.trainer import Trainer
from narrows.training.watch import Watch

__all__ = ["TrainingStopped", "held_out_errors", "train"]

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
    stopping: EarlyStopping | None = None,
    counts_start: bool = False,
    last_epoch: int | None = None,
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
    stopping : EarlyStopping, optional
        Instead of a new one with ``patience``, so that the caller can read its errors.
    counts_start : bool
        Whether the untrained net counts as epoch 0, because it is a good one already.
    last_epoch : int, optional
        Epoch after which training ends, though the learning rate follows ``max_epochs``.
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
    stopping = stopping or EarlyStopping(patience)
    run = Run(trainer, record, stopping, watch, max_epochs=max_epochs)
    if watch.saved is not None:
        restore_run(run, watch.saved)
    elif counts_start and validation is not None:
        stopping.update(0, held_out_errors(trainer, validation), trainer.objective)
    batches = n_batches(source, batch_size)
    total = max_epochs * batches
    last = max_epochs if last_epoch is None else last_epoch

    while run.epoch < last and not record.stopped_early:
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
        errors = None
        run.check_finite()
        if validation is not None:
            errors = held_out_errors(trainer, validation)
            run.check_held_out(errors.mean)
        watch.on_epoch(run.epoch + 1, run.end_epoch(errors))

    save_run(run)
    if validation is not None:
        record.best_epoch = stopping.restore_best(trainer.objective)
    return record


@torch.no_grad()
def held_out_errors(trainer: Trainer, source: Source) -> HeldOutErrors:
    """Return the errors of the rows of a source, in the precision of training.

    The objective says how it is judged: if by J, as with penalties and random codes, the mean is
    that of J, with one draw for each row. Rows count by the source's weights, of mean 1.
    """
    total = torch.zeros((), dtype=torch.float64, device=trainer.device)
    first, rows = 0, []
    objective = trainer.objective.eval()
    noise = Generator(trainer.device).manual_seed(0)  # the same draws after every epoch
    with product_context(trainer.precision, trainer.device):
        for raw, y in with_targets(source, rows_at_a_time(source, EVALUATION_BATCH)):
            x = trainer.scaling.forward(raw.to(trainer.device))
            y = None if y is None else y.to(trainer.device)
            weights = None
            if source.weights is not None:
                weights = source.weights[first : first + len(x)].to(trainer.device)
            errors = objective.error(x, y).float()
            rows.append(errors.cpu())
            if objective.judged_by != "error":
                weighted = {} if weights is None else {"weights": weights}
                terms = objective(x, y, generator=noise, **weighted)
                total += terms.total.double() * len(x)
            else:
                total += (errors if weights is None else errors * weights).sum(dtype=torch.float64)
            first += len(x)
    return HeldOutErrors(
        float(total / source.n_rows),
        torch.cat(rows),
        source.weights,
        judged_by=objective.judged_by,
    )
