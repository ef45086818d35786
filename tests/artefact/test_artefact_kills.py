"""A process killed while it writes a model file leaves a complete file."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from narrows.artefact import read_artefact

KILLS = int(os.environ.get("NARROWS_KILLS", "20"))
_KILLER = """
import os, random, signal, sys, time
from pathlib import Path
import torch
from narrows.artefact import Artefact, read_artefact, write_artefact

path, kills = Path(sys.argv[1]), int(sys.argv[2])
random.seed(0)
torch.set_num_threads(1)  # a pool of threads does not survive a fork
versions = [Artefact("model", {"value": v}, {"w": torch.full((50_000,), float(v))}) for v in (1, 2)]
in_the_middle = most = 0
for _ in range(kills):
    ready, tell = os.pipe()
    child = os.fork()
    if not child:
        while True:
            for version in versions:
                write_artefact(path, version)
                os.write(tell, b"." if tell else b"")
    os.read(ready, 1)
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ready), os.close(tell)
    held = read_artefact(path, kind="model")
    assert bool((held.tensors["w"] == held.spec["value"]).all())
    left = len(os.listdir(path.parent)) - 1
    in_the_middle += left
    most = max(most, left)
write_artefact(path, versions[0])
print(in_the_middle, most, len(os.listdir(path.parent)))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """The number of kills that left a temporary file, the most at a time, and files at the end."""
    path = tmp_path_factory.mktemp("killed") / "m.safetensors"
    command = [sys.executable, "-c", _KILLER, str(path), str(KILLS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60 + KILLS)
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


def test_a_kill_during_a_save_leaves_a_complete_file(killed: list[int]) -> None:
    assert killed[0] > 0, "no kill fell into a save: the test shows nothing"


def test_killed_saves_leave_at_most_one_temporary_file(killed: list[int]) -> None:
    assert killed[1] <= 1


def test_the_next_save_removes_files_of_a_killed_save(killed: list[int]) -> None:
    assert killed[2] == 1


def test_a_file_replaced_while_it_is_opened_is_read_completely(fitted_model, path, monkeypatch):
    fitted_model.save(path)
    larger = path.read_bytes()
    path.write_bytes(larger[:20])  # as small as the header claims to be long
    looked_at = os.stat

    def replaced_after(*arguments, **more):
        status = looked_at(*arguments, **more)
        monkeypatch.undo()
        fitted_model.save(path)
        return status

    monkeypatch.setattr(os, "stat", replaced_after)
    assert read_artefact(path, kind="model").kind == "model"
