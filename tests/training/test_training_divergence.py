"""Divergence: a training that is no longer finite raises TrainingDiverged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from training_runs import small, small_trainer

from narrows.data.array_sources import DenseSource
from narrows.errors import (
    TrainingDiverged,
)
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.loop import train
from narrows.training.watch import Watch


def test_divergence_is_an_error(x: np.ndarray) -> None:
    model = small(learning_rate=1e6, hidden=(5, 5), activation="relu", max_epochs=50)
    with pytest.raises(TrainingDiverged, match=r"not finite in epoch \d+, by step \d+; lower lea"):
        model.fit(x)


def test_a_checkpoint_from_before_the_divergence_stays(x: np.ndarray, tmp_path: Path) -> None:
    trainer = small_trainer(6)
    trainer.learning_rate = 1e12
    checkpoints = Checkpoints(tmp_path, every=0)
    with pytest.raises(TrainingDiverged, match="not finite"):
        train(
            trainer,
            DenseSource((x * 1e6).astype("f4")),
            max_epochs=50,
            batch_size=8,
            watch=Watch(checkpoints),
        )
    saved = checkpoints.newest()
    checkpoints.close()
    assert saved is not None and saved.spec["position"] > 0


def test_moments_that_overflow_are_divergence() -> None:
    """Adam's steps are 0 from then on: without the check, training would silently stop learning."""
    trainer = small_trainer()
    with pytest.raises(TrainingDiverged, match="the loss or a weight is not finite in epoch 1"):
        train(trainer, DenseSource(torch.full((8, 4), 1e15)), max_epochs=2, batch_size=8)


def test_a_held_out_error_that_is_not_finite_is_divergence() -> None:
    held_out = DenseSource(torch.full((2, 4), 1e25))
    with pytest.raises(TrainingDiverged, match="the held-out error is not finite after epoch 1"):
        train(
            small_trainer(),
            DenseSource(torch.ones(8, 4)),
            max_epochs=2,
            batch_size=8,
            validation=held_out,
        )


def test_a_fit_that_diverged_is_not_fitted(x: np.ndarray) -> None:
    model = small(learning_rate=1e38)
    with pytest.raises(TrainingDiverged):
        model.fit(x)
    assert not hasattr(model, "model_")
