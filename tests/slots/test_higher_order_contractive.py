"""The higher-order contractive penalty against the paper's loop and Jacobians by autograd."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from contractive_steps import (
    DEEP,
    N_FEATURES,
    jacobians,
    make,
    mean_squared_norm,
    noises,
    number,
    step_of,
)

from narrows import HigherOrderContractive
from narrows.data.array_sources import sparse_rows
from narrows.errors import UsageError


@pytest.fixture
def x(generator) -> torch.Tensor:
    return torch.rand(5, N_FEATURES, generator=generator)


def test_the_higher_order_penalty_matches_the_papers_loop(x):
    """Rifai et al. (2011): lambda ||J(x)||^2 + gamma E ||J(x) - J(x + e)||^2, entry by entry."""
    net = make()
    step = step_of(net, x)
    weight, bias = (
        p[0].detach().double().numpy() for p in (net.encoder.weights, net.encoder.biases)
    )

    def entry(row, i, j) -> float:
        h = 1 / (1 + math.exp(-(row @ weight[:, j] + bias[j])))
        return h * (1 - h) * weight[i, j]

    slope = bend = 0.0
    for e in noises(step, 0.5, 3):
        for row, moved in zip(x.double().numpy(), (x + e).double().numpy(), strict=True):
            for i in range(N_FEATURES):
                for j in range(4):
                    slope += entry(row, i, j) ** 2 / 3
                    bend += (entry(row, i, j) - entry(moved, i, j)) ** 2 / 3
    expected = (0.2 * slope + 5 * bend) / len(x)
    assert bend > 0.01 * slope
    found = HigherOrderContractive(0.2, 5, 0.5, samples=3)(step)
    assert number(found) == pytest.approx(expected, rel=1e-5)


def test_the_higher_order_penalty_of_a_deep_net_matches_autograds(x):
    net = make(**DEEP).double()
    step = step_of(net, x.double())
    here = jacobians(net.encoder, step.x)
    bend = [
        mean_squared_norm(here - jacobians(net.encoder, step.x + e)) for e in noises(step, 0.5, 2)
    ]
    expected = 0.2 * mean_squared_norm(here) + 5 * sum(bend) / 2
    found = HigherOrderContractive(0.2, 5, 0.5, method="exact")(step)
    assert number(found) == pytest.approx(expected, rel=1e-10)


def test_the_stochastic_higher_order_penalty_is_unbiased(x):
    step = step_of(make(**DEEP), x)
    means, errors = [], []
    for method in ("exact", "stochastic"):
        penalty = HigherOrderContractive(0, 1, 0.5, method=method)
        draws = np.array([number(penalty(step)) for _ in range(600)])
        means.append(draws.mean())
        errors.append(draws.std() / math.sqrt(len(draws)))
    assert abs(means[0] - means[1]) < 4 * math.hypot(*errors)
    assert max(errors) < 0.1 * means[0]


def test_the_higher_order_penalty_refuses_sparse_rows(x):
    with pytest.raises(UsageError, match="HigherOrderContractive: needs dense rows, got sparse"):
        HigherOrderContractive()(step_of(make(), sparse_rows(sp.csr_array(x.numpy()))))
