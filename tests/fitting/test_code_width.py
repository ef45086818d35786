"""The width of a code is chosen by parallel analysis, where it is "auto"."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from narrows import (
    Autoencoder,
    DictionaryAutoencoder,
    DocumentAutoencoder,
    LinearAutoencoder,
    SparseAutoencoder,
    VariationalAutoencoder,
    load,
)
from narrows.errors import UsageError

SETTINGS = {"n_components": "auto", "max_epochs": 1, "random_state": 0}


def factors(rng, n, k, d, noise=0.5):
    """Return rows (n, d), each column one of k factors with noise."""
    return rng.normal(size=(n, k))[:, np.arange(d) % k] + noise * rng.normal(size=(n, d))


def width(x, kind=Autoencoder, **settings):
    return kind(**{**SETTINGS, **settings}).fit(x).n_components_


@pytest.mark.parametrize("k", [1, 3, 6])
def test_as_many_numbers_as_factors(k, rng):
    assert width(factors(rng, 300, k, 20)) == k


def test_columns_of_other_units_count_alike(rng):
    assert width(factors(rng, 300, 3, 20) * np.logspace(0, 6, 20)) == 3


def test_at_least_one_number_and_at_most_32(rng):
    assert width(rng.normal(size=(200, 10))) <= 2  # noise has no factors
    assert width(np.ones((30, 4)), validation_fraction=0.0) == 1
    many = factors(rng, 400, 40, 120, noise=0.1)
    assert width(many) == 32 and width(many, VariationalAutoencoder) == 16


def test_missing_values_count_as_means(rng):
    x = factors(rng, 400, 3, 20, noise=0.2)
    x[rng.random(x.shape) < 0.05] = np.nan
    assert width(x, corruption="missing:0.1") == 3


def test_images_and_sparse_rows_get_the_widest(rng):
    images = rng.integers(0, 256, size=(40, 12, 12)).astype(np.uint8)
    assert width(images) == 32
    assert width(images[:, :5, :4]) == 10  # half of the pixels
    assert width(sp.random_array((40, 90), density=0.1, rng=rng, format="csr")) == 32


def test_held_out_rows_have_no_say(rng):
    x, held_out = factors(rng, 200, 1, 12), factors(rng, 2000, 6, 12)
    assert Autoencoder(**SETTINGS).fit(x, validation_data=held_out).n_components_ == 1


def test_a_user_s_own_net_decides_itself(rng):
    encoder = torch.nn.Sequential(torch.nn.Linear(50, 32))
    assert width(rng.normal(size=(40, 50)), encoder=encoder) == 32


def test_the_width_is_in_the_model_file(rng, tmp_path):
    fitted = LinearAutoencoder(max_epochs=1, random_state=0).fit(factors(rng, 200, 2, 9))
    fitted.save(tmp_path / "model")
    found = load(tmp_path / "model")
    assert found.n_components_ == fitted.n_components_ == 2
    assert found.get_params()["n_components"] == "auto"


@pytest.mark.parametrize("kind", [SparseAutoencoder, DictionaryAutoencoder, DocumentAutoencoder])
def test_codes_that_are_wide_on_purpose_refuse_auto(kind, rng):
    with pytest.raises(UsageError, match="n_components: must be an integer"):
        kind("auto").fit(rng.random((20, 5)))
