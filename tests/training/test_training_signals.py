"""Signals: an interrupted fit ends in order, and resumes to the same model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor
from training_runs import checkpoint_files, equal

from narrows.artefact import read_artefact
from narrows.cli import main
from narrows.cli._checkpoints import StopOnSignal


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The codes with which the process would have exited at once."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    return codes


SIGNALS = pytest.mark.parametrize(
    "number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)


@SIGNALS
def test_a_signal_in_the_loop_requests_a_stop(left: list[int], number: int, code: int) -> None:
    with StopOnSignal() as signals:
        assert not signals.requested()
        signal.raise_signal(number)
        assert (signals.requested(), signals.exit_code, left) == (True, code, [])


@SIGNALS
def test_a_second_signal_exits_at_once(left: list[int], number: int, code: int) -> None:
    with StopOnSignal() as signals:
        signals.requested()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(number)
    assert left == [code]


@SIGNALS
def test_a_signal_before_the_loop_exits_at_once(left: list[int], number: int, code: int) -> None:
    with StopOnSignal():
        signal.raise_signal(number)
    assert left == [code]


@SIGNALS
def test_the_handlers_are_restored(number: int, code: int) -> None:
    before = signal.getsignal(number)
    with StopOnSignal():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "x.npy"
    np.save(path, np.random.default_rng(0).normal(size=(200, 6)).astype("f4"))
    return path


def fit_command(table: Path, output: Path, *more: str) -> list[str]:
    options = "--code 2 --hidden 5 --epochs 120 --batch-size 16 --patience 0 --seed 0"
    options += " --corruption masking:0.25 --validation-fraction 0.1 --linear-start false"
    return ["fit", str(table), *options.split(), "-o", str(output), *more]


def run(arguments: list[str]) -> Any:
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    return exit.value.code


@pytest.fixture(scope="module")
def uninterrupted(table: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    output = tmp_path_factory.mktemp("whole") / "m.safetensors"
    assert run(fit_command(table, output)) == 0
    return read_artefact(output, kind="model").tensors


@SIGNALS
def test_a_signalled_fit_resumes_to_the_same_model(
    table: Path, tmp_path: Path, uninterrupted: dict[str, Tensor], number: int, code: int
) -> None:
    output = tmp_path / "m.safetensors"
    command = [sys.executable, "-m", "narrows", *fit_command(table, output)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("epoch 1/120")
        process.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == code and "add --resume to the command to continue" in rest
    assert checkpoint_files(tmp_path / "m.safetensors.checkpoints") and not output.exists()
    assert run(fit_command(table, output, "--resume")) == 0
    assert equal(read_artefact(output, kind="model").tensors, uninterrupted)
    assert os.listdir(tmp_path) == ["m.safetensors"]
