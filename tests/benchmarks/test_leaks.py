"""Held-out rows are planted in the training of every method, and every plant is found."""

from __future__ import annotations

import ast
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import protocol
import pytest
import torch
from protocol.data import Data
from protocol.guard import Guard, Leak
from protocol.loading import digits, ink, rare_class, sklearn_table
from protocol.log import Log
from protocol.runs import Choice, run
from protocol.splits import Split
from protocol.use import Cell
from protocol.uses import USES
from protocol.uses import documents as documents_use
from scipy import sparse
from sklearn.linear_model import Ridge

WORDS = "code net layer row table image pixel word title body loss train".split()


def texts() -> Data:
    rng = np.random.default_rng(0)
    bodies = [f"{i} " + " ".join(rng.choice(WORDS, 20)) for i in range(120)]
    titles = [" ".join(body.split()[:4]) for body in bodies]
    rows = [f"{title}\n{body}" for title, body in zip(titles, bodies, strict=True)]
    return Data(rows, np.arange(120) % 3, titles=titles, bodies=bodies)


LOADED = {
    "table": lambda: sklearn_table("wine"),
    "image": digits,
    "mask": ink,
    "text": texts,
    "anomaly table": lambda: rare_class("wine"),
}


def small_task(name: str):
    """Return a task of a use, on a set that needs no files."""
    use = USES[name]
    kind = next(kind for kind in ("image", *use.kinds) if kind in use.kinds and kind in LOADED)
    data = sklearn_table("diabetes") if name == "regression" else use.select(LOADED[kind]())
    assert use.suits(data)
    condition = use.conditions[-1]
    return use.make(data, use.split(data, 0, condition), Cell(name, "", 60, 0, condition))


@pytest.fixture(scope="module", params=list(USES))
def task(request):
    return request.param, small_task(request.param)


def cyclic(held_out, n: int):
    """Return n held-out rows, repeated if there are fewer."""
    rows = np.arange(n) % len(getattr(held_out, "texts", held_out))
    if hasattr(held_out, "take") and not isinstance(held_out, np.ndarray):
        return held_out.take(rows)
    return [held_out[i] for i in rows] if isinstance(held_out, list) else held_out[rows]


def planted(task):
    """Return the task with held-out rows in place of the training rows, in all their forms."""
    names = [field.name for field in fields(task) if "train" in field.name]
    leaks = {n: cyclic(getattr(task, n.replace("train", "test")), len(task.train)) for n in names}
    return replace(task, **leaks)


def methods(name: str, task):
    use = USES[name]
    found = {**use.rivals, **use.estimators}
    return {method: found[method] for method in found if use.applies(method, task)}


def test_every_method_refuses_held_out_rows_in_training(task):
    name, made = task
    leaked = planted(made)
    for method, function in methods(name, made).items():
        with pytest.raises(Leak, match="held-out rows were given"):
            function(leaked)
            pytest.fail(f"{name}, {method}: the leak was not found")


def test_held_out_rows_are_refused_as_validation_rows(task):
    _, made = task

    class Model:
        def fit(self, rows, y=None, validation_data=None):
            return self

    one = slice(3, 4)
    with pytest.raises(Leak):
        made.guard.fitted(Model(), made.train, validation_data=made.test[one])
    with pytest.raises(Leak):
        made.guard.fitted(Model(), made.train, validation_data=(made.test[one], np.zeros(1)))
    made.guard.fitted(Model(), made.train, validation_data=made.train[one])


def test_a_split_that_overlaps_is_refused(task):
    name, _ = task
    use = USES[name]
    kind = next(kind for kind in ("image", *use.kinds) if kind in use.kinds and kind in LOADED)
    data = sklearn_table("diabetes") if name == "regression" else use.select(LOADED[kind]())
    good = use.split(data, 0, use.conditions[-1])
    bad = Split(np.concatenate([good.test[:1], good.train]), good.test)
    with pytest.raises(Leak, match="contain 1 of the held-out"):
        use.make(data, bad, Cell(name, "", 60, 0, use.conditions[-1]))


def test_the_number_of_neighbors_is_not_chosen_on_held_out_documents(monkeypatch):
    made = small_task("documents")
    take = documents_use.Part.take

    def leaking(part, rows):
        return made.test_part if len(rows) == documents_use.NEAREST else take(part, rows)

    documents_use.smoothed_lsa(made, width=4)
    monkeypatch.setattr(documents_use.Part, "take", leaking)
    with pytest.raises(Leak):
        documents_use.smoothed_lsa(made, width=4)


def test_a_leak_stops_the_measurement(tmp_path, monkeypatch):
    monkeypatch.setitem(USES, "codes", replace(USES["codes"], rivals={"pca": lambda task: task
                        .guard.fitted(Ridge(), task.test)}, estimators={}))  # fmt: skip
    log = Log(tmp_path / "log.jsonl")
    with pytest.raises(Leak):
        run(Choice(uses=["codes"], sets=["iris"], fast=True), log, say=lambda line: None)
    assert not log.runs


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x.astype(np.float32), lambda x: x.reshape(-1, 2, 3), lambda x: x.tolist(),
        lambda x: (None, x), lambda x: {"rows": x}, torch.tensor, pd.DataFrame,
    ],
)  # fmt: skip
def test_the_guard_recognizes_a_row_in_other_forms(form, rng):
    x = rng.normal(size=(20, 6))
    guard = Guard(x[5:], x[:5])
    guard.check(form(x[5:]))
    with pytest.raises(Leak):
        guard.check(form(x[4:]))


def test_the_guard_recognizes_sparse_rows_and_texts():
    counts = sparse.random_array((20, 30), density=0.3, rng=np.random.default_rng(0)).tocsr()
    guard = Guard(counts[5:], counts[:5])
    guard.check(counts[5:])
    with pytest.raises(Leak):
        guard.check(counts[4:].tocoo())
    guard = Guard(["a b", "c"], ["d e"])
    guard.check(["c"], np.array(["c"]))
    with pytest.raises(Leak):
        guard.check(np.array(["c", "d e"], dtype=object))


def test_rows_that_only_look_the_same_once_scaled_are_no_leak():
    guard = Guard(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]))
    guard.hold(np.array([[0.0], [7.0]]), beside=[np.array([[0.0], [1.0]])])
    guard.check(np.array([[0.0]]))
    with pytest.raises(Leak):
        guard.check(np.array([[7.0]]))


def test_every_fit_of_a_use_passes_the_guard():
    """No file of the uses calls ``fit`` itself."""
    folder = Path(protocol.__file__).parent
    for path in [*(folder / "uses").glob("*.py"), folder / "matrices.py", folder / "runs.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                assert node.attr not in ("fit", "fit_transform", "fit_predict", "partial_fit"), path
