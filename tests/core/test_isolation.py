"""Settings of torch and numpy do not change results, and estimators leave them unchanged."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from small_estimators import CLASSES, EVERY, HOLED, QUICK, ROWS, rows_for, targets_for, unfitted

import narrows
from narrows.core.isolation import is_isolated, isolate, isolated
from narrows.estimators.all_estimators import AUTOENCODERS, DETECTORS

pytestmark = pytest.mark.filterwarnings("ignore::narrows.errors.OutdatedWarning")


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


SETTINGS: dict[str, list[Callable[[], Any]]] = {
    "float64": [lambda: default_dtype(torch.float64)],
    "no_grad": [torch.no_grad],
    "set_grad_enabled": [lambda: torch.set_grad_enabled(False)],
    "inference_mode": [torch.inference_mode],
    "default_device": [lambda: default_device("meta")],
    "device": [lambda: torch.device("meta")],
    "autocast": [lambda: torch.autocast("cpu", torch.bfloat16)],
    "deterministic": [deterministic],
    "numpy": [lambda: np.errstate(all="raise")],
}
SETTINGS["all"] = [setting for settings in SETTINGS.values() for setting in settings]


@contextmanager
def settings_of(name: str) -> Iterator[None]:
    with ExitStack() as stack:
        for setting in SETTINGS[name]:
            stack.enter_context(setting())
        before = current()
        yield
        assert current() == before


def current() -> tuple[Any, ...]:
    return (
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_default_device(),
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
        torch.are_deterministic_algorithms_enabled(),
        np.geterr(),
    )


def of_autoencoder(est: Any, X: Any) -> Iterator[Any]:
    codes = est.transform(X)
    yield from (codes, est.inverse_transform(codes), est.reconstruct(X), est.denoise(X))
    yield from (est.features(X, 0), est.score(X), est.p_values(X, X), est.anomaly_contributions(X))
    yield from (est.evaluate(X).table(), est.inspect(X).table())
    yield est.sample(3, random_state=0)
    if not sp.issparse(X):
        yield est.perturb(X[:3], n_samples=2, random_state=0)
        yield est.interpolate(X[:2], X[2:4], n_steps=3)
        hidden = np.zeros(16, dtype=bool)
        hidden[:5] = True
        methods = ("projection", "code") if type(est) is narrows.Autoencoder else ("pass",)
        for method in methods:
            yield est.inpaint(X[:1], hidden, method=method)
    if type(est).__name__ in ("DenoisingAutoencoder",):
        yield est.impute(HOLED[:5], random_state=0)
    if type(est).__name__ == "VariationalAutoencoder":
        yield est.log_likelihood(np.round(X[:4]), n_samples=3, random_state=0)
        yield est.log_likelihood(X[:4], n_samples=3, random_state=0)
    if type(est).__name__ not in ("VectorQuantizedAutoencoder",):
        yield est.traverse(X[:1], 0, n_steps=3)


def of_head(est: Any, X: Any) -> Iterator[Any]:
    for question in ("predict", "predict_proba", "transform"):
        if hasattr(est, question):
            yield getattr(est, question)(X)
    yield est.score(X, targets_for(type(est)))


def answers(cls: type, folder: Path) -> list[Any]:
    """Return an estimator's answers after fit, and after its file is loaded."""
    X = rows_for(cls)
    est = unfitted(cls)
    if cls.__name__ == "CodeImputer":
        return [est.fit(HOLED).transform(HOLED)]
    est.fit(X, targets_for(cls))
    answers = of_autoencoder if cls in AUTOENCODERS else of_head
    if cls in DETECTORS:
        found = [
            est.score_samples(X),
            est.predict(X),
            est.p_values(X),
            est.anomaly_contributions(X),
        ]
    else:
        found = list(answers(est, X))
    est.save(folder / "m.safetensors")
    loaded = narrows.load(folder / "m.safetensors")
    if cls in AUTOENCODERS:
        found.append(loaded.transform(X))
        found.append(loaded.partial_fit(X, CLASSES).transform(X))
    else:
        found.append(loaded.predict(X) if cls in DETECTORS else loaded.score(X, targets_for(cls)))
    if cls.__name__ in ("DocumentAutoencoder", "SemanticHasher"):
        index = loaded.make_index(X)
        index.save(folder / "m.index", replace=True)
        index = narrows.Index.load(folder / "m.index")
        found.append([hit.name for hit in index.search(index.code("0")[None], 3)[0]])
    return found


