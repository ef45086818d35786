"""Perturbed, traversed and interpolated codes: endpoints, noise and constraints."""

from __future__ import annotations

import re

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from narrows import (
    Autoencoder,
    DocumentAutoencoder,
    SemanticHasher,
    SparseAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
)
from narrows.applications.generation.walks import code_mean_and_root
from narrows.data.splitting import held_out_mask
from narrows.errors import InvalidData, UsageError
from narrows.estimators.all_estimators import AUTOENCODERS


def small(cls, **more):
    return cls(**{"n_components": 4, "max_epochs": 3, "random_state": 0, **more})


@pytest.fixture(scope="module", params=AUTOENCODERS)
def every(request, digits) -> tuple:
    """Each estimator, and rows for it."""
    X = digits[:300] if request.param.__name__ == "LinearAutoencoder" else digits[:300] / 16
    return small(request.param).fit(X), X[:40]


def test_without_noise_rows_are_reconstructed(every):
    ae, X = every
    perturbed = ae.perturb(X, amount=0, n_samples=3)
    assert perturbed.shape == (40, 3, 64) and perturbed.dtype == np.float32
    for j in range(3):
        np.testing.assert_array_equal(perturbed[:, j], ae.reconstruct(X))


@pytest.mark.parametrize("method", ["linear", "spherical"])
def test_an_interpolation_ends_at_the_reconstructions(every, method):
    ae, X = every
    ways = ae.interpolate(X[:20], X[20:], 5, method=method)
    assert ways.shape == (20, 5, 64)
    np.testing.assert_array_equal(ways[:, 0], ae.reconstruct(X[:20]))
    np.testing.assert_array_equal(ways[:, -1], ae.reconstruct(X[20:]))


def test_noise_has_the_variances_of_the_codes(autoencoder, rows):
    """The decoded differences of a linear decoder are those of the codes: D amount sigma e."""
    ae = Autoencoder(3, hidden=(), scale="none", loss="squared_error", max_epochs=30,
                     random_state=0).fit(rows)  # fmt: skip
    moved = ae.perturb(rows[:1], amount=0.7, n_samples=9000, random_state=1)[0]
    weight = ae.model_.objective.decoder.weights[0].detach().numpy()
    shifts = (moved - ae.reconstruct(rows[:1])) @ np.linalg.pinv(weight)
    np.testing.assert_allclose(
        shifts.std(axis=0), 0.7 * ae.transform(rows).std(axis=0, ddof=1), rtol=0.03
    )
    correlation = np.corrcoef(shifts.T)[np.triu_indices(3, 1)]
    assert np.abs(correlation).max() < 0.04


def test_correlated_noise_has_the_codes_covariance(rows):
    ae = Autoencoder(3, hidden=(), scale="none", loss="squared_error", max_epochs=30,
                     random_state=0).fit(rows)  # fmt: skip
    moved = ae.perturb(rows[:1], amount=2, n_samples=9000, noise="correlated", random_state=1)[0]
    weight = ae.model_.objective.decoder.weights[0].detach().numpy()
    shifts = (moved - ae.reconstruct(rows[:1])) @ np.linalg.pinv(weight)
    codes = np.cov(ae.transform(rows).T)
    np.testing.assert_allclose(np.cov(shifts.T), 4 * codes, atol=0.2 * np.abs(codes).max())


def test_a_seed_repeats_and_a_row_does_not_depend_on_later_rows(autoencoder, rows):
    first = autoencoder.perturb(rows[:5], n_samples=7, random_state=3)
    many = autoencoder.perturb(rows, n_samples=7, random_state=3)
    np.testing.assert_array_equal(first, many[:5])
    assert not np.array_equal(first, autoencoder.perturb(rows[:5], n_samples=7, random_state=4))
    assert not np.allclose(first[:, 0], first[:, 1])


def test_walks_leave_the_global_random_states_alone(autoencoder, rows):
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    autoencoder.perturb(rows[:5], random_state=0)
    assert torch.equal(before[0], torch.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])


