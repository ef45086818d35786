"""The contractive autoencoder: training, warnings and its model file."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from contractive_steps import (
    jacobians,
    mean_squared_norm,
)

from narrows import Contractive, ContractiveAutoencoder, HigherOrderContractive, load
from narrows.errors import CopyingWarning, UsageError


def trained(digits, **arguments) -> ContractiveAutoencoder:
    settings = {
        "scale": "unit", "max_epochs": 10, "linear_start": False, "validation_fraction": 0.1,
        "random_state": 0, **arguments,
    }  # fmt: skip
    return ContractiveAutoencoder(20, **settings).fit(digits[:600])


def jacobian_norm(ae, digits) -> float:
    rows = torch.from_numpy(digits[600:640] / 16).float()
    return mean_squared_norm(jacobians(ae.model_.objective.encoder, rows))


@pytest.mark.parametrize(
    "arguments",
    [
        {"weight": 0.5},
        {"weight": 0, "gamma": 20.0, "sigma": 0.3},
        {"weight": 0.5, "hidden": (40,), "method": "exact"},
        {"weight": 0.5, "hidden": (40,), "method": "stochastic"},
        {"weight": 0.5, "precision": "bfloat16"},
    ],
    ids=str,
)
def test_a_contractive_code_moves_less_than_a_plain_one(digits, arguments):
    plain = trained(digits, weight=0, hidden=arguments.get("hidden", ()))
    assert jacobian_norm(trained(digits, **arguments), digits) < 0.9 * jacobian_norm(plain, digits)


def test_the_variant_is_sigmoid_tied_and_penalized(digits):
    net = trained(digits, weight=0.25).model_.objective
    assert net.penalties == [Contractive(0.25)]
    h = net.encode(torch.rand(3, 64)).h
    assert bool(((h > 0) & (h < 1)).all())
    bias = net.decoder.biases[0]
    torch.testing.assert_close(net.decoder(h), h @ net.encoder.weights[0].t() + bias)


def test_gamma_turns_the_higher_order_penalty_on(digits):
    net = trained(digits, weight=0.25, gamma=0.5, sigma=0.2, method="closed").model_.objective
    assert net.penalties == [HigherOrderContractive(0.25, 0.5, 0.2, method="closed")]


@pytest.mark.parametrize("arguments", [{}, {"gamma": 0.2, "hidden": (8,)}], ids=str)
def test_a_model_file_holds_the_estimator(digits, tmp_path, arguments):
    ae = trained(digits, max_epochs=2, weight=np.float32(0.5), **arguments)
    ae.save(tmp_path / "m.safetensors")
    other = load(tmp_path / "m.safetensors")
    assert type(other) is ContractiveAutoencoder and other.get_params() == ae.get_params()
    assert other.model_.objective.penalties == ae.model_.objective.penalties
    np.testing.assert_array_equal(other.transform(digits), ae.transform(digits))


def test_sparse_counts_are_fitted(rng):
    counts = sp.csr_array(rng.poisson(0.5, size=(50, 30)))
    ae = ContractiveAutoencoder(5, max_epochs=2, random_state=0).fit(counts)
    assert ae.model_.parameters["loss"] == {"name": "multinomial"}


def test_a_code_wider_than_the_data_warns_only_without_a_penalty(X):
    settings = {"n_components": 20, "max_epochs": 1, "random_state": 0}
    ContractiveAutoencoder(**settings).fit(X)  # a warning is an error here
    with pytest.warns(CopyingWarning, match="n_components=20 is not less than n_features=10"):
        ContractiveAutoencoder(**settings, weight=0).fit(X)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight": -1}, "weight: must be a number >= 0, got -1"),
        ({"gamma": "much"}, "gamma: must be a number >= 0, got 'much'"),
        ({"sigma": 0}, "sigma: must be a number > 0, got 0"),
        ({"method": "close"}, r"method: unknown name 'close'.*mean 'closed'\?"),
        ({"loss": "bernouli"}, r"loss: unknown name 'bernouli'.*mean 'bernoulli'\?"),
        ({"hidden": (8,), "method": "closed"}, "'closed' needs an encoder of one layer, got 2"),
    ],
)
def test_an_invalid_argument_is_refused_at_fit(X, arguments, message):
    with pytest.raises(UsageError, match=message):
        ContractiveAutoencoder(4, **arguments).fit(X)
