"""Samples of every estimator, and the densities that they are drawn from."""

from __future__ import annotations

import json
import re
from copy import deepcopy

import numpy as np
import pytest
import torch
from artefact_files import put_together, take_apart
from PIL import Image
from sklearn.exceptions import NotFittedError
from torch import Generator

from narrows import (
    Autoencoder,
    DictionaryAutoencoder,
    LinearAutoencoder,
    SemanticHasher,
    SparseAutoencoder,
    VariationalAutoencoder,
    load,
)
from narrows.applications.generation.sampling import _draw, samples
from narrows.cli import run as cli
from narrows.errors import ModelFileError, OutdatedWarning, UsageError
from narrows.estimators.all_estimators import AUTOENCODERS
from narrows.model.density import Density, fit_densities


def drawn(density: Density, n: int = 50_000) -> np.ndarray:
    return density.draw(n, generator=Generator().manual_seed(0)).numpy()


@pytest.fixture
def clusters(rng) -> np.ndarray:
    """Two thousand codes in two clusters, correlated within."""
    correlated = rng.normal(size=(2000, 3)) @ np.array([[1, 0.5, 0], [0, 1, -0.3], [0, 0, 0.2]])
    return (correlated + rng.integers(0, 2, size=(2000, 1)) * [20, -10, 0]).astype(np.float32)


@pytest.mark.parametrize("name", ["gaussian", "mixture"])
def test_draws_have_the_codes_mean_and_covariance(clusters, name):
    density = fit_densities(clusters, seed=0)[name]
    found = drawn(density)
    np.testing.assert_allclose(found.mean(axis=0), clusters.mean(axis=0), atol=0.3)
    np.testing.assert_allclose(np.cov(found.T), np.cov(clusters.T), rtol=0.05, atol=0.6)


def test_a_gaussian_has_exactly_the_sample_covariance(clusters):
    factor = fit_densities(clusters, seed=0)["gaussian"].factors[0].numpy()
    np.testing.assert_allclose(factor @ factor.T, np.cov(clusters.T), rtol=1e-4, atol=1e-4)


def test_only_the_mixture_leaves_the_space_between_clusters_empty(clusters):
    densities = fit_densities(clusters, seed=0)
    between = [((drawn(d)[:, 0] > 6) & (drawn(d)[:, 0] < 14)).mean() for d in densities.values()]
    assert list(densities) == ["gaussian", "mixture"]
    assert between[0] > 0.2 and between[1] < 0.01


def test_mixture_components_are_drawn_by_weight():
    density = Density(torch.tensor([0.2, 0.8]), torch.tensor([[0.0], [10.0]]), torch.zeros(2, 1, 1))
    assert (drawn(density) == 10).mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("name", ["gaussian", "mixture"])
@pytest.mark.parametrize(
    "codes",
    [
        np.zeros((50, 3)),
        np.full((50, 1), 7.0),
        np.outer(np.arange(50.0), [1, -2, 3]),
        np.eye(4, 20),
        np.arange(10.0).reshape(2, 5),
        1e30 * np.arange(60.0).reshape(20, 3),
        np.vstack([np.arange(60.0).reshape(20, 3), np.full((1, 3), np.nan)]),
        np.full((1100, 1100), 2.0),
    ],
    ids=["zero", "constant", "line", "few rows", "two rows", "huge", "nan", "wide"],
)
def test_degenerate_codes_have_a_density_in_their_span(codes, name):
    density = fit_densities(codes.astype(np.float32), seed=0)[name]
    found = drawn(density, 2000)
    assert np.isfinite(found).all()
    good = codes[np.isfinite(codes).all(axis=1)]
    scale = np.abs(good).max() or 1
    centered = good / scale - (good / scale).mean(axis=0)
    outside = found / scale - (good / scale).mean(axis=0)
    outside -= outside @ np.linalg.pinv(centered, rcond=1e-5) @ centered
    assert np.abs(outside).max() < 1e-3


def test_one_row_has_no_density():
    assert fit_densities(np.zeros((1, 3), dtype=np.float32), seed=0) == {}


