"""The neighbor model: a code learned first, whose nearest rows are the neighbors of the fit.

Rows that a net holds for alike are about the same thing more often than rows that share words. A
code of few bits finds poor neighbors, a wide one that is learned in groups finds good ones.

Hinton, Vinyals, Dean (2015), "Distilling the knowledge in a neural network": here what is handed on
is which rows are near, and no output.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import Tensor

from narrows.core.pieces import name_of
from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.fitting.builders import minimize, new_model, trained
from narrows.fitting.plan import Plan
from narrows.model.coding import code_of, encoded
from narrows.model.model import Model
from narrows.training.run import Epoch, Watch, epochs_if_finished

__all__ = ["NEIGHBOR_MODEL", "neighbor_codes", "neighbor_plan"]

NEIGHBOR_MODEL = "neighbor_model"
"""The folder of its checkpoints, in those of the net that is fitted."""

_WIDTH, _GROUPS = 128, 4
_HASHER = {
    "hidden": [500],
    "activation": "silu",
    "binarization": "noise",
    "noise": 1.0,
}
_WEIGHT_DECAY = 1.0
_DROPPED = 0.7
"""Share of the words that is dropped from a row in a step, where rows are counts."""


def neighbor_plan(plan: Plan) -> Plan:
    """Return how the neighbor model is trained: as a hasher is by default, or as the
    net itself where that is one, but for a wide code in groups."""
    loss = plan.parameters["loss"]
    words = name_of(loss) == "multinomial"
    hasher = {**_HASHER, "bag_of_words": words, "corruption": {"name": "identity"}, "loss": loss}
    weight_decay = _WEIGHT_DECAY
    if plan.variant == "hashing":
        hasher, weight_decay = plan.parameters, plan.weight_decay
    parameters = {**hasher, "n_components": _WIDTH, "n_groups": _GROUPS}
    if words:
        parameters["corruption"] = {"name": "masking", "rate": _DROPPED}
    return replace(
        plan,
        variant="hashing",
        parameters=parameters,
        neighbors_by="rows",
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
    """Train the neighbor model and return its codes of the rows to train on and then of those held
    out, before any threshold, float32 (n_samples, 128), and its epochs."""
    plan = neighbor_plan(plan)
    model = new_model(plan, source)
    with watch.part(NEIGHBOR_MODEL, "neighbor model") as part:
        saved = part.saved
        if saved is not None and (epochs := epochs_if_finished(saved)) is not None:
            # the net may go on to more epochs, but the codes that define its neighbors stay
            patience = saved.spec["identity"]["patience"]
            plan = replace(plan, max_epochs=epochs, patience=patience)
        if part.checkpoints is not None:
            part = replace(part, identity=plan.identity(source, rows))
        record = minimize(plan, model, trained(plan, model, rows, labels=labels), rows, part)
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
