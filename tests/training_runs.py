"""Small trainings, and functions that compare and interrupt them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from narrows import Autoencoder
from narrows.data.scaling import Scaling
from narrows.training.loop import TrainingStopped
from narrows.training.trainer import Trainer
from narrows.variants.building import build_objective


def small(**changes: Any) -> Autoencoder:
    arguments = {
        "n_components": 2,
        "hidden": (5,),
        "linear_start": False,
        "corruption": "masking:0.3",
        "max_epochs": 5,
        "batch_size": 8,
        "validation_fraction": 0.25,
        "patience": 2,
        "random_state": 0,
    }
    return Autoencoder(**{**arguments, **changes})


def small_trainer(n_features: int = 4, *, seed: int = 0, learning_rate: float = 0.01) -> Trainer:
    objective = build_objective("plain", {"n_components": 2, "hidden": [5]}, n_features, seed=seed)
    device = torch.device("cpu")
    return Trainer(
        objective,
        Scaling("none"),
        learning_rate=learning_rate,
        precision="float32",
        device=device,
        seed=seed,
    )


def weights(model: Any) -> dict[str, Tensor]:
    """Return copies of the weights of an estimator or a trainer."""
    objective = model.objective if isinstance(model, Trainer) else model.model_.objective
    return {name: value.clone() for name, value in objective.state_dict().items()}


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def after(steps: int) -> Callable[[], bool]:
    """Return a stop request that comes after this many steps."""
    countdown = iter(range(steps, -1, -1))
    return lambda: next(countdown) <= 1


def checkpoint_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoint-*.safetensors"))


def interrupted(model: Autoencoder, data: Any, folder: Path, every: int) -> int:
    """Fit with a stop after each ``every`` steps, to the end; return the number of stops."""
    for stops in range(1000):
        try:
            model.fit(data, checkpoint=folder, resume=stops > 0, stop_requested=after(every))
        except TrainingStopped:
            continue
        return stops
    raise AssertionError("the training never ended")