def test_few_rows_get_few_mixture_components(clusters):
    parts = [len(fit_densities(clusters[:n], seed=0)["mixture"].weights) for n in (30, 50, 2000)]
    assert parts == [1, 2, 10]


@pytest.fixture(scope="module")
def units() -> np.ndarray:
    from sklearn.datasets import load_digits

    return (load_digits().data / 16).astype(np.float32)


def small(cls, **more):
    return cls(**{"n_components": 6, "max_epochs": 3, "random_state": 0, **more})


@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@pytest.mark.parametrize("cls", AUTOENCODERS)
def test_every_estimator_samples_in_input_units(cls, units):
    ae = small(cls).fit(units * 16 if cls is LinearAutoencoder else units)
    for density in ("auto", "gaussian", "mixture"):
        rows = ae.sample(40, density=density, random_state=0)
        assert rows.shape == (40, 64) and rows.dtype == np.float32
        assert np.isfinite(rows).all() and rows.std(axis=0).max() > 0


@pytest.fixture(scope="module")
def fitted(units) -> Autoencoder:
    return small(Autoencoder, hidden=(64,), max_epochs=25).fit(units)


@pytest.mark.parametrize("density", ["gaussian", "mixture"])
def test_samples_are_distributed_like_the_data(fitted, units, density):
    rows = fitted.sample(2000, density=density, random_state=0)
    assert 0 <= rows.min() and rows.max() <= 1
    assert np.abs(rows.mean(axis=0) - units.mean(axis=0)).max() < 0.08
    r = np.corrcoef(rows.std(axis=0), units.std(axis=0))[0, 1]
    assert r > 0.95


def test_samples_are_not_copies_of_training_rows(fitted, units):
    rows = fitted.sample(50, random_state=0)
    nearest = np.linalg.norm(rows[:, None] - units[None], axis=2).min(axis=1)
    assert nearest.min() > 0.05


def test_the_densities_of_a_linear_net_are_fitted_to_its_rotated_codes(units):
    ae = small(LinearAutoencoder, max_epochs=10).fit(units)
    factor = ae.model_.densities["gaussian"].factors[0].numpy()
    np.testing.assert_allclose(
        factor @ factor.T, np.cov(ae.transform(units).T), rtol=1e-3, atol=1e-3
    )


def test_the_densities_of_a_variational_net_are_fitted_to_drawn_codes(units):
    settings = {"hidden": (32,), "loss": "bernoulli", "max_epochs": 5}
    ae = small(VariationalAutoencoder, **settings).fit(units)
    factor = ae.model_.densities["gaussian"].factors[0].numpy()
    posterior = ae.model_.objective.encode(torch.from_numpy(units)).posterior
    assert posterior is not None
    means = np.cov(posterior.mean.detach().numpy().T)
    noise = posterior.log_variance.detach().exp().mean(dim=0).numpy()
    np.testing.assert_allclose((factor @ factor.T).diagonal(), means.diagonal() + noise, rtol=0.1)
    assert noise.max() > 0.1


def test_a_drawn_top_k_code_has_k_components(units):
    ae = small(SparseAutoencoder, n_components=30, sparsity="top_k", k=4).fit(units)
    h = _draw(ae.model_, "mixture", Generator().manual_seed(0))
    assert int((h != 0).sum(dim=1).max()) == 4 and float(h.min()) == 0


@pytest.mark.parametrize(
    ("activation", "low", "high"),
    [("relu", 0, np.inf), ("sigmoid", 0, 1), ("tanh", -1, 1), ("silu", -0.2785, np.inf),
     ("gelu", -0.1701, np.inf), ("linear", -np.inf, np.inf)],
)  # fmt: skip
def test_codes_stay_in_the_range_of_their_activation(units, activation, low, high):
    ae = Autoencoder(3, hidden=(), code_activation=activation, max_epochs=1).fit(units[:50])
    h = torch.linspace(-9, 9, 300).reshape(100, 3)
    kept = ae.model_.objective.encoder.project(h).numpy()
    np.testing.assert_array_equal(kept, h.numpy().clip(np.float32(low), np.float32(high)))


