"""Forked processes use models and indexes that the parent has already computed with."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from narrows import Autoencoder, Index
from narrows.core.isolation import isolated, use_one_thread
from narrows.errors import UsageError

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded"),
]

ROWS = np.random.default_rng(0).random((600, 400)).astype(np.float32)
LONGEST = 60.0


@pytest.fixture(scope="module", autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model(two_threads) -> Autoencoder:
    """A net wide enough that its products use several threads."""
    model = Autoencoder(16, hidden=(512,), max_epochs=1, batch_size=128, random_state=0).fit(ROWS)
    model.transform(ROWS)
    return model


@pytest.fixture(scope="module")
def index(model) -> Index:
    index = Index.create(n_components=16)
    index.add([str(i) for i in range(len(ROWS))], model.transform(ROWS))
    index.search(model.transform(ROWS), 3)
    return index


def passes_in_child(works: Callable[[], bool]) -> bool:
    """Fork and return whether the child's check passes; fail if it hangs."""
    child = os.fork()
    if not child:
        status = 2
        try:
            status = 0 if works() else 1
        finally:
            os._exit(status)
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    pytest.fail("the child hangs")


@pytest.mark.filterwarnings("ignore::narrows.errors.OutdatedWarning")
def test_a_child_encodes_and_trains(model):
    expected = model.transform(ROWS)

    def works() -> bool:
        same = np.allclose(model.transform(ROWS), expected, atol=1e-5)
        return same and np.isfinite(model.partial_fit(ROWS).transform(ROWS)).all()

    assert passes_in_child(works)


def test_a_child_searches(model, index):
    queries = model.transform(ROWS)

    def works() -> bool:
        hits = index.search(queries, 1)
        return [hit.name for (hit,) in hits] == [str(i) for i in range(len(ROWS))]

    assert passes_in_child(works)


def test_a_child_of_a_child_and_its_threads_encode(model):
    def in_a_thread() -> bool:
        found: list[np.ndarray] = []
        thread = threading.Thread(target=lambda: found.append(model.transform(ROWS)))
        thread.start()
        thread.join()
        return len(found[0]) == len(ROWS)

    assert passes_in_child(lambda: in_a_thread() and passes_in_child(in_a_thread))


def test_a_child_uses_one_thread_and_the_parent_keeps_its_own():
    assert passes_in_child(lambda: torch.get_num_threads() == 1)
    assert torch.get_num_threads() == 2


def test_a_child_keeps_the_default_dtype_when_forked_during_another_threads_call():
    inside, leave = threading.Event(), threading.Event()

    def call() -> None:
        with isolated():
            inside.set()
            leave.wait(LONGEST)

    def works() -> bool:
        callers = torch.get_default_dtype() == torch.float64
        with isolated():
            return callers and torch.get_default_dtype() == torch.float32

    torch.set_default_dtype(torch.float64)
    try:
        thread = threading.Thread(target=call)
        thread.start()
        inside.wait(LONGEST)
        assert passes_in_child(works)
    finally:
        leave.set()
        thread.join()
        torch.set_default_dtype(torch.float32)


def test_use_one_thread_limits_every_openmp_runtime():
    from threadpoolctl import threadpool_info

    def works() -> bool:
        use_one_thread()
        runtimes = [r for r in threadpool_info() if r["user_api"] == "openmp"]
        return len(runtimes) > 1 and {r["num_threads"] for r in runtimes} == {1}

    assert passes_in_child(works)


def test_a_child_of_a_process_that_used_cuda_gets_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: pytest.fail("initialized CUDA"))
    net = Autoencoder(2, hidden=(), max_epochs=1)
    with pytest.raises(UsageError, match="^device: 'auto' .* 'spawn', or give device='cpu'"):
        net.fit(ROWS[:20, :4])
    assert net.set_params(device="cpu").fit(ROWS[:20, :4])