@cache
def usual_answers(cls: type, folder: Path) -> list[Any]:
    return answers(cls, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("isolation")


CASES = [(cls, "all") for cls in EVERY]
CASES += [(narrows.LinearAutoencoder, name) for name in SETTINGS if name != "all"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("cls, setting", CASES, ids=lambda v: getattr(v, "__name__", v))
def test_torch_settings_do_not_change_the_answers(cls, setting, folder):
    usual = usual_answers(cls, folder)
    with settings_of(setting):
        found = answers(cls, folder)
    assert len(found) == len(usual)
    for ours, theirs in zip(found, usual, strict=True):
        np.testing.assert_equal(ours, theirs)


def public_methods(cls: type) -> Iterator[tuple[str, Any]]:
    for name in dir(cls):
        member = getattr(cls, name)
        if not name.startswith("_") and callable(member):
            function = getattr(member, "__func__", member)
            if function.__module__.startswith("narrows."):
                yield name, function


@pytest.mark.parametrize("cls", [*EVERY, narrows.Index], ids=lambda c: c.__name__)
def test_every_public_method_is_isolated(cls):
    methods = dict(public_methods(cls))
    assert {"fit", "add"} & {*methods}
    assert [name for name, method in methods.items() if not is_isolated(method)] == []


@pytest.mark.parametrize("name", ["load", "read", "read_documents"])
def test_every_public_function_is_isolated(name):
    assert is_isolated(getattr(narrows, name))


def test_code_in_an_isolated_call_may_change_the_settings():
    @isolate
    def nested() -> bool:
        return torch.is_grad_enabled()

    with isolated(), torch.no_grad():
        assert not nested()


def test_an_error_restores_the_settings():
    with settings_of("all"):
        with pytest.raises(ValueError):
            narrows.LinearAutoencoder(0).fit(ROWS)


def test_a_generator_function_cannot_be_isolated():
    with pytest.raises(TypeError, match="isolate its caller"):
        isolate(public_methods)


def test_threads_share_float32_and_the_last_one_restores_float64():
    entered, leave = threading.Barrier(3), threading.Event()
    seen: list[torch.dtype] = []

    def call() -> None:
        with isolated():
            entered.wait(10)
            leave.wait(10)
            seen.append(torch.get_default_dtype())

    with default_dtype(torch.float64):
        threads = [threading.Thread(target=call) for _ in range(2)]
        for thread in threads:
            thread.start()
        entered.wait(10)
        leave.set()
        for thread in threads:
            thread.join()
        assert seen == [torch.float32] * 2
        assert torch.get_default_dtype() == torch.float64


@pytest.mark.filterwarnings("ignore")
def test_torch_settings_do_not_change_the_export(folder, operators_listed_once):
    pytest.importorskip("onnxscript")
    model = narrows.LinearAutoencoder(2, **QUICK).fit(ROWS)
    model.export(folder / "usual.onnx")
    with settings_of("all"):
        model.export(folder / "all.onnx")
    assert (folder / "all.onnx").read_bytes() == (folder / "usual.onnx").read_bytes()


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
@pytest.mark.parametrize("copied", [deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_made_in_inference_mode_can_be_trained(copied, inside):
    rows = np.random.default_rng(0).normal(size=(20, 4))
    with torch.inference_mode():
        copy = copied(narrows.LinearAutoencoder(2, max_epochs=1, random_state=0).fit(rows))
        if inside:
            copy.partial_fit(rows)
    copy.partial_fit(rows)
    assert not any(p.is_inference() for p in copy.model_.objective.parameters())