def test_the_ranges_match_the_activations():
    from narrows.core.activations import ACTIVATIONS, RANGES

    z = torch.linspace(-60, 60, 200_001)
    for name, activate in ACTIVATIONS.items():
        low, high = RANGES[name]
        values = activate(z)
        assert float(values.min()) == pytest.approx(-60 if low is None else low, abs=2e-4)
        assert float(values.max()) == pytest.approx(60 if high is None else high, abs=2e-4)


# Reproducibility, files and refused arguments.


def test_a_seed_repeats_and_fewer_samples_are_a_prefix(fitted):
    first = fitted.sample(5, random_state=3)
    np.testing.assert_array_equal(first, fitted.sample(3000, random_state=3)[:5])
    assert not np.array_equal(first, fitted.sample(5, random_state=4))


def test_sampling_leaves_the_global_random_states_alone(fitted):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    fitted.sample(5, random_state=0)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])


@pytest.mark.parametrize("density", ["gaussian", "mixture"])
def test_a_loaded_model_gives_the_same_samples(fitted, path, density):
    fitted.save(path)
    before, loaded = (ae.sample(9, density=density, random_state=1) for ae in (fitted, load(path)))
    np.testing.assert_array_equal(before, loaded)


def test_an_older_file_loads_and_names_the_way_out(fitted, path):
    before = deepcopy(fitted)
    before.model_.densities = {}
    before.save(path)
    header, body, payload = take_apart(path.read_bytes())
    del body["spec"]["densities"]
    path.write_bytes(put_together(header, body, payload))
    old = load(path)
    with pytest.raises(UsageError, match="no 'mixture' density of its codes.*call fit"):
        old.sample(3)


@pytest.mark.parametrize(
    "change",
    [
        {"means": torch.zeros(1, 5)},
        {"factors": torch.zeros(1, 6)},
        {"factors": torch.zeros(2, 6, 6)},
        {"weights": torch.tensor([-1.0])},
        {"weights": torch.zeros(0)},
        {"means": torch.zeros(1, 6).double()},
        {"nope": torch.zeros(1)},
    ],
)
def test_a_density_that_does_not_fit_is_refused(fitted, path, change):
    from narrows.artefact import write_artefact

    artefact = fitted.model_.to_artefact(fitted._artefact_extra())
    tensors = {f"density.gaussian.{name}": value for name, value in change.items()}
    artefact.tensors.update(tensors)
    write_artefact(path, artefact)
    with pytest.raises(ModelFileError, match="cannot be rebuilt"):
        load(path)


@pytest.mark.parametrize("names", [5, ["nope"], {"a": 1}, [["gaussian"]]])
def test_missing_densities_are_refused(fitted, path, names):
    fitted.save(path)
    header, body, payload = take_apart(path.read_bytes())
    body["spec"]["densities"] = names
    path.write_bytes(put_together(header, body, payload))
    with pytest.raises(ModelFileError, match="cannot be rebuilt"):
        load(path)


def test_after_partial_fit_there_is_no_density_until_fit(units):
    ae = small(Autoencoder, hidden=()).fit(units[:100])
    ae.sample(2)
    with pytest.warns(OutdatedWarning):
        ae.partial_fit(units[:100])
    with pytest.raises(UsageError, match="partial_fit does not; call fit"):
        ae.sample(2)
    ae.fit(units[:100]).sample(2)


def test_a_variational_net_keeps_its_prior_after_partial_fit(units):
    ae = small(VariationalAutoencoder, hidden=()).partial_fit(units[:100])
    assert ae.sample(2).shape == (2, 64)
    with pytest.raises(UsageError, match="no 'mixture'"):
        ae.sample(2, density="mixture")


def test_bits_are_drawn_from_a_fitted_density_and_have_no_prior(units):
    hasher = small(SemanticHasher, hidden=()).fit(units[:100])
    assert hasher.sample(2).shape == (2, 64)
    with pytest.raises(UsageError, match="only a variational model has a 'prior'"):
        hasher.sample(2, density="prior")


@pytest.mark.parametrize("n", [0, -3, 1.5, "7", None, True, 10_000_001])
def test_invalid_numbers_of_samples_are_refused(fitted, n):
    with pytest.raises(UsageError, match="n: must be an integer >= 1 and <= 1e\\+07"):
        fitted.sample(n)


