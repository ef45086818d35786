"""narrows fit --penalty auxiliary: labels are found in the data, or given in a file."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from narrows import load
from narrows.cli import run

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
KIND = np.where(X[:, 0] > 0, "big", "small")
VALUE = np.round(3 * X[:, 1] + 1, 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("auxiliary")
    for name, every, shift in (("whole", 10**6, 0.0), ("gaps", 5, 0.0), ("others", 5, 0.01)):
        with open(path / f"{name}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*"abcd", "kind", "value"])
            for i in range(120):
                gap = i % every == 1
                labels = ["" if gap else KIND[i], "" if gap else VALUE[i]]
                writer.writerow([*(X[i] + shift).round(4), *labels])
    np.save(path / "x.npy", X.astype(np.float32))
    np.savetxt(path / "kind.txt", KIND, fmt="%s")
    return path


def fit(folder: Path, data: str, *options: str, epochs: int = 1) -> int:
    command = ["fit", str(folder / data), "-k", "3", "--hidden", "16", "--seed", "0", "-q",
               "--epochs", str(epochs), "-o", str(folder / "m.st"), *options]  # fmt: skip
    return run(command)


@pytest.mark.parametrize(
    "data, options",
    [
        ("whole.csv:label=kind,drop=value", ()),
        ("gaps.csv:label=kind,drop=value", ()),
        ("x.npy", ("--labels", "kind.txt")),
    ],
)
def test_the_code_of_a_fit_predicts_the_labels(data, options, folder):
    options = [str(folder / o) if o.endswith(".txt") else o for o in options]
    options += ["--linear-start", "false", "--validation-fraction", "0.1"]
    assert fit(folder, data, "--penalty", "auxiliary:20", *options, epochs=40) == 0
    model = load(folder / "m.st")
    task = model.model_.objective.tasks[0]
    rows = model.model_.scaling.forward(torch.from_numpy(X.astype(np.float32)))
    logits = task.predict(model.model_.objective.encode(rows).h)
    predicted = np.array(["big", "small"])[logits.argmax(dim=1).numpy()]
    assert (predicted == KIND).mean() > 0.95


@pytest.mark.parametrize("data", ["whole.csv", "gaps.csv"])
def test_regression_is_a_task(data, folder):
    penalty = "auxiliary:weight=5,task=regression"
    assert fit(folder, f"{data}:label=value,drop=kind", "--penalty", penalty) == 0


def test_validation_rows_have_their_own_labels(folder):
    held_out = str(folder / "others.csv") + ":label=kind,drop=value"
    data = "whole.csv:label=kind,drop=value"
    assert fit(folder, data, "--penalty", "auxiliary", "--validation", held_out) == 0


@pytest.mark.parametrize(
    "data, options, code, message",
    [
        ("x.npy", ("--penalty", "auxiliary"), 2, "--labels: give a file with a label for every"),
        ("whole.csv:label=kind,drop=value", ("--labels", "kind.txt"), 2,
         "--labels: only --penalty auxiliary reads labels"),
        ("whole.csv:label=value,drop=kind", ("--penalty", "auxiliary"), 3,
         "--penalty auxiliary got 1.. numbers.*use auxiliary:task=regression"),
        ("x.npy", ("--penalty", "auxiliary", "--labels", "kind.txt", "--clean", "x.npy"), 2,
         "--clean: --penalty auxiliary needs labels"),
    ],
)  # fmt: skip
def test_incompatible_options_are_refused(data, options, code, message, folder, capsys):
    given = [str(folder / o) if o.endswith((".txt", ".npy")) else o for o in options]
    assert fit(folder, data, *given) == code
    assert re.search(message, capsys.readouterr().err)
