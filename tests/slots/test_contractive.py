"""The contractive penalty against the paper's formula and independent Jacobians."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from contractive_steps import (
    DEEP,
    N_FEATURES,
    PENALTIES,
    jacobians,
    make,
    mean_squared_norm,
    number,
    step_of,
)

from narrows import Contractive


@pytest.fixture
def x(generator) -> torch.Tensor:
    return torch.rand(5, N_FEATURES, generator=generator)


@pytest.mark.parametrize("code_activation", ["sigmoid", "tanh", "silu", "linear"])
def test_the_closed_form_matches_the_exact_jacobian_of_one_layer(x, code_activation):
    step = step_of(make(code_activation=code_activation), x)
    torch.testing.assert_close(
        Contractive(1.0, "closed")(step), Contractive(1.0, "exact")(step), rtol=1e-5, atol=1e-6
    )


def test_the_closed_form_matches_the_papers(x):
    """Rifai et al. (2011): sum_j (h_j (1 - h_j))^2 sum_i W_ij^2, one number at a time."""
    net = make()
    weight, bias = net.encoder.weights[0].detach().numpy(), net.encoder.biases[0].detach().numpy()
    total = 0.0
    for row in x.numpy():
        for j in range(4):
            h = 1 / (1 + math.exp(-(row @ weight[:, j] + bias[j])))
            total += (h * (1 - h)) ** 2 * sum(float(w) ** 2 for w in weight[:, j])
    expected = 0.2 * total / len(x)
    found = Contractive(0.2)(step_of(net, x))
    assert number(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("activation", ["silu", "gelu", "tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("hidden", [(), (7,), (5,), (7, 5), (4, 3, 8)], ids=str)
def test_the_exact_jacobian_matches_autograds(x, hidden, activation):
    net = make(hidden, activation).double()
    expected = mean_squared_norm(jacobians(net.encoder, x.double()))
    found = Contractive(1.0, "exact")(step_of(net, x.double()))
    assert number(found) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("hidden", [(), (7, 5)], ids=str)
@pytest.mark.parametrize("samples", [1, 3])
def test_the_stochastic_estimate_is_unbiased(x, hidden, samples):
    net = make(hidden)
    expected = number(Contractive(1.0, "exact")(step_of(net, x)))
    penalty = Contractive(1.0, "stochastic", samples)
    step = step_of(net, x)
    draws = np.array([number(penalty(step)) for _ in range(600)])
    error = draws.std() / math.sqrt(len(draws))
    assert abs(draws.mean() - expected) < 4 * error
    assert 0 < error < 0.05 * expected


def test_more_samples_reduce_the_deviation(x):
    step = step_of(make(**DEEP), x)
    few, many = (
        np.std([number(Contractive(1.0, "stochastic", n)(step)) for _ in range(200)])
        for n in (1, 9)
    )
    assert many < few / 2


def test_for_a_code_of_one_number_the_estimate_is_exact_and_so_is_its_gradient(x):
    """(+-1) J has the norm of J: float32, through the products that training uses."""
    net = make((7, 5), "silu", n_components=1)
    gradients = []
    for method in ("stochastic", "exact"):
        net.zero_grad()
        Contractive(1.0, method)(step_of(net, x)).backward()
        gradients.append([p.grad.clone() for p in net.encoder.parameters() if p.grad is not None])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("penalty", PENALTIES, ids=repr)
def test_the_gradient_matches_finite_differences(x, penalty):
    net = make(() if penalty.method == "closed" else (5, 4), "silu").double()

    def value() -> torch.Tensor:
        return penalty(step_of(net, x.double()))

    value().backward()
    for parameter in (*net.encoder.weights, *net.encoder.biases):
        flat = parameter.detach().view(-1)
        for i in range(0, len(flat), 5):
            at = float(flat[i])
            flat[i] = at + 1e-5
            above = number(value())
            flat[i] = at - 1e-5
            below = number(value())
            flat[i] = at
            slope = (above - below) / 2e-5
            assert number(parameter.grad.view(-1)[i]) == pytest.approx(slope, rel=1e-5, abs=1e-8)