@pytest.mark.parametrize(
    ("density", "message"),
    [("mixtur", "unknown name 'mixtur'.*mean 'mixture'"), ("prior", "only a variational model")],
)
def test_unknown_densities_are_refused(fitted, density, message):
    with pytest.raises(UsageError, match=message):
        fitted.sample(3, density=density)


def test_an_unfitted_estimator_cannot_sample():
    with pytest.raises(NotFittedError):
        Autoencoder().sample(3)


def test_a_wide_dictionary_samples(units):
    ae = DictionaryAutoencoder(1500, k=4, max_epochs=1, random_state=0).fit(units[:300])
    assert np.isfinite(ae.sample(3, random_state=0)).all()


# The command.


@pytest.fixture
def model(tmp_path, fitted) -> str:
    fitted.save(tmp_path / "m")
    return str(tmp_path / "m")


def test_generate_writes_what_sample_returns(model, tmp_path, fitted, capsys):
    command = ["generate", model, "-n", "2050", "-o", str(tmp_path / "s.npy"), "--seed", "4"]
    assert cli([*command, "--density", "gaussian", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["shape"] == [2050, 64]
    rows = np.load(tmp_path / "s.npy")
    assert rows.shape == (2050, 64) and rows.dtype == np.float32
    generator = Generator().manual_seed(4)
    drawn = np.concatenate([*samples(fitted.model_, 2050, density="gaussian", generator=generator)])
    np.testing.assert_array_equal(rows, drawn)


@pytest.mark.parametrize("n", [1, 7, 25, 300])
def test_generate_draws_a_sheet(model, tmp_path, capsys, n):
    figure = tmp_path / "f.png"
    arguments = ["-n", str(n), "--figure", str(figure), "--image-shape", "8,8"]
    assert cli(["generate", model, *arguments]) == 0
    with Image.open(figure) as picture:
        assert picture.width > 100 and len(set(picture.convert("L").tobytes())) > 20


def test_generate_draws_other_rows_as_colors(model, tmp_path):
    assert cli(["generate", model, "--figure", str(tmp_path / "f.png")]) == 0
    assert (tmp_path / "f.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "give at least one of -o, --figure and --check"),
        (["-n", "0", "-o", "{}/s.npy"], 2, "n: must be an integer >= 1"),
        (["-n", "-5", "-o", "{}/s.npy"], 2, "n: must be an integer >= 1"),
        (["-n", "100000000", "-o", "{}/s.npy"], 2, "and <= 1e\\+07"),
        (["--density", "mixtre", "-o", "{}/s.npy"], 2, "unknown name 'mixtre'.*mean 'mixture'"),
        (["--density", "prior", "-o", "{}/s.npy"], 2, "only a variational model has a 'prior'"),
        (["-o", "{}/s.txt"], 2, "written as .npy, .csv or .tsv"),
        (["-o", "{}/nope/s.npy"], 5, "does not exist"),
        (["-o", "{}/m"], 2, "is the input"),
        (["--figure", "{}/f.nope"], 2, "figures are written as"),
        (["--figure", "{}/f.png", "--image-shape", "3,3"], 3, "does not hold 64 features"),
    ],
)
def test_generate_refuses_invalid_arguments(model, tmp_path, capsys, options, code, message):
    arguments = [option.format(tmp_path) for option in options]
    assert cli(["generate", model, *arguments]) == code
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "s.npy").exists()


def test_generate_draws_images_of_one_line(model, tmp_path):
    arguments = ["--figure", str(tmp_path / "f.png"), "--image-shape", "1,64"]
    assert cli(["generate", model, *arguments]) == 0


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999", "1.5"])
@pytest.mark.parametrize("command", ["generate", "inspect", "evaluate"])
def test_invalid_seeds_are_refused(model, capsys, command, seed):
    rest = {"generate": ["-o", "s.npy"], "inspect": ["x.npy"], "evaluate": ["x.npy"]}[command]
    assert cli([command, model, *rest, "--seed", seed]) == 2
    assert "--seed" in capsys.readouterr().err
