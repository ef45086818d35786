"""One seed makes a head reproducible, with the autoencoder that it fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import narrows
from narrows.cli import run as cli

X = np.random.default_rng(0).normal(size=(60, 16)).astype(np.float32)
Y = np.arange(60) % 3
IMAGES = X.reshape(-1, 4, 4)


def unseeded() -> Any:
    return narrows.Autoencoder(2, hidden=(4,), linear_start=False, max_epochs=2)


def maps() -> Any:
    return narrows.ConvolutionalAutoencoder(2, channels=(4,), max_epochs=1)


FITS: dict[str, Callable[[Any, Any], np.ndarray]] = {
    "classifier": lambda net, seed: (
        narrows.CodeClassifier(net(), max_epochs=2, random_state=seed).fit(X, Y).predict_proba(X)
    ),
    "regressor": lambda net, seed: (
        narrows.CodeRegressor(net(), max_epochs=2, random_state=seed).fit(X, X[:, 0]).predict(X)
    ),
    "matcher": lambda net, seed: (
        narrows.CodeMatcher(net(), features="code", random_state=seed).fit(X, Y).transform(X)
    ),
    "imputer": lambda net, seed: (
        narrows.CodeImputer(net(), random_state=seed).fit(X).autoencoder_.transform(X)
    ),
    "segmenter": lambda net, seed: (
        narrows.CodeSegmenter(maps(), max_epochs=1, random_state=seed)
        .fit(IMAGES, IMAGES > 0)
        .predict_proba(IMAGES)
    ),
}


@pytest.mark.parametrize("name", FITS)
def test_an_autoencoder_without_a_seed_uses_the_heads(name):
    first, second, other = (FITS[name](unseeded, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_generator_makes_a_head_reproducible():
    first, second = (FITS["classifier"](unseeded, np.random.RandomState(3)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_an_autoencoder_keeps_its_own_seed_and_the_given_one_is_unchanged():
    def weights(net: Any, seed: int) -> np.ndarray:
        head = narrows.CodeClassifier(net, max_epochs=1, random_state=seed).fit(X, Y)
        return head.autoencoder_.transform(X)

    net = unseeded().set_params(random_state=5)
    np.testing.assert_array_equal(weights(net, 0), weights(net, 1))
    given = unseeded()
    weights(given, 0)
    assert given.random_state is None and not hasattr(given, "model_")


def test_inspect_shows_the_given_seed(tmp_path, capsys):
    def output_of(*arguments: object) -> dict:
        capsys.readouterr()
        assert cli([*map(str, arguments), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    np.save(tmp_path / "x.npy", X)
    np.savetxt(tmp_path / "y.txt", Y, "%d")
    fit = ("fit", tmp_path / "x.npy", "--code", 2, "--hidden", "", "--epochs", 1, "-q")
    assert output_of(*fit, "--seed", 7, "-o", tmp_path / "m.st")["training"]["seed"] == 7
    assert output_of("inspect", tmp_path / "m.st")["seed"] == 7
    assert output_of(*fit, "-o", tmp_path / "drawn.st")["training"]["seed"] is None
    assert output_of("inspect", tmp_path / "drawn.st")["seed"] is None
    labels = ("--labels", tmp_path / "y.txt", "--task", "classify")
    output_of("head", tmp_path / "m.st", tmp_path / "x.npy", *labels,
              "--epochs", 1, "--seed", 8, "-q", "-o", tmp_path / "h.st")  # fmt: skip
    facts = output_of("inspect", tmp_path / "h.st")
    assert (facts["seed"], facts["head_seed"]) == (7, 8)
    output_of("detector", tmp_path / "x.npy", "--set", "n_folds=2", "--set", "trim=0", "--seed", 9,
         "-q", "-o", tmp_path / "d.st")  # fmt: skip
    assert output_of("inspect", tmp_path / "d.st")["seed"] == 9
    assert cli(["inspect", str(tmp_path / "m.st")]) == 0
    assert any(line.split() == ["seed", "7"] for line in capsys.readouterr().out.splitlines())
