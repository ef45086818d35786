"""fit prints the errors of the held-out rows, and evaluate recognizes training rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from narrows import Autoencoder
from narrows.cli import run as cli
from narrows.data.splitting import held_out_mask
from narrows.estimators.parameters import seed_from

N, HELD_OUT = 60, 12
ARGUMENTS = {"hidden": (6,), "max_epochs": 2, "validation_fraction": 0.2, "random_state": 0}


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)


def apart() -> np.ndarray:
    generator = torch.Generator().manual_seed(seed_from(0))
    return held_out_mask(N, 0.2, generator=generator).numpy()


def test_fit_prints_the_errors_of_the_rows_held_out(X, capsys):
    ae = Autoencoder(2, verbose=1, **ARGUMENTS).fit(X)
    table = capsys.readouterr().err
    assert f"; {HELD_OUT} rows held out of training" in table
    evaluation = ae.evaluate(X[apart()])
    shown = [float(word) for line in table.splitlines() if line.startswith("this model")
             for word in [line.split()[3]]]  # fmt: skip
    assert shown == [pytest.approx(evaluation.squared_error, rel=1e-4)]
    assert f"PCA                2{evaluation.baseline_squared_error:>16.6g}" in table


def test_fit_says_if_no_row_was_held_out(X, capsys):
    Autoencoder(2, verbose=1, **{**ARGUMENTS, "validation_fraction": 0}).fit(X)
    table = " ".join(capsys.readouterr().err.split())
    assert f"{N} rows, all of them trained on: none was held out" in table


def test_fit_says_how_wide_the_code_is_if_it_was_not_told(X, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.repeat(X[:, :2], 3, axis=1) + 0.1 * X)
    command = ["fit", str(tmp_path / "x.npy"), "--epochs", "2", "--seed", "0", "-q"]
    assert cli([*command, "-o", str(tmp_path / "m")]) == 0
    assert (
        "\nThe width of the code, 2, was chosen by n_components='auto'" in capsys.readouterr().out
    )
    assert cli([*command, "-o", str(tmp_path / "m"), "--code", "3"]) == 0
    assert "The width of the code" not in capsys.readouterr().out
    assert cli([*command, "-o", str(tmp_path / "m"), "--code", "three"]) == 2
    expected = "--n-components: expected an integer or auto, got 'three'"
    assert expected in capsys.readouterr().err


def test_fit_states_which_rows_the_errors_are_over(X, tmp_path, capsys):
    np.save(tmp_path / "x.npy", X)
    command = ["fit", str(tmp_path / "x.npy"), "--code", "2", "--hidden", "6", "--epochs", "2",
               "--seed", "0", "--quiet"]  # fmt: skip
    model = tmp_path / "m.safetensors"

    def run(*more: str) -> str:
        assert cli([*command, "-o", str(model), *more]) == 0
        return capsys.readouterr().out

    found = json.loads(run("--validation-fraction", "0.2", "--json"))
    assert (found["rows"], found["n_rows"]) == ("held_out", HELD_OUT)
    assert found["training"]["n_rows"] == N - HELD_OUT
    held_out = tmp_path / "held_out.npy"
    np.save(held_out, X[apart()])
    assert cli(["evaluate", str(model), str(held_out), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    for name in ("squared_error", "baseline_squared_error", "variance", "error"):
        assert again[name] == pytest.approx(found[name], rel=1e-6)
    assert f"{HELD_OUT} rows held out of training" in run("--validation-fraction", "0.2")
    assert "none was held out" in run("--validation-fraction", "0")
    found = json.loads(run("--validation-fraction", "0", "--json"))
    assert (found["rows"], found["n_rows"]) == ("training", N)


def test_evaluate_recognizes_training_rows(X):
    ae = Autoencoder(2, **ARGUMENTS).fit(X)
    of_fit = ae.evaluate(X)
    assert (of_fit.rows, of_fit.n_held_out) == ("fit", HELD_OUT)
    assert f"those of the fit: {HELD_OUT} of them were held out" in of_fit.table()
    others = ae.evaluate(X + 0.1)
    assert others.rows is None and others.n_held_out is None
    assert others.table().splitlines()[4].endswith(f"; {N} rows")
