"""A process killed while it adds and saves leaves every saved row in the file."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

KILLS = int(os.environ.get("NARROWS_KILLS", "20"))
_ROWS = 40  # a commit

_KILLER = """
import os, random, signal, sys, time
from pathlib import Path
import faiss, numpy as np, torch
from narrows.indexing.index import Index

path, kills, n_rows = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
random.seed(0)
torch.set_num_threads(1)  # a pool of threads does not survive a fork
faiss.omp_set_num_threads(1)

def rows(commit):
    rng = np.random.default_rng(commit)
    codes = rng.integers(0, 256, (n_rows, 32), dtype=np.uint8)
    return [f"{commit}/{i}" for i in range(n_rows)], codes, rng.normal(size=(n_rows, 16))

def add(commit):
    with Index.updating(path) as index:
        names, codes, vectors = rows(commit)
        index.add(names, codes, [{"snippet": name * 20} for name in names], vectors)

Index.create(n_bits=256, kind="hnsw", vector_width=16).save(path)
commits = in_the_middle = most = done = 0
# a kill between saves tests nothing: repeat until one falls into a save
while done < kills or (not in_the_middle and done < 20 * kills):
    done += 1
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        os.close(ready)
        for commit in range(commits, commits + 1000):
            add(commit)
            os.write(tell, b".")
    os.close(tell)
    started = time.monotonic()
    announced = len(os.read(ready, 1))
    # somewhere in one of the next two, however busy the machine is
    time.sleep(random.uniform(0, 2) * (time.monotonic() - started))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while some := os.read(ready, 1000):
        announced += len(some)
    os.close(ready)
    index = Index.load(path)
    held, rest = divmod(len(index), n_rows)
    assert not rest, "part of a commit"
    # a commit may be saved and not yet announced
    assert commits + announced <= held <= commits + announced + 1, (commits, announced, held)
    index.verify()
    for commit in {0, commits, held - 1} & set(range(held)):
        names, codes, _ = rows(commit)
        for name, code in zip(names[::7], codes[::7]):
            assert (index.code(name) == code).all()
            assert index.metadata(name) == {"snippet": name * 20}
    commits = held
    left = [entry for entry in os.listdir(path.parent) if entry.endswith(".tmp")]
    in_the_middle += len(left)
    most = max(most, len(left))
    if commits > 60:  # keep it small, and saving quick
        with Index.updating(path) as index:
            index.delete(index.names)
        commits = 0
add(commits)
print(in_the_middle, most, len(os.listdir(path.parent)), len(Index.load(path)) // n_rows - commits)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The number of kills that left a temporary file, the most at a time, files, and commits."""
    path = tmp_path_factory.mktemp("killed") / "docs.index"
    command = [sys.executable, "-c", _KILLER, str(path), str(KILLS), str(_ROWS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120 + 6 * KILLS)
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


def test_a_kill_at_any_moment_leaves_the_rows_that_were_saved(killed: list[int]) -> None:
    assert killed[0] > 0, "no kill fell into a save: the test shows nothing"


def test_killed_saves_leave_at_most_one_temporary_file(killed: list[int]) -> None:
    assert killed[1] <= 1


def test_a_killed_writer_does_not_block_others(killed: list[int]) -> None:
    assert killed[3] == 1


def test_the_next_save_removes_files_of_a_killed_save(killed: list[int]) -> None:
    assert killed[2] == 1
