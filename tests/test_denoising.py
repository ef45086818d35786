"""Denoising: the method, the command and its figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from torch import Generator

from narrows import Autoencoder, DenoisingAutoencoder, Gaussian, Masking
from narrows.applications.denoising import measure_denoising
from narrows.cli import _run
from narrows.data import DenseSource


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


def test_a_net_trained_on_noise_undoes_more_of_it_than_a_copying_one(
    noisy_and_plain, digits_in_units
):
    noisy, plain = (measured(ae, digits_in_units, Gaussian(0.3)) for ae in noisy_and_plain)
    assert noisy.corrupted == pytest.approx(64 * 0.09, rel=0.02)
    assert noisy.denoised < 0.5 * noisy.corrupted
    assert noisy.denoised < 0.7 * plain.denoised


def test_denoise_is_what_is_measured(noisy_and_plain, digits_in_units):
    ae, _ = noisy_and_plain
    X = digits_in_units[:1000]
    found = measured(ae, X, Masking(0.4))
    import torch

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
    assert _run([*command, "--figure", str(figure), "--image-shape", "8,8"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["denoised"] < values["corrupted"] and values["n_rows"] == 50
    assert figure.stat().st_size > 5000
    assert _run(["denoise", model, data, "-o", str(files / "clean.npy")]) == 0
    assert np.load(files / "clean.npy").shape == (50, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give -o, --corrupt, --figure, or several"),
        (["--corrupt", "gausian:0.3"], "corrupt: unknown name 'gausian'.*mean 'gaussian'"),
        (["--corrupt", "gaussian:0.3", "-o", "y.npy"], "-o takes DATA that are corrupted already"),
    ],
)
def test_a_misuse_of_the_command_is_named(files, capsys, options, message):
    import re

    assert _run(["denoise", str(files / "m"), str(files / "x.npy"), *options]) == 2
    assert re.search(message, capsys.readouterr().err)
