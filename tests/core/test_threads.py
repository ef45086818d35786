"""Batches computed in parallel threads: results and errors in order, one torch thread each."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from narrows import DocumentAutoencoder
from narrows.model import coding
from narrows.model.threads import side_by_side


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_come_in_order_and_from_several_threads(two_threads):
    def late(i: int) -> tuple[int, str]:
        time.sleep(0.02 * (3 - i % 3))
        return i, threading.current_thread().name

    numbers, names = zip(*side_by_side(late, range(12)), strict=True)
    assert numbers == tuple(range(12))
    assert len(set(names)) == 2


def test_with_one_torch_thread_the_caller_does_the_work(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    names = list(side_by_side(lambda i: threading.current_thread().name, range(3)))
    assert set(names) == {threading.current_thread().name}


def test_workers_use_one_torch_thread_and_other_threads_keep_theirs(two_threads):
    assert set(side_by_side(lambda i: torch.get_num_threads(), range(8))) == {1}
    assert torch.get_num_threads() == 2
    found: list[int] = []
    other = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    other.start()
    other.join()
    assert found == [2]


def test_errors_are_raised_in_order_and_few_items_are_drawn_ahead(two_threads):
    drawn: list[int] = []

    def items():
        for i in range(100):
            drawn.append(i)
            yield i

    def half(i: int) -> float:
        if i == 3:
            raise ValueError("the fourth")
        return i / 2

    results = side_by_side(half, items())
    assert [next(results) for _ in range(3)] == [0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match="the fourth"):
        next(results)
    assert len(drawn) <= 8


def test_closing_the_results_drops_waiting_items(two_threads):
    begun: list[int] = []

    def slow(i: int) -> int:
        begun.append(i)
        time.sleep(0.2)
        return i

    results = side_by_side(slow, range(10))
    next(results)
    results.close()
    time.sleep(0.6)
    assert len(begun) <= 4


def test_threads_that_outlive_the_main_thread_get_their_results():
    script = """
import threading, time, torch
from narrows.model.threads import side_by_side
torch.set_num_threads(2)
def late():
    threading.main_thread().join()
    print(list(side_by_side(abs, [-1, -2, -3])))
threading.Thread(target=late).start()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "[1, 2, 3]\n", done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_process_has_its_own_threads(two_threads):
    assert list(side_by_side(abs, [-1, 2])) == [1, 2]
    child = os.fork()
    if not child:
        try:
            os._exit(0 if list(side_by_side(lambda i: 2 * i, [1, 2])) == [2, 4] else 1)
        finally:
            os._exit(2)
    for _ in range(300):
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        time.sleep(0.1)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0


def test_codes_of_sparse_rows_are_the_same_on_several_threads(two_threads, monkeypatch):
    monkeypatch.setattr(coding, "_SPARSE_BATCH", 64)
    counts = sp.random_array((500, 40), density=0.2, rng=np.random.default_rng(0), format="csr")
    counts.data = np.ceil(3 * counts.data)
    ae = DocumentAutoencoder(3, hidden=(20,), max_epochs=1, random_state=0).fit(counts)
    both = ae.transform(counts)
    torch.set_num_threads(1)
    np.testing.assert_array_equal(ae.transform(counts), both)
    torch.set_num_threads(2)
    counts.data[counts.indptr[300]] = np.nan
    with pytest.raises(ValueError, match="row 300"):
        ae.transform(counts)
