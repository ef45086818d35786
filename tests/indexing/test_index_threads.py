"""One index shared by threads, forks and copies: changes are complete and none is lost."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from index_files import add_rows, answers, small_index
from index_trials import KINDS, new_index

from narrows.errors import ModelFileError, UsageError
from narrows.indexing.index import Index
from narrows.indexing.shared_lock import SharedLock
from narrows.indexing.text_column import TextColumn

TRIALS = int(os.environ.get("NARROWS_TRIALS", str(len(KINDS))))
_WAIT = 30  # seconds after which a hanging test fails


def of_kind(kind: str, n: int = 50) -> Index:
    floats = {"n_bits": None, "n_components": 6, "vector_width": 0}
    return small_index(n, **(floats if kind == "float" else {"kind": kind}))


def in_thread(function) -> threading.Thread:
    thread = threading.Thread(target=function, daemon=True)
    thread.start()
    return thread


# Threads and kills: NARROWS_TRIALS=300 runs as many


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The number of trials, of trials that ended in a kill, and the remaining batches."""
    script = Path(__file__).parents[1] / "index_trials.py"
    command = [sys.executable, str(script), str(tmp_path_factory.mktemp("trials")), str(TRIALS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120 + 5 * TRIALS)
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


def test_threads_that_add_delete_search_and_save_at_once_lose_nothing(trials: list[int]) -> None:
    assert trials[0] == TRIALS and trials[2] > 0


def test_some_trials_are_killed(trials: list[int]) -> None:
    assert 0 < trials[1] < TRIALS


# All or nothing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", ["names", "metadata"])
def test_a_failed_addition_adds_nothing(kind, column, monkeypatch, tmp_path):
    index = of_kind(kind)
    before = answers(index)
    failing = getattr(index._rows, column)

    def extend(self: TextColumn, texts: list[bytes]) -> None:
        if self is failing:
            raise MemoryError
        whole(self, texts)

    whole = TextColumn.extend
    monkeypatch.setattr(TextColumn, "extend", extend)
    with pytest.raises(MemoryError):
        add_rows(index, range(60, 63), np.random.default_rng(1))
    monkeypatch.undo()
    assert answers(index) == before
    add_rows(index, range(60, 63), np.random.default_rng(1))
    index.save(tmp_path / "i.index")
    assert len(Index.load(tmp_path / "i.index")) == 53


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_deletion_deletes_nothing(kind, monkeypatch):
    index = of_kind(kind)
    before = answers(index)

    def keep(self: TextColumn, kept: np.ndarray) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(TextColumn, "keep", keep)
    with pytest.raises(KeyboardInterrupt):
        index.delete(["d3", "d4"])
    monkeypatch.undo()
    assert answers(index) == before


def test_a_graph_is_rebuilt_after_an_interrupted_build(monkeypatch):
    index, twin = of_kind("hnsw"), of_kind("hnsw")
    codes = index._rows.codes
    with monkeypatch.context() as patch:
        patch.setattr(codes, "_node_of_rows", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            index.like("d1", 3)
    assert answers(index) == answers(twin)


# A file that would not load is never put in place


@pytest.mark.parametrize("column", ["names", "metadata", "vectors", "codes"])
def test_an_inconsistent_index_is_not_saved_over_a_good_file(column, tmp_path):
    path, index = tmp_path / "i.index", small_index()
    index.save(path)
    good = path.read_bytes()
    rows = index._rows
    if column in ("names", "metadata"):
        getattr(rows, column).extend([b"one too many"])
    elif column == "vectors":
        rows.vectors = rows.vectors[:-1]
    else:
        rows.codes.add(np.array([99]), np.zeros((1, 4), np.uint8))
    with pytest.raises(ModelFileError, match="inconsistent, so it was not saved: .*50|51"):
        index.save(path)
    assert path.read_bytes() == good
    assert os.listdir(tmp_path) == ["i.index"]


def test_a_graph_that_would_not_load_is_not_saved(tmp_path, monkeypatch):
    index = small_index(kind="hnsw")
    index.like("d1", 2)
    structure = index._rows.codes.structure
    monkeypatch.setattr(
        index._rows.codes, "structure", lambda: {**structure(), "entry": np.array([10**6, 0])}
    )
    with pytest.raises(ModelFileError, match=r"not saved: graph: the entry point is invalid"):
        index.save(tmp_path / "i.index")
    assert not list(tmp_path.iterdir())


# Copies


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("searched", [False, True])
@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda index: pickle.loads(pickle.dumps(index))]
)
def test_copies_give_the_same_hits_and_are_independent(kind, searched, copied):
    index = of_kind(kind)
    before = answers(index) if searched else index.names
    twin = copied(index)
    assert (answers(twin) if searched else twin.names) == before
    twin.delete(["d3"])
    add_rows(twin, range(90, 95), np.random.default_rng(2))
    assert len(index) == 50 and "d3" in index and "d90" not in index
    assert (answers(index) if searched else index.names) == before


