"""Train the neighbor model, whose codes define the nearest rows of a fit.

Rows with similar codes are about the same topic more often than rows that share words. Short codes
find poor neighbors; wide codes learned in groups find good ones.

Hinton, Vinyals, Dean (2015), "Distilling the knowledge in a neural network". Here the first model
passes on its nearest rows instead of its outputs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from narrows.core.pieces import name_of
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.fitting.builders import minimize, new_model, new_trainable
from narrows.fitting.plan import Plan
from narrows.model.coding import code_of, encoded
from narrows.model.model import Model
from narrows.training.identity import max_epochs_if_finished
from narrows.training.record import Epoch
from narrows.training.watch import Watch

__all__ = ["NEIGHBOR_MODEL", "neighbor_codes", "neighbor_plan"]

NEIGHBOR_MODEL = "neighbor_model"
"""The folder of its checkpoints, inside the folder of the fit."""

_WIDTH, _GROUPS = 128, 4
_HASHER = {
    "hidden": [500],
    "activation": "silu",
    "binarization": "noise",
    "noise": 1.0,
}
_WEIGHT_DECAY = 1.0
_MASKING_RATE = 0.7
"""Fraction of the words that is masked in a step, if rows are counts."""


def neighbor_plan(plan: Plan) -> Plan:
    """Return the plan of the neighbor model: a hasher with a hidden layer, from random weights,
    with the other parameters of the plan if it is one, and a wide code in groups."""
    loss = plan.parameters["loss"]
    words = name_of(loss) == "multinomial"
    hasher = {**_HASHER, "bag_of_words": words, "corruption": {"name": "identity"}, "loss": loss}
    weight_decay = _WEIGHT_DECAY
    if plan.variant == "hashing":
        hasher = {name: v for name, v in plan.parameters.items() if name != "linear_path"}
        hasher["hidden"] = hasher["hidden"] or _HASHER["hidden"]
        weight_decay = plan.weight_decay
    parameters = {**hasher, "n_components": _WIDTH, "n_groups": _GROUPS}
    if words:
        parameters["corruption"] = {"name": "masking", "rate": _MASKING_RATE}
    return replace(
        plan,
        variant="hashing",
        parameters=parameters,
        neighbors_by="rows",
        linear_start=False,
        weight_decay=weight_decay,
        pretraining=None,
    )


def neighbor_codes(
    plan: Plan,
    source: Source,
    rows: Split,
    watch: Watch,
    labels: Tensor | None = None,
) -> tuple[np.ndarray, list[Epoch]]:
    """Train the neighbor model; return its codes of the training rows followed by the held-out
    rows, before thresholding, float32 (n_samples, 128), and its epochs."""
    plan = neighbor_plan(plan)
    model = new_model(plan, source)
    with watch.part(NEIGHBOR_MODEL, "pretraining, neighbor model") as part:
        saved = part.saved
        if saved is not None and (epochs := max_epochs_if_finished(saved)) is not None:
            # the fit may continue to more epochs, but the codes of its neighbors are final
            patience = saved.spec["identity"]["patience"]
            plan = replace(plan, max_epochs=epochs, patience=patience)
        if part.checkpoints is not None:
            part = replace(part, identity=plan.identity(source, rows))
        record = minimize(plan, model, new_trainable(plan, model, rows, labels=labels), rows, part)
    model.objective.eval()
    blocks = [
        block
        for part in rows.parts
        for block in encoded(model, part, lambda x: _preactivation(model, x))
    ]
    return np.concatenate(blocks), record.epochs


def _preactivation(model: Model, x: Any) -> np.ndarray:
    preactivation = code_of(model, x).preactivation
    assert preactivation is not None
    return preactivation.float().cpu().numpy()
