"""A code learned first, that says which rows are near: the teacher of the code asked for.

Rows that a net holds for alike are about the same thing more often than rows that share words. A
code of few bits makes a poor teacher of itself, a wide one, learned in groups, a good one of both.

Hinton, Vinyals, Dean (2015), "Distilling the knowledge in a neural network": here what is handed on
is which rows are near, and no output.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from narrows.data.source import Source
from narrows.data.splitting import Split
from narrows.fitting.builders import minimize, new_model, trained
from narrows.fitting.plan import Plan
from narrows.model.coding import code_of, encoded
from narrows.model.model import Model
from narrows.training.checkpoints import Checkpoints
from narrows.training.run import Epoch, epochs_if_finished

__all__ = ["TEACHER", "teacher_codes", "teacher_plan"]

TEACHER = "teacher"
"""The folder of its checkpoints, in those of the net that it teaches."""

_WIDTH, _GROUPS = 128, 4
_HASHER = {
    "hidden": [500],
    "activation": "silu",
    "binarization": "noise",
    "noise": 1.0,
    "balance": 0.0,
}
_WEIGHT_DECAY = 1.0
_DROPPED = 0.7
"""The share of words that a teacher of counts does without, a row at a time."""


def teacher_plan(plan: Plan) -> Plan:
    """Return how the teacher is trained: on the same rows, as a hasher is by default, or as the
    net itself where that is one, but for a wide code in groups."""
    loss = plan.parameters["loss"]
    words = loss["name"] == "multinomial"
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


def teacher_codes(
    plan: Plan,
    source: Source,
    rows: Split,
    *,
    checkpoints: Checkpoints | None,
    resume: bool,
    stop_requested: Callable[[], bool],
    on_epoch: Callable[[int, Epoch], None],
) -> tuple[np.ndarray, list[Epoch]]:
    """Train the teacher and return what it makes of the rows to train on and then of those held
    out, before any threshold, float32 (n_samples, 128), and its epochs."""
    teacher = teacher_plan(plan)
    model = new_model(teacher, source)
    place = None if checkpoints is None else checkpoints.beside(TEACHER)
    with nullcontext() if place is None else closing(place):
        saved = place.newest() if place is not None and resume else None
        if saved is not None and (epochs := epochs_if_finished(saved)) is not None:
            # the net may go on to more epochs, but its teacher's codes stay
            patience = saved.spec["identity"]["patience"]
            teacher = replace(teacher, max_epochs=epochs, patience=patience)
        record = minimize(
            teacher,
            model,
            trained(teacher, model, rows),
            rows,
            checkpoints=place,
            identity=teacher.identity(source, rows) if place is not None else None,
            saved=saved,
            stop_requested=stop_requested,
            on_epoch=on_epoch,
        )
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
