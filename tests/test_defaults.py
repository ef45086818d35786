"""Every estimator and every variant at its defaults, through the command line.

Each command of ``CASES`` trains at its defaults, except for epochs, on tiny data with checkpoints.
It is killed once by SIGKILL after a checkpoint in the middle of its steps, resumed, and must write
the same model as the uninterrupted command. That model is then saved again, and every command that
applies to it is run.

Faults that these tests detect:

- ``training/layer.py`` registers ``biases`` twice: no checkpoint of layer 2 and up can be saved.
- ``Run.save`` omits the moments, or ``Run.resume`` the sampler: the final model differs.
- ``fit_code_densities`` reseeded on resuming: the densities differ.
- a head's loop without ``saved``: it starts over, and the number of steps is too large.
- a variant, an estimator or a head without a case.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from narrows import load
from narrows.artefact import read_artefact
from narrows.catalog import VARIANTS
from narrows.cli import run as cli
from narrows.cli._variants import _CONV_ARGUMENTS
from narrows.estimators.all_estimators import AUTOENCODERS, DETECTORS, HEADS
from narrows.estimators.detector import members
from narrows.training.trainer import Trainer

pytestmark = [
    pytest.mark.usefixtures("operators_listed_once"),
    pytest.mark.filterwarnings("ignore"),  # the command line prints warnings and continues
]

_MAPS = ("convolutional",)
_TEXTS = ("document", "hashing")
_FIT = "--epochs 2 --seed 0 -q"


def _cases() -> dict[str, str]:
    """Return the commands, by name, without their output."""
    cases: dict[str, str] = {}
    for variant in VARIANTS:
        data = "images.npy" if variant in _MAPS else "docs.jsonl" if variant in _TEXTS else "x.npy"
        more = " --set pretrain_epochs=2" if variant == "stacked" else ""
        cases[variant] = f"fit {data} --variant {variant} {_FIT}{more}"
    for variant in _CONV_ARGUMENTS:
        cases[f"{variant}-of-maps"] = f"fit images.npy --variant {variant} --net conv {_FIT}"
    cases["hashing-of-numbers"] = f"fit x.npy --variant hashing {_FIT}"
    cases["document-pretrained"] = (
        f"fit docs.jsonl --variant document --set pretrain=denoising {_FIT}"
    )
    on_code = "--labels y.npy --epochs 4 --seed 0 -q"
    for task in ("classify", "regress", "match"):
        cases[task] = f"head given.m x.npy --task {task} {on_code}"
        cases[f"{task}-fine_tuned"] = f"{cases[task]} --training fine_tuned"
    cases["segment"] = "head maps.m images.npy --task segment --labels masks.npy --epochs 3 -q" + (
        " --seed 0"
    )
    cases["detector"] = "detector x.npy --seed 0 -q"
    return cases


CASES = _cases()

_AUTOENCODER = (
    "encode {m} {x} -o z.npy",
    "decode {m} z.npy -o r.npy",
    "reconstruct {m} {x} -o r.npy --figure r.png -n 2",
    "evaluate {m} {x}",
    "inspect {m} {x}",
    "anomalies {m} {x} --calibrate {x}",
    "generate {m} -n 3 -o g.npy",
    "generate {m} --perturb {x} --rows 2 -o g.npy",
    "denoise {m} {x} --corrupt masking:0.2 -o d.npy",
    "inpaint {m} {x} --mask missing:0.3 --method pass -q -o f.npy",
    "index {m} {x} -o i.index --replace",
    "search i.index --like {row}",
)
_OF_TEXTS = (
    *(command for command in _AUTOENCODER if command.split()[0] not in ("denoise", "inpaint")),
    "search i.index ship",
    "evaluate {m} {x} --retrieval",
)
_EXPORTED = ("plain", "hashing-of-numbers", "classify")
_HEAD = {
    "classify": ("predict {m} {x} -o p.csv --labels y.npy",),
    "regress": ("predict {m} {x} -o p.csv --labels y.npy",),
    "match": ("match {m} {x} {x} -o p.csv",),
    "segment": ("segment {m} {x} -o p.npy --masks masks.npy --figure s.png -n 2",),
}
_DETECTOR = ("anomalies {m} {x} -o a.csv --figure a.png", "inspect {m}")


def commands_on(case: str) -> list[str]:
    """Return the commands that apply to the model of a case."""
    words = CASES[case].split()
    if words[0] == "detector":
        commands: tuple[str, ...] = _DETECTOR
    elif words[0] == "head":
        commands = (*_HEAD[case.partition("-")[0]], "encode {m} {x} -o z.npy", "inspect {m} {x}")
    else:
        commands = _OF_TEXTS if "docs.jsonl" in words else _AUTOENCODER
    if case in _EXPORTED:
        commands = (*commands, "export {m} -o e.onnx")
    data = next(word for word in words if word.endswith((".npy", ".jsonl")))
    row = "d1" if data == "docs.jsonl" else "1"
    return [command.format(m=f"{case}.m", x=data, row=row) for command in commands]


_KILLER = """
import json, os, signal, sys
import torch
from narrows.cli import run as cli
from narrows.estimators.detector import members
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.trainer import Trainer

