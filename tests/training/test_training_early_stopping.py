"""Early stopping uses held-out rows and restores the best weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from training_runs import equal, small, small_trainer, weights

from narrows.data.array_sources import DenseSource
from narrows.training.early_stopping import EarlyStopping, HeldOutErrors
from narrows.training.loop import held_out_errors, train
from narrows.training.watch import Watch


@pytest.fixture
def worsening() -> dict[str, Any]:
    """Rows of 1 and held-out rows of 0, which an untrained net reconstructs exactly."""
    return {
        "source": DenseSource(torch.ones(16, 4)),
        "validation": DenseSource(torch.zeros(8, 4)),
        "max_epochs": 50,
        "batch_size": 8,
        "constant_rate": True,
    }


def test_training_stops_after_patience_epochs(worsening: dict[str, Any]) -> None:
    record = train(small_trainer(), **worsening, patience=3)
    assert (len(record.epochs), record.best_epoch, record.stopped_early) == (4, 1, True)


def test_without_patience_training_does_not_stop(worsening: dict[str, Any]) -> None:
    record = train(small_trainer(), **worsening, patience=None)
    assert (len(record.epochs), record.best_epoch, record.stopped_early) == (50, 1, False)


def test_patience_longer_than_training_is_harmless(worsening: dict[str, Any]) -> None:
    assert len(train(small_trainer(), **worsening, patience=1000).epochs) == 50


def test_the_best_weights_are_restored(worsening: dict[str, Any]) -> None:
    trainer, seen = small_trainer(), []
    note = lambda number, epoch: seen.append(weights(trainer))  # noqa: E731
    train(trainer, **worsening, patience=3, watch=Watch(on_epoch=note))
    assert equal(weights(trainer), seen[0]) and not equal(seen[0], seen[1])


def test_the_kept_weights_have_the_recorded_error(worsening: dict[str, Any]) -> None:
    trainer = small_trainer()
    record = train(trainer, **worsening, patience=3)
    assert held_out_errors(trainer, worsening["validation"]).mean == record.epochs[0].validation


def test_held_out_rows_are_not_trained_on(x: np.ndarray) -> None:
    record = small().fit(x).model_.record
    assert (record["n_rows"], record["n_validation_rows"]) == (31, 10)


def test_held_out_values_do_not_affect_the_first_epoch(worsening: dict[str, Any]) -> None:
    first, second = small_trainer(), small_trainer()
    worsening["max_epochs"] = 1
    train(first, **worsening)
    worsening["validation"] = DenseSource(torch.full((3, 4), 7.0))
    train(second, **worsening)
    assert equal(weights(first), weights(second))


def test_an_older_checkpoints_best_error_counts():
    net, stopping = torch.nn.Linear(1, 1), EarlyStopping(3)
    best = {f"best.{name}": value for name, value in net.state_dict().items()}
    stopping.restore(best, {"best_epoch": 4, "best_error": 1.0})
    stopping.update(5, HeldOutErrors(2.0, torch.tensor([2.0])), torch.nn.Linear(1, 1))
    assert stopping.best_epoch == 4
    assert stopping.restore_best(other := torch.nn.Linear(1, 1)) == 4
    assert torch.equal(other.weight, net.weight)
