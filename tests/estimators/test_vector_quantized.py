"""Quantized codes: nearest entries, straight-through gradients, and reset of unused entries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Generator

from narrows import Autoencoder, VectorQuantizedAutoencoder, load
from narrows.encoders import QuantizedEncoder
from narrows.encoders.quantized import _IDLE_ROWS
from narrows.errors import UsageError
from narrows.variants.building import build_objective


def encoder(n_groups: int = 2, n_entries: int = 5) -> QuantizedEncoder:
    made = QuantizedEncoder(
        [6, 4], n_groups=n_groups, n_entries=n_entries, activation="silu",
        generator=Generator().manual_seed(0),
    )  # fmt: skip
    made.idle.zero_()  # as after a first batch: nothing moves
    return made


@pytest.fixture
def x(generator: Generator) -> torch.Tensor:
    return torch.randn(40, 6, generator=generator)


def quantized(**changes: Any) -> VectorQuantizedAutoencoder:
    arguments = {
        "n_components": 8,
        "n_groups": 4,
        "n_entries": 16,
        "hidden": (64,),
        "max_epochs": 15,
        "random_state": 0,
    }
    return VectorQuantizedAutoencoder(**{**arguments, **changes})


def test_every_group_is_set_to_its_nearest_entry(x):
    """Compare with a loop over rows, groups and entries."""
    f = encoder()
    code = f(x)
    z, entries = code.preactivation.detach().numpy(), f.entries.detach().numpy()
    for i, row in enumerate(z):
        for g in range(2):
            part = row[2 * g : 2 * g + 2]
            nearest = min(range(5), key=lambda k, p=part, g=g: ((p - entries[g, k]) ** 2).sum())
            assert f.choices(code.preactivation)[i, g] == nearest
            np.testing.assert_array_equal(
                code.h[i, 2 * g : 2 * g + 2].detach(), entries[g, nearest]
            )


def test_the_gradient_is_straight_through(x, generator):
    """dL/dz is dL/dh: the choice itself has no slope."""
    f = encoder()
    code = f(x, generator=generator)
    code.preactivation.retain_grad()
    pull = torch.randn(code.h.shape, generator=generator)
    (code.h * pull).sum().backward()
    torch.testing.assert_close(code.preactivation.grad, pull)
    assert f.entries.grad is None


def test_commitment_matches_its_formula_and_moves_codes_and_entries(x, generator):
    parameters = {"n_components": 4, "n_groups": 2, "n_entries": 5, "commitment": 0.5}
    net = build_objective("vector_quantized", parameters, 6)
    net.encoder.idle.zero_()
    terms = net(x, generator=generator)
    z = net.encoder(x).preactivation
    distance = (z - net.encoder.project(z)).square().sum(dim=1).mean()
    torch.testing.assert_close(terms.penalty, 1.5 * distance)
    terms.total.backward()
    used = net.encoder.choices(z)[:, 0].unique()
    slopes = net.encoder.entries.grad[0].abs().sum(dim=1)
    assert bool((slopes[used] > 0).all())


def test_entries_start_at_codes_of_the_first_batch(x, generator):
    f = QuantizedEncoder([6, 4], n_groups=2, n_entries=5, activation="silu", generator=generator)
    z = f(x).preactivation.detach()
    f(x, generator=generator)
    for g in range(2):
        for entry in f.entries[g]:
            assert bool((z[:, 2 * g : 2 * g + 2] == entry).all(dim=1).any())


def test_an_unused_entry_is_reset(x, generator):
    f = encoder()
    with torch.no_grad():
        f.entries[1, 3] = 1e6
    f(x, generator=generator)
    assert f.idle[1, 3] == 40 and bool(f.entries[1, 3].max() == 1e6)
    f.idle[1, 3] = _IDLE_ROWS
    f(x, generator=generator)
    assert bool(f.entries[1, 3].abs().max() < 100)


def test_inference_does_not_change_the_encoder(x):
    f = encoder()
    before = {name: value.clone() for name, value in f.state_dict().items()}
    f(x)
    f.layers(x)
    assert all(torch.equal(before[name], value) for name, value in f.state_dict().items())


def test_several_choices_beat_kmeans_with_as_many_entries(digits):
    """Four choices of 16 store 64 vectors; k-means with 16 is one choice of 16."""
    ae = quantized(max_epochs=40, scale="unit").fit(digits)
    clusters = KMeans(16, n_init=1, random_state=0).fit(digits)
    of_clusters = clusters.inertia_ / len(digits) / digits.var(axis=0).sum()
    figures = ae.evaluate(digits)
    assert figures.squared_error / figures.variance < 0.7 * of_clusters
    used = [len(np.unique(part)) for part in ae.choices(digits).T]
    assert min(used) > 12


def test_choices_and_entries_determine_the_reconstruction(digits):
    ae = quantized().fit(digits)
    choices = ae.choices(digits)
    codes = ae.entries_[np.arange(4), choices].reshape(len(digits), -1)
    np.testing.assert_array_equal(codes, ae.transform(digits))
    np.testing.assert_allclose(
        ae.inverse_transform(codes), ae.reconstruct(digits), rtol=1e-5, atol=1e-5
    )


def test_sampling_repeats_after_loading(digits, path):
    ae = quantized().fit(digits)
    assert ae.sample(20, random_state=0).shape == (20, 64)
    ae.save(path)
    again = load(path)
    np.testing.assert_array_equal(again.choices(digits), ae.choices(digits))
    np.testing.assert_array_equal(again.sample(5, random_state=1), ae.sample(5, random_state=1))


@pytest.mark.parametrize(
    "change", [{"n_groups": 2}, {"n_entries": 8}, {"commitment": 4.0}, {"random_state": 1}], ids=str
)
def test_every_parameter_changes_the_result(change, digits):
    rows, settings = digits[:300], {"max_epochs": 3, "linear_start": False}
    assert not np.allclose(
        quantized(**settings).fit(rows).reconstruct(rows),
        quantized(**settings, **change).fit(rows).reconstruct(rows),
    )


@pytest.mark.parametrize(
    "change, message",
    [
        ({"n_groups": 3}, r"n_groups: must divide n_components \(8\) evenly, got 3"),
        ({"n_groups": 0}, "n_groups: must be an integer >= 1"),
        ({"n_entries": 1}, "n_entries: must be an integer >= 2"),
        ({"n_entries": 100_000}, "n_entries: must be an integer >= 2 and <= 65536"),
        ({"commitment": -1}, "commitment: must be a number >= 0"),
    ],
    ids=str,
)
def test_invalid_arguments_are_refused(change, message, digits):
    with pytest.raises(UsageError, match=message):
        quantized(**change).fit(digits)


def test_commitment_needs_a_quantized_code(digits):
    with pytest.raises(UsageError, match="Commitment: needs a quantized code"):
        Autoencoder(3, hidden=(), penalties=["commitment"], max_epochs=1).fit(digits)