def test_a_traversal_changes_one_component_only(autoencoder, rows):
    h = autoencoder.transform(rows[7:8])
    seed = torch.Generator().manual_seed(autoencoder.model_.record["seed"])
    held_out = held_out_mask(len(rows), 0.1, generator=seed).numpy()
    deviations = autoencoder.transform(rows[~held_out]).std(axis=0, ddof=1)
    grid = autoencoder.traverse(rows[7], n_steps=5, span=1.5)
    assert grid.shape == (4, 5, 10)
    for j in range(4):
        codes = np.repeat(h, 5, axis=0)
        codes[:, j] += np.array([-1.5, -0.75, 0, 0.75, 1.5]) * deviations[j]
        expected = autoencoder.inverse_transform(codes)
        np.testing.assert_allclose(grid[j], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(grid[:, 2], autoencoder.reconstruct(rows[[7] * 4]))


def test_a_traversal_through_values_sets_the_component(autoencoder, rows):
    grid = autoencoder.traverse(rows[7], 2, values=[-1, 0.5])
    codes = np.repeat(autoencoder.transform(rows[7:8]), 2, axis=0)
    codes[:, 2] = [-1, 0.5]
    assert grid.shape == (1, 2, 10)
    np.testing.assert_allclose(grid[0], autoencoder.inverse_transform(codes), atol=1e-6)


def test_components_come_in_the_given_order(autoencoder, rows):
    every = autoencoder.traverse(rows[0])
    np.testing.assert_array_equal(autoencoder.traverse(rows[0], [3, 1]), every[[3, 1]])


def test_a_line_is_straight_in_the_code(autoencoder, rows):
    a, b = autoencoder.transform(rows[:1]), autoencoder.transform(rows[-1:])
    t = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    expected = autoencoder.inverse_transform((1 - t) * a + t * b)
    way = autoencoder.interpolate(rows[0], rows[-1], 5)[0]
    np.testing.assert_allclose(way, expected, atol=1e-6)


def test_an_arc_keeps_its_distance_from_the_mean(autoencoder, rows):
    """Against a rotation in the plane of two codes, seen from the mean."""
    mean = code_mean_and_root(autoencoder.model_)[0].numpy().astype(np.float64)
    a, b = (autoencoder.transform(rows[[i]])[0] - mean for i in (0, -1))
    u = a / np.linalg.norm(a)
    w = b - (b @ u) * u
    w /= np.linalg.norm(w)
    angle = np.arctan2(b @ w, b @ u)
    t = np.linspace(0, 1, 5)[:, None]
    length = (1 - t) * np.linalg.norm(a) + t * np.linalg.norm(b)
    codes = mean + length * (np.cos(t * angle) * u + np.sin(t * angle) * w)
    way = autoencoder.interpolate(rows[0], rows[-1], 5, method="spherical")[0]
    np.testing.assert_allclose(way, autoencoder.inverse_transform(codes), atol=1e-5)


def test_an_arc_between_equal_codes_stays_there(autoencoder, rows):
    way = autoencoder.interpolate(rows[:3], rows[:3], 4, method="spherical")
    np.testing.assert_allclose(way, way[:, :1].repeat(4, axis=1), atol=1e-6)


# Restricted codes: bits, top-k and quantized.


def decoded_codes(ae, monkeypatch):
    """Record every code that reaches the decoder."""
    seen = []
    forward = ae.model_.objective.decoder.forward
    monkeypatch.setattr(
        ae.model_.objective.decoder, "forward", lambda h: seen.append(h.clone()) or forward(h)
    )
    return seen


def test_bits_flip_only_if_the_noise_crosses_the_threshold(digits, monkeypatch):
    """P(flip) = Phi(-1 / (amount sigma)) of a bit with deviation sigma."""
    from scipy.stats import norm

    ae = small(SemanticHasher, n_components=8, hidden=(16,)).fit(digits[:400])
    seen = decoded_codes(ae, monkeypatch)
    ae.perturb(digits[:50], amount=0.5, n_samples=400, random_state=0)
    h = torch.cat(seen).numpy()
    assert set(np.unique(h)) == {-1.0, 1.0}
    own = ae.transform(digits[:50]).repeat(400, axis=0)
    sigma = ae.transform(digits[:400]).std(axis=0, ddof=1)
    expected = norm.cdf(-1 / (0.5 * np.maximum(sigma, 1e-9)))
    np.testing.assert_allclose((h[: len(own)] != own).mean(axis=0), expected, atol=0.006)


def test_a_perturbed_top_k_code_has_k_components(digits, monkeypatch):
    ae = small(SparseAutoencoder, n_components=30, sparsity="top_k", k=4).fit(digits[:300])
    seen = decoded_codes(ae, monkeypatch)
    ae.perturb(digits[:20], n_samples=5, random_state=0)
    ae.interpolate(digits[:20], digits[20:40])
    ae.traverse(digits[0])
    for h in seen:
        assert int((h != 0).sum(dim=1).max()) <= 4 and float(h.min()) >= 0


def test_parts_of_a_quantized_code_are_entries(digits, monkeypatch):
    ae = small(VectorQuantizedAutoencoder, n_groups=2, n_entries=8).fit(digits[:300])
    seen = decoded_codes(ae, monkeypatch)
    ae.perturb(digits[:16], n_samples=64, random_state=0)
    entries = {tuple(e) for e in ae.entries_[0].tolist()}
    assert all(tuple(part) in entries for part in seen[0][:, :2].tolist())


def test_a_quantized_code_is_not_traversed(digits):
    ae = small(VectorQuantizedAutoencoder, n_groups=2).fit(digits[:100])
    with pytest.raises(
        UsageError, match="traverse: this code consists of learned vectors.*use perturb"
    ):
        ae.traverse(digits[0])


def test_counts_keep_their_totals(rng):
    counts = sp.csr_array(rng.poisson(1.0, size=(60, 20)).astype(np.float32))
    ae = small(DocumentAutoencoder).fit(counts)
    moved = ae.perturb(counts[:9], n_samples=2, random_state=0)
    totals = counts[:9].sum(axis=1)
    np.testing.assert_allclose(moved.sum(axis=2), np.stack([totals, totals], axis=1), rtol=1e-4)
    way = ae.interpolate(counts[:1], counts[1:2], 3)[0]
    np.testing.assert_allclose(way.sum(axis=1), np.linspace(totals[0], totals[1], 3), rtol=1e-4)


def test_texts_are_interpolated():
    texts = ["cats purr and sleep", "dogs bark and run", "cats sleep", "dogs run fast"] * 10
    settings = {"n_components": 2, "hidden": (8,), "validation_fraction": 0.0}
    ae = small(DocumentAutoencoder, **settings).fit(texts)
    assert ae.interpolate(texts[:2], texts[2:4], 3).shape[:2] == (2, 3)
    assert ae.traverse([texts[0]], 1, n_steps=4).shape[:2] == (1, 4)


def test_a_variational_net_without_densities_walks_in_units_of_its_prior(rows):
    ae = small(VariationalAutoencoder, hidden=()).partial_fit(rows)
    codes = np.repeat(ae.transform(rows[:1]), 3, axis=0)
    codes[:, 1] += [-2, 0, 2]
    grid = ae.traverse(rows[0], 1, n_steps=3)
    np.testing.assert_allclose(grid[0], ae.inverse_transform(codes), atol=1e-5)


# Refused arguments.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda ae, X: ae.perturb(X, amount=-1), "amount: must be a number >= 0, got -1"),
        (lambda ae, X: ae.perturb(X, amount=np.nan), "amount: must be a number >= 0, got nan"),
        (lambda ae, X: ae.perturb(X, n_samples=0), "n_samples: must be an integer >= 1"),
        (lambda ae, X: ae.perturb(X, noise="corelated"), "noise: unknown.*mean 'correlated'"),
        (lambda ae, X: ae.traverse(X[0], 4), "component: must be an integer >= 0 and <= 3, got 4"),
        (lambda ae, X: ae.traverse(X[0], -1), "component: must be an integer >= 0 and <= 3"),
        (lambda ae, X: ae.traverse(X[0], []), "component: must have at least one"),
        (lambda ae, X: ae.traverse(X[0], "a"), "component: must be an integer.*got 'a'"),
        (lambda ae, X: ae.traverse(X[:2]), "traverse: x must be one row, got 2; choose one"),
        (lambda ae, X: ae.traverse(X[0], n_steps=1), "n_steps: must be an integer >= 2"),
        (lambda ae, X: ae.traverse(X[0], span=-2), "span: must be a number >= 0"),
        (
            lambda ae, X: ae.traverse(X[0], values=[np.inf]),
            "values: must be a sequence of finite numbers",
        ),
        (
            lambda ae, X: ae.traverse(X[0], values="abc"),
            "values: must be a sequence of finite numbers",
        ),
        (lambda ae, X: ae.interpolate(X, X, 1), "n_steps: must be an integer >= 2"),
        (lambda ae, X: ae.interpolate(X, X, method="circular"), "method: unknown.*linear, sph"),
    ],
)
def test_an_error_names_the_invalid_argument(autoencoder, rows, call, message):
    with pytest.raises(UsageError, match=message):
        call(autoencoder, rows)


