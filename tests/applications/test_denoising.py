"""Denoising: the method, the command and its figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import Generator

from narrows import (
    Autoencoder,
    CodeClassifier,
    DenoisingAutoencoder,
    Gaussian,
    Identity,
    Masking,
    load,
)
from narrows.applications.coding.denoising import measure_denoising
from narrows.cli import run as cli
from narrows.data import DenseSource
from narrows.errors import CopyingWarning
from narrows.estimators.all_estimators import AUTOENCODERS


@pytest.fixture(scope="module")
def noisy_and_plain(digits_in_units):
    shared = {"hidden": (), "max_epochs": 40, "random_state": 0, "learning_rate": 3e-3}
    noisy = DenoisingAutoencoder(96, corruption=Gaussian(0.3), activation="relu", **shared)
    plain = Autoencoder(63, activation="relu", **shared)
    return noisy.fit(digits_in_units), plain.fit(digits_in_units)


@pytest.fixture(scope="module")
def digits_in_units():
    from sklearn.datasets import load_digits

    return (load_digits().data / 16).astype(np.float32)


def measured(ae, X, corruption):
    return measure_denoising(
        ae.model_, DenseSource(X), corruption, generator=Generator().manual_seed(1)
    )


def test_a_net_trained_on_noise_removes_more_of_it_than_a_copying_net(
    noisy_and_plain, digits_in_units
):
    noisy, plain = (measured(ae, digits_in_units, Gaussian(0.3)) for ae in noisy_and_plain)
    assert noisy.corrupted == pytest.approx(64 * 0.09, rel=0.02)
    assert noisy.denoised < 0.5 * noisy.corrupted
    assert noisy.denoised < 0.7 * plain.denoised


def test_measure_denoising_measures_the_denoised_rows(noisy_and_plain, digits_in_units):
    ae, _ = noisy_and_plain
    X = digits_in_units[:1000]
    found = measured(ae, X, Masking(0.4))
    rows = Masking(0.4)(torch.from_numpy(X), generator=Generator().manual_seed(1)).rows.numpy()
    by_hand = np.square(ae.denoise(rows) - X).sum(axis=1).mean()
    assert found.denoised == pytest.approx(by_hand, rel=1e-4)
    assert found.corrupted == pytest.approx(np.square(rows - X).sum(axis=1).mean(), rel=1e-4)


@pytest.fixture
def files(tmp_path, noisy_and_plain, digits_in_units):
    np.save(tmp_path / "x.npy", digits_in_units[:50])
    noisy_and_plain[0].save(tmp_path / "m")
    return tmp_path


def test_the_command_measures_draws_and_writes(files, capsys):
    model, data = str(files / "m"), str(files / "x.npy")
    figure = files / "f.png"
    command = ["denoise", model, data, "--corrupt", "gaussian:0.3", "--json"]
    assert cli([*command, "--figure", str(figure), "--image-shape", "8,8"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["denoised"] < values["corrupted"] and values["n_rows"] == 50
    assert figure.stat().st_size > 5000
    assert cli(["denoise", model, data, "-o", str(files / "clean.npy")]) == 0
    assert np.load(files / "clean.npy").shape == (50, 64)


def corrupted(model, X, corruption, seed) -> np.ndarray:
    """Return rows in input units, corrupted batch by batch as in the model."""
    generator = Generator().manual_seed(seed)
    x = model.scaling.forward(torch.from_numpy(X))
    noisy = [corruption(part, generator=generator).rows for part in x.split(1024)]
    return model.scaling.inverse(torch.cat(noisy)).numpy()


@pytest.mark.parametrize("seed", [0, 3])
def test_the_measured_rows_are_written_and_drawn(
    seed, noisy_and_plain, digits_in_units, tmp_path, monkeypatch, capsys
):
    ae, X = noisy_and_plain[0], digits_in_units[:1500]
    np.save(tmp_path / "x.npy", X)
    ae.save(tmp_path / "m")
    figures = []
    monkeypatch.setattr("narrows.figures.saving.save_figure", lambda f, _: figures.append(f))
    command = ["denoise", "m", "x.npy", "--corrupt", "gaussian:0.3", "--seed", str(seed), "--json",
               "-o", "y.npy", "--figure", "f.png"]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert cli(command) == 0
    noisy = corrupted(ae.model_, X, Gaussian(0.3), seed)
    written = np.load("y.npy")
    np.testing.assert_allclose(written, ae.denoise(noisy), atol=1e-5)
    results = json.loads(capsys.readouterr().out)
    by_hand = np.square(written - X).sum(axis=1).mean()
    assert results["denoised"] == pytest.approx(by_hand, rel=1e-4)
    at = [0, 250, 500, 750, 1000, 1250]  # six, of all of them
    for axis, row in zip(figures[0].axes, at, strict=True):
        clean, marks, by_model, *_ = (line.get_ydata() for line in axis.lines)
        np.testing.assert_allclose(clean, X[row], atol=1e-6)
        np.testing.assert_allclose(marks, noisy[row], atol=1e-5)
        np.testing.assert_allclose(by_model, written[row], atol=1e-5)


def test_a_net_for_missing_values_reconstructs_every_corrupted_value(digits_in_units, tmp_path):
    X = digits_in_units[:100]
    ae = Autoencoder(4, hidden=(), corruption="missing:0.2", max_epochs=1, random_state=0).fit(X)
    model, data, out = (str(tmp_path / name) for name in ("m", "x.npy", "y.npy"))
    ae.save(model)
    np.save(data, X)
    assert cli(["denoise", model, data, "--corrupt", "gaussian:0.3", "-o", out]) == 0
    noisy = corrupted(ae.model_, X, Gaussian(0.3), 0)
    np.testing.assert_allclose(np.load(out), ae.reconstruct(noisy), atol=1e-5)
    assert cli(["denoise", model, data, "-o", out]) == 0
    np.testing.assert_array_equal(np.load(out), X)


def test_denoising_that_makes_rows_worse_is_reported(files, capsys):
    for corruption, reported in (("gaussian:0.001", True), ("gaussian:3", False)):
        assert (
            cli(["denoise", str(files / "m"), str(files / "x.npy"), "--corrupt", corruption]) == 0
        )
        assert (
            "The corrupted rows are closer to the clean ones" in capsys.readouterr().out
        ) is reported


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give at least one of -o, --corrupt and --figure"),
        (["--corrupt", "gausian:0.3"], "corrupt: unknown name 'gausian'.*mean 'gaussian'"),
    ],
)
def test_the_command_refuses_invalid_arguments(files, capsys, options, message):
    import re

    assert cli(["denoise", str(files / "m"), str(files / "x.npy"), *options]) == 2
    assert re.search(message, capsys.readouterr().err)


CORRUPTED = [cls for cls in AUTOENCODERS if "corruption" in cls._get_param_names()]


@pytest.mark.parametrize("none", [None, "none", Identity()], ids=repr)
@pytest.mark.parametrize("cls", CORRUPTED, ids=lambda cls: cls.__name__)
def test_none_means_no_corruption(cls, none, digits_in_units, path):
    X = digits_in_units[:100]

    def codes(corruption) -> np.ndarray:
        fitted = cls(4, corruption=corruption, max_epochs=1, random_state=0).fit(X)
        fitted.save(path)
        return load(path).fit(X).transform(X)

    np.testing.assert_array_equal(codes(none), codes("identity"))


@pytest.mark.parametrize("none", [None, "none", Identity()], ids=repr)
def test_a_wide_code_without_corruption_warns_however_it_is_written(none, digits_in_units):
    with pytest.warns(CopyingWarning, match="n_components=64"):
        Autoencoder(64, hidden=(), corruption=none, max_epochs=1).fit(digits_in_units[:50])


def test_a_heads_corruption_may_be_none(digits_in_units):
    X, y = digits_in_units[:60], np.arange(60) % 2
    ae = Autoencoder(4, hidden=(), max_epochs=1, random_state=0).fit(X)
    settings = {"training": "joint", "max_epochs": 1, "random_state": 0}
    corruptions = [
        CodeClassifier(ae, corruption=c, **settings).fit(X, y).predict_proba(X)
        for c in (None, "identity")
    ]
    np.testing.assert_array_equal(*corruptions)


@pytest.mark.parametrize("none", ["--corruption=none", "--set=corruption=none"])
def test_the_command_accepts_none_as_the_corruption(none, digits_in_units, tmp_path):
    np.save(tmp_path / "x.npy", digits_in_units[:60])
    fit = ["fit", str(tmp_path / "x.npy"), "--variant", "denoising", none, "--epochs", "1", "-q"]
    assert cli([*fit, "--code", "2", "-o", str(tmp_path / "m")]) == 0
    assert load(tmp_path / "m").model_.parameters["corruption"] == {"name": "identity"}
