"""Training sees every row, moves every weight, and lowers the objective."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from training_runs import equal, small, small_trainer, weights

from narrows.data.array_sources import DenseSource
from narrows.training.loop import held_out_errors, train
from narrows.training.trainer import Trainer
from narrows.training.watch import Watch


def test_the_objective_falls(x: np.ndarray) -> None:
    model = small(max_epochs=30, learning_rate=0.01, patience=None, linear_start=False)
    history = model.fit(x).history_
    assert history[-1] < 0.7 * history[0]


def test_every_weight_moves(x: np.ndarray) -> None:
    trainer = small_trainer(6)
    before = weights(trainer)
    train(trainer, DenseSource(x.astype("f4")), max_epochs=1, batch_size=8)
    assert all((weights(trainer)[name] != value).any() for name, value in before.items())


@pytest.mark.parametrize("batch_size", [5, 64])
def test_a_single_step_moves_the_weights(batch_size: int) -> None:
    """With fewer rows than a batch and one epoch, the only step must not have a rate of 0."""
    trainer = small_trainer()
    before = weights(trainer)
    train(trainer, DenseSource(torch.ones(5, 4)), max_epochs=1, batch_size=batch_size)
    assert not equal(weights(trainer), before)


def test_the_last_step_moves_the_weights() -> None:
    trainer = small_trainer()
    seen: list[dict[str, Tensor]] = []
    stop = lambda: seen.append(weights(trainer)) or False  # noqa: E731
    source = DenseSource(torch.rand(9, 4))
    train(trainer, source, max_epochs=2, batch_size=8, watch=Watch(stop_requested=stop))
    assert not equal(seen[-1], seen[-2])


def test_a_last_batch_of_one_is_trained_on(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    step = Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda self, raw, **k: (sizes.append(len(raw)), step(self, raw, **k))
    )
    train(small_trainer(), DenseSource(torch.rand(9, 4)), max_epochs=1, batch_size=8)
    assert sizes == [8, 1]


def test_every_row_is_seen_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[float] = []
    step = Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda self, raw, **k: (rows.extend(raw[:, 0]), step(self, raw, **k))
    )
    numbered = torch.arange(20.0)[:, None].expand(20, 4) / 20
    train(small_trainer(), DenseSource(numbered.clone()), max_epochs=3, batch_size=6)
    assert [sorted(rows[i : i + 20]) for i in (0, 20, 40)] == [numbered[:, 0].tolist()] * 3


def test_two_epochs_have_different_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[float] = []
    step = Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda self, raw, **k: (rows.extend(raw[:, 0]), step(self, raw, **k))
    )
    numbered = torch.arange(20.0)[:, None].expand(20, 4) / 20
    train(small_trainer(), DenseSource(numbered.clone()), max_epochs=2, batch_size=6)
    assert rows[:20] != rows[20:]


def test_the_record_is_the_mean_over_rows_and_not_over_batches() -> None:
    """At a rate near 0 the net does not change, so its error on all rows is known."""
    trainer = small_trainer(learning_rate=1e-12)
    source = DenseSource(torch.rand(9, 4, generator=torch.Generator().manual_seed(0)))
    record = train(trainer, source, max_epochs=1, batch_size=8)
    assert record.epochs[0].loss == pytest.approx(held_out_errors(trainer, source).mean, rel=1e-5)


def test_two_rows_are_enough(x: np.ndarray) -> None:
    model = small(validation_fraction=0.0).fit(x[:2])
    assert np.isfinite(model.transform(x[:2])).all()


def test_partial_fit_reduces_the_error(x: np.ndarray) -> None:
    model = small(corruption="identity", learning_rate=0.01, linear_start=False)
    scores = [model.partial_fit(x).score(x) for _ in range(15)]
    assert scores[-1] > 0.7 * scores[0]  # scores are minus errors


def test_partial_fit_does_not_let_the_rate_decay(
    x: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors: list[float] = []
    step = Trainer.step
    monkeypatch.setattr(
        Trainer, "step", lambda self, raw, **k: (factors.append(k["factor"]), step(self, raw, **k))
    )
    small().partial_fit(x).partial_fit(x)
    assert set(factors) == {1.0}