def test_different_numbers_of_rows_are_refused(autoencoder, rows):
    with pytest.raises(InvalidData, match="the same number of rows, got 3 and 2"):
        autoencoder.interpolate(rows[:3], rows[:2])


def test_after_partial_fit_alone_there_is_no_covariance(rows):
    ae = small(Autoencoder, hidden=()).partial_fit(rows)
    for call in (ae.perturb, lambda X: ae.traverse(X[0])):
        with pytest.raises(UsageError, match="partial_fit does not; call fit"):
            call(rows)
    assert ae.interpolate(rows[:2], rows[2:4]).shape == (2, 9, 10)  # needs no covariance
    assert ae.traverse(rows[0], 1, values=[0]).shape == (1, 1, 10)


# The command.


@pytest.fixture
def model(tmp_path, autoencoder, rows) -> str:
    autoencoder.save(tmp_path / "m")
    np.save(tmp_path / "x.npy", rows)
    return str(tmp_path / "m")


def run(*arguments: object) -> int:
    from narrows.cli import run as cli

    return cli(["generate", *map(str, arguments)])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--perturb", "--rows", 3, "-n", 2, "--amount", 0, "--amount", 1, "--seed", 5],
         lambda ae, X: np.stack([ae.perturb(X, amount=a, n_samples=2, random_state=5)
                                 for a in (0, 1)], axis=1)),
        (["--traverse", "--row", 150, "--component", 2, "-n", 3, "--span", 1],
         lambda ae, X: ae.traverse(X[1], 2, n_steps=3, span=1)),
        (["--interpolate", "--rows", 3, "-n", 4, "--method", "spherical"],
         lambda ae, X: ae.interpolate(X[:2], X[1:], 4, method="spherical")),
    ],
    ids=["perturb", "traverse", "interpolate"],
)  # fmt: skip
def test_the_command_writes_what_the_estimator_returns(
    model, tmp_path, autoencoder, rows, options, expected
):
    options = [options[0], tmp_path / "x.npy", *options[1:]]
    assert run(model, *options, "-o", tmp_path / "r.npy", "--figure", tmp_path / "f.png") == 0
    expected_rows = expected(autoencoder, rows[::150])
    np.testing.assert_array_equal(np.load(tmp_path / "r.npy"), expected_rows.reshape(-1, 10))
    assert (tmp_path / "f.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (
            ["--perturb", "{}/x.npy", "--traverse", "{}/x.npy"],
            2,
            "give --perturb or --traverse",
        ),
        (["--amount", "1"], 2, "--amount applies only to --perturb"),
        (
            ["--perturb", "{}/x.npy", "--rows", "2", "--row", "2"],
            2,
            "--row applies only to",
        ),
        (["--perturb", "{}/x.npy", "--density", "prior"], 2, "--density applies only to sampling"),
        (["--traverse", "{}/x.npy", "--row", "450"], 2, "--row: must be from 0 to 449, got 450"),
        (["--traverse", "{}/x.npy", "--component", "9"], 2, "component: must be an integer"),
        (["--interpolate", "{}/x.npy", "--rows", "1"], 3, "interpolation needs at least two rows"),
        (["--interpolate", "{}/x.npy", "-n", "1"], 2, "n_steps: must be an integer >= 2"),
        (["--perturb", "{}/x.npy", "-n", "0"], 2, "n_samples: must be an integer >= 1"),
        (["--perturb", "{}/none.npy"], 3, "no such file"),
    ],
)
def test_the_command_refuses_invalid_arguments(model, tmp_path, capsys, options, code, message):
    options = [option.format(tmp_path) for option in options]
    assert run(model, *options, "-o", tmp_path / "r.npy") == code
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "r.npy").exists()


def test_the_command_does_not_overwrite_its_input(model, tmp_path):
    before = (tmp_path / "x.npy").read_bytes()
    assert run(model, "--perturb", tmp_path / "x.npy", "-o", tmp_path / "x.npy") == 2
    assert (tmp_path / "x.npy").read_bytes() == before


@pytest.mark.parametrize("walk", ["perturb", "traverse", "interpolate"])
def test_a_table_with_names_is_walked_without_a_warning_and_drawn(tmp_path, walk, recwarn):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.random.default_rng(0).normal(size=(30, 3)), columns=list("abc"))
    frame["c"] *= 1000  # scaled units show the others beside it
    frame.to_csv(tmp_path / "t.csv", index=False)
    Autoencoder(2, max_epochs=2, random_state=0).fit(frame).save(tmp_path / "m.safetensors")
    arguments = [f"--{walk}", tmp_path / "t.csv", "--figure", tmp_path / "w.png"]
    assert run(tmp_path / "m.safetensors", *arguments) == 0
    assert not recwarn.list
    assert (tmp_path / "w.png").stat().st_size > 10_000
