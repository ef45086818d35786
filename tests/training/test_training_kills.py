"""A training that is killed at any moment resumes to the same model."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

KILLS = int(os.environ.get("NARROWS_KILLS", "10"))
_KILLER = """
import os, random, signal, sys, time
from functools import partial
from pathlib import Path
import numpy as np
import torch
from narrows import Autoencoder, load
from narrows.fitting import fit

folder, kills = Path(sys.argv[1]), int(sys.argv[2])
fit.Checkpoints = partial(fit.Checkpoints, every=0)  # one a step
torch.optim.Adam([torch.zeros(1, requires_grad=True)], fused=True)  # imports much, once
random.seed(0)
x = np.random.default_rng(0).normal(size=(60, 6))
arguments = dict(n_components=2, hidden=(5,), corruption="masking:0.3", batch_size=8,
                 max_epochs=2 * kills, patience=None, validation_fraction=0.1, linear_start=False,
                 random_state=0)

def fit(output, **more):
    Autoencoder(**arguments).fit(x, **more).save(folder / output)

def in_child(*given, **more):
    child = os.fork()
    if not child:
        fit(*given, **more)
        os._exit(0)
    return child

def newest():
    return max((folder / "c").glob("checkpoint-*"), default=None)

killed = 0
while killed < kills:
    before = newest()
    child = in_child("parts", checkpoint=folder / "c", resume=True)
    while newest() == before:
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.03))
    os.kill(child, signal.SIGKILL)
    killed += 1
    if os.WIFEXITED(os.waitpid(child, 0)[1]):
        break  # the training was quicker than the kills
checkpoints = len(list((folder / "c").glob("checkpoint-*")))
assert os.waitpid(in_child("parts", checkpoint=folder / "c", resume=True), 0)[1] == 0
assert os.waitpid(in_child("whole"), 0)[1] == 0
parts, whole = (load(folder / name).model_.objective.state_dict() for name in ("parts", "whole"))
assert all(torch.equal(parts[name], whole[name]) for name in whole)
print(killed, checkpoints, len(list((folder / "c").glob(".narrows-*.tmp"))))
"""


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[int]]:
    folder = tmp_path_factory.mktemp("killed")
    command = [sys.executable, "-c", _KILLER, str(folder), str(KILLS)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60 + 2 * KILLS)
    assert result.returncode == 0, result.stderr
    yield [int(word) for word in result.stdout.split()]


def test_a_killed_training_resumes_to_the_same_model(survived: list[int]) -> None:
    assert survived[0] > 3, "the training was over too soon: the test shows little"


def test_a_killed_training_has_checkpoints(survived: list[int]) -> None:
    assert survived[1] >= 1


def test_a_killed_training_leaves_no_temporary_files_in_the_end(survived: list[int]) -> None:
    assert survived[2] == 0