def test_a_copy_does_not_overwrite_later_saves_of_the_file(tmp_path):
    path, index = tmp_path / "i.index", small_index()
    index.save(path)
    twin = copy.deepcopy(index)
    index.delete(["d3"])
    index.save(path)
    with pytest.raises(UsageError, match="has changed since it was loaded"):
        twin.save(path)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "float"])
def test_parts_of_an_index_can_be_copied_after_a_search(kind):
    codes = of_kind(kind)._rows.codes
    query = np.zeros((1, 4), np.uint8)
    found = codes.search(query, 5)
    np.testing.assert_array_equal(copy.deepcopy(codes).search(query, 5).ids, found.ids)


# The lock


def test_readers_hold_the_lock_together():
    lock, together = SharedLock(), threading.Barrier(2, timeout=_WAIT)

    def read() -> None:
        with lock.reading():
            together.wait()

    other = in_thread(read)
    read()
    other.join(_WAIT)


def test_a_writer_waits_for_readers_and_readers_for_a_writer():
    lock, events = SharedLock(), []
    inside, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with lock.writing():
            inside.set()
            assert go_on.wait(_WAIT)
            events.append("written")

    def read() -> None:
        with lock.reading():
            events.append("read")

    with lock.reading():
        writer = in_thread(write)
        while not lock._queue:
            pass
        reader = in_thread(read)  # after the writer: it does not overtake
        while len(lock._queue) < 2:
            pass
        assert not inside.is_set() and not events
    assert inside.wait(_WAIT)
    assert not events
    go_on.set()
    writer.join(_WAIT)
    reader.join(_WAIT)
    assert events == ["written", "read"]


def test_a_stream_of_writers_does_not_starve_readers():
    lock, stop = SharedLock(), threading.Event()

    def write() -> None:
        while not stop.is_set():
            with lock.writing():
                pass

    writers = [in_thread(write) for _ in range(3)]

    def read() -> None:
        for _ in range(20):
            with lock.reading():
                pass

    reader = in_thread(read)
    reader.join(_WAIT)
    stop.set()
    assert not reader.is_alive()
    for writer in writers:
        writer.join(_WAIT)


def test_a_thread_can_acquire_the_lock_again():
    lock = SharedLock()
    with lock.writing(), lock.writing(), lock.reading():
        pass
    with lock.reading(), lock.reading():
        pass
    with lock.writing():
        assert not lock._readers


def test_a_change_during_the_same_threads_search_is_refused():
    lock = SharedLock()
    with lock.reading(), pytest.raises(UsageError, match="during its own search"):
        with lock.writing():
            pass


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", ["flat", "float"])
def test_a_child_forked_during_changes_has_a_consistent_index(kind):
    """Adding holds the lock most of the time here; a child that inherits it locked would hang."""
    index, stop = new_index(kind), threading.Event()

    def add(name: str) -> None:
        rng = np.random.default_rng(0)  # one of its own: numpy's have locks too
        codes = rng.normal(size=(1, 8)) if kind == "float" else rng.integers(0, 256, (1, 4), "u1")
        index.add([name], codes, None, None if kind == "float" else np.ones((1, 3)))

    def change() -> None:
        for number in range(10**6):
            if stop.is_set():
                return
            add(str(number))
            if number > 50:
                index.delete([str(number - 50)])

    changer = in_thread(change)
    try:
        for _ in range(6):
            child = os.fork()
            if not child:
                signal.alarm(_WAIT)
                try:
                    rows, n = index._rows, len(index)
                    whole = n == len(rows.names) == len(rows.metadata) == len(rows.codes)
                    add("mine")
                    os._exit(0 if whole and len(index) == n + 1 else 1)
                finally:
                    os._exit(2)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        changer.join(_WAIT)