torch.set_num_threads(1)
for data in ("x.npy", "docs.jsonl --variant document"):  # import what children need, once
    assert cli(f"fit {data} --epochs 1 --hidden 2 -k 2 -q --restart -o warm.m".split()) == 0
members._STEPS = 20
step, save, steps, fatal = Trainer.step, Checkpoints.save, 0, 0

def counted(self, *arguments, **more):
    global steps
    step(self, *arguments, **more)
    steps += 1

def killed(self, artefact):
    save(self, artefact)
    if steps >= fatal:
        os.kill(os.getpid(), signal.SIGKILL)

Trainer.step, Checkpoints.save = counted, killed
Checkpoints.due = lambda self: steps >= fatal
for command, fatal in json.load(sys.stdin):
    child = os.fork()
    if not child:
        os._exit(cli(command))
    status = os.waitpid(child, 0)[1]
    ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)
    print(f"ended by {ended}", flush=True)
"""


@dataclass
class Trained:
    """The outcome of one case: exit codes, steps of both runs, and the signal that killed it."""

    code: int
    steps: int = 0
    signal: int = 0
    left: list[str] = field(default_factory=list)
    resumed_code: int = -1
    resumed_steps: int = 0


def make_data(folder: Path) -> None:
    rng = np.random.default_rng(0)
    table = (rng.normal(size=(60, 3)) @ rng.normal(size=(3, 8))).astype("f4")
    np.save(folder / "x.npy", table + rng.normal(scale=0.1, size=table.shape).astype("f4"))
    np.save(folder / "y.npy", (table[:, 0] > 0) + 2 * (table[:, 1] > 0))
    images = rng.integers(0, 256, (40, 8, 8)).astype("u1")
    np.save(folder / "images.npy", images)
    np.save(folder / "masks.npy", (images > 128).astype("u1"))
    words = "ship sea boat wave stock share money price apple pear plum tree".split()
    with open(folder / "docs.jsonl", "w") as file:
        for i in range(60):
            some = rng.choice(words[4 * (i % 3) :][:4], 9)
            text = {"id": f"d{i}", "text": " ".join(some), "label": "abc"[i % 3]}
            file.write(json.dumps(text) + "\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with tiny data and the autoencoders of the heads; all commands run here."""
    made = tmp_path_factory.mktemp("defaults")
    make_data(made)
    before = Path.cwd()
    os.chdir(made)
    for command in ("x.npy -o given.m", "images.npy --net conv -o maps.m"):
        assert cli(f"fit {command} {_FIT}".split()) == 0
    yield made
    os.chdir(before)


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, Trained]:
    """Every case: trained without interruption, killed once, and resumed."""
    count = 0
    step = Trainer.step

    def counted(self: Trainer, *arguments: Any, **more: Any) -> None:
        nonlocal count
        step(self, *arguments, **more)
        count += 1

    def run(command: str) -> tuple[int, int]:
        nonlocal count
        count = 0
        return cli(command.split()), count

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainer, "step", counted)
        patch.setattr(members, "_STEPS", 20)  # epochs of a net of the detector
        cases = {case: Trained(*run(f"{CASES[case]} -o {case}.whole")) for case in CASES}
        killed = {case: outcome for case, outcome in cases.items() if outcome.steps}
        orders = [(f"{CASES[case]} -o {case}.m".split(), outcome.steps // 2)
                  for case, outcome in killed.items()]  # fmt: skip
        answer = subprocess.run([sys.executable, "-c", _KILLER], input=json.dumps(orders),
                                capture_output=True, text=True, timeout=300)  # fmt: skip
        assert answer.returncode == 0, answer.stderr
        signals = re.findall(r"^ended by (-?\d+)$", answer.stdout, re.MULTILINE)
        for outcome, number in zip(killed.values(), signals, strict=True):
            outcome.signal = int(number)
        for case, outcome in cases.items():
            left = (folder / f"{case}.m.checkpoints").rglob("checkpoint-*")
            outcome.left = sorted(str(path.relative_to(folder)) for path in left)
            resume = " --resume" if outcome.steps else ""
            outcome.resumed_code, outcome.resumed_steps = run(f"{CASES[case]} -o {case}.m{resume}")
    return cases


def content(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Return the content of a model file without the seconds that epochs took."""
    artefact = read_artefact(path, kind="model")
    return artefact.tensors, re.sub(r'"seconds": [\d.e-]+', "", json.dumps(artefact.spec))


def test_every_estimator_and_every_variant_has_a_case(folder: Path, trained: Any) -> None:
    assert set(VARIANTS) < set(CASES)
    assert {f"{name}-of-maps" for name in _CONV_ARGUMENTS} < set(CASES)
    made = {type(load(folder / f"{case}.m")) for case in CASES}
    assert made == {*AUTOENCODERS, *HEADS, *DETECTORS}


@pytest.mark.parametrize("case", CASES)
def test_defaults_train(case: str, trained: dict[str, Trained]) -> None:
    assert trained[case].code == 0
    assert trained[case].steps > 1 or case == "match"  # closed form on a frozen code


@pytest.mark.parametrize("case", [case for case in CASES if case != "match"])
def test_a_killed_and_resumed_command_ends_as_the_uninterrupted_one(
    case: str, folder: Path, trained: dict[str, Trained]
) -> None:
    outcome = trained[case]
    assert outcome.signal == signal.SIGKILL and outcome.left
    assert outcome.resumed_code == 0 and outcome.resumed_steps == outcome.steps - outcome.steps // 2
    (tensors, spec), (expected, expected_spec) = (
        content(folder / f"{case}.{part}") for part in ("m", "whole")
    )
    assert spec == expected_spec and tensors.keys() == expected.keys()
    assert [name for name, value in tensors.items() if not torch.equal(value, expected[name])] == []
    assert not (folder / f"{case}.m.checkpoints").exists()


@pytest.mark.parametrize("case", CASES)
def test_a_loaded_model_is_saved_unchanged(
    case: str, folder: Path, trained: dict[str, Trained], tmp_path: Path
) -> None:
    load(folder / f"{case}.m").save(tmp_path / "again")
    (tensors, spec), (expected, expected_spec) = (
        content(tmp_path / "again"),
        content(folder / f"{case}.m"),
    )
    assert spec == expected_spec and tensors.keys() == expected.keys()
    assert all(torch.equal(value, expected[name]) for name, value in tensors.items())


@pytest.mark.parametrize("case", CASES)
def test_every_applicable_command_runs_on_the_model(
    case: str, folder: Path, trained: dict[str, Trained], capfd: pytest.CaptureFixture[str]
) -> None:
    for command in commands_on(case):
        code = cli(command.split())
        out, err = capfd.readouterr()
        assert code == 0, f"narrows {command}: {err}"
        assert "nan" not in out.lower().split(), f"narrows {command}: {out}"
        written = re.search(r" -o (\S+\.npy)", command)
        if written is not None:
            assert np.isfinite(np.load(folder / written[1]).astype("f8")).all(), command
