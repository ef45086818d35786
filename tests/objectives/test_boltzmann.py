"""Restricted Boltzmann machines against sums over all states and the CD update."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from torch import Generator, Tensor

from narrows.data.array_sources import sparse_rows
from narrows.errors import UsageError
from narrows.objectives.boltzmann import RestrictedBoltzmannMachine as RBM


def states(n: int) -> Tensor:
    """Return every vector of n bits, (2^n, n)."""
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=n)))


def machine(n_visible: int = 5, n_hidden: int = 3, scale: float = 1.0, **kinds: Any) -> RBM:
    """Return a machine with random nonzero parameters."""
    generator = Generator().manual_seed(3)
    rbm = RBM(n_visible, n_hidden, generator=generator, **kinds)
    with torch.no_grad():
        for parameter in rbm.parameters():
            parameter.normal_(std=scale, generator=generator)
    return rbm


def minus_energy(rbm: RBM, v: Tensor, h: Tensor) -> Tensor:
    """Return -E(v, h) for every pair of rows, (n_v, n_h), straight from the definition."""
    gaussian_v = (v - rbm.visible_bias).square().sum(dim=1) / -2
    gaussian_h = (h - rbm.hidden_bias).square().sum(dim=1) / -2
    of_v = v @ rbm.visible_bias if rbm.visible == "bernoulli" else gaussian_v
    of_h = h @ rbm.hidden_bias if rbm.hidden == "bernoulli" else gaussian_h
    return of_v[:, None] + of_h + v @ rbm.weight @ h.t()


@torch.no_grad()
def mean_log_likelihood(rbm: RBM, x: Tensor) -> float:
    """Return the mean of log p(x), by the sum over every state."""
    h = states(rbm.weight.shape[1])
    log_z = minus_energy(rbm, states(rbm.weight.shape[0]), h).flatten().logsumexp(0)
    return float((minus_energy(rbm, x, h).logsumexp(1) - log_z).mean())


@pytest.fixture
def patterns() -> Tensor:
    """Rows of 6 bits in which the halves agree: pairs that one hidden unit can hold."""
    half = torch.bernoulli(torch.full((200, 3), 0.5), generator=Generator().manual_seed(0))
    return torch.cat([half, half], dim=1)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_the_free_energy_is_the_sum_over_hidden_states(visible):
    rbm = machine(visible=visible)
    v = states(5)
    expected = -minus_energy(rbm, v, states(3)).logsumexp(1)
    torch.testing.assert_close(rbm.free_energy(v), expected)


def test_multinomial_units_draw_as_many_words_as_the_document_has():
    """p(v | h) over every document of three words, and its sum over h, from the energy alone."""
    rbm = machine(visible="multinomial")
    draws = torch.tensor(list(itertools.product(range(5), repeat=3)))
    v = torch.nn.functional.one_hot(draws, 5).sum(1).float()  # every order
    h = states(3)
    energy = v @ rbm.visible_bias[:, None] + h @ rbm.hidden_bias + v @ rbm.weight @ h.t()
    joint = energy.exp()
    torch.testing.assert_close(rbm.free_energy(v), -energy.logsumexp(1))
    expected = (joint / joint.sum(0)).t() @ v
    three = torch.zeros(8, 5)
    three[:, 0] = 3
    torch.testing.assert_close(rbm.visible_mean(h, three), expected)
    torch.testing.assert_close(rbm.visible_mean(h, sparse_rows(sp.csr_array(three))), expected)


def test_the_free_energy_of_a_gaussian_unit_is_the_integral_over_it():
    rbm = machine(n_hidden=1, hidden="gaussian")
    v, grid = states(5), torch.linspace(-40, 40, 20001)[:, None]
    integral = minus_energy(rbm, v, grid).logsumexp(1) + np.log(80 / 20000)
    shift = rbm.free_energy(v) + integral
    torch.testing.assert_close(shift, shift[:1].expand_as(shift), rtol=1e-4, atol=1e-4)


def test_conditional_means_match_the_joint_distribution():
    rbm = machine()
    v, h = states(5), states(3)
    joint = minus_energy(rbm, v, h).exp()
    torch.testing.assert_close(rbm.hidden_mean(v), (joint / joint.sum(1, keepdim=True)) @ h)
    torch.testing.assert_close(rbm.visible_mean(h), (joint / joint.sum(0)).t() @ v)


def test_the_gradient_is_contrastive_divergence(patterns, monkeypatch):
    """Hinton (2002): <v h> of the data less <v h> of the reconstructions."""
    rbm = machine(n_visible=6)
    walked = torch.bernoulli(torch.full((200, 6), 0.5), generator=Generator().manual_seed(9))
    monkeypatch.setattr(rbm, "_walk", lambda x, generator: walked)
    rbm(patterns, generator=Generator()).total.backward()
    up, down = rbm.hidden_mean(patterns), rbm.hidden_mean(walked)
    torch.testing.assert_close(-rbm.weight.grad, (patterns.t() @ up - walked.t() @ down) / 200)
    torch.testing.assert_close(-rbm.visible_bias.grad, patterns.mean(0) - walked.mean(0))
    torch.testing.assert_close(-rbm.hidden_bias.grad, up.mean(0) - down.mean(0))


@pytest.mark.parametrize(
    "walk, gap",
    [({"steps": 1}, 0.6), ({"steps": 5}, 0.3), ({"persistent": True, "n_chains": 200}, 0.15)],
    ids=str,
)
def test_training_raises_the_exact_likelihood_close_to_its_maximum(walk, gap, patterns):
    """The rows have 3 bits of entropy; CD is biased, less so with more steps, and PCD is not."""
    generator = Generator().manual_seed(1)
    rbm = RBM(6, 6, generator=generator, **walk)
    optimizer = torch.optim.SGD(rbm.parameters(), lr=0.1)
    before = mean_log_likelihood(rbm, patterns)
    for step in range(3000):
        optimizer.param_groups[0]["lr"] = 0.3 * (1 - step / 3000)
        optimizer.zero_grad()
        rbm(patterns, generator=generator).total.backward()
        optimizer.step()
    assert before == pytest.approx(-6 * np.log(2), abs=0.05)
    assert mean_log_likelihood(rbm, patterns) > -3 * np.log(2) - gap


def test_chains_of_more_steps_end_farther_from_the_rows(patterns):
    def distance(steps: int) -> float:
        rbm = machine(n_visible=6, steps=steps, scale=0.5)
        after = rbm._walk(patterns, Generator().manual_seed(0))
        return float((after - patterns).abs().mean())

    assert distance(20) > distance(1)


def test_persistent_chains_continue_across_batches(patterns):
    rbm = machine(n_visible=6, persistent=True, n_chains=7)
    first = rbm.chains.clone()
    rbm(patterns, generator=Generator().manual_seed(0))
    assert rbm.chains.shape == (7, 6)
    assert not torch.equal(first, rbm.chains)
    assert "chains" in rbm.state_dict()


def test_contrastive_divergence_stores_no_chains(patterns):
    rbm = machine(n_visible=6)
    rbm(patterns, generator=Generator())
    assert len(rbm.chains) == 0


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian"])
def test_sparse_rows_give_the_result_of_dense_rows(visible, patterns):
    rbm = machine(n_visible=6, visible=visible)
    sparse = sparse_rows(sp.csr_array(patterns.numpy()))
    torch.testing.assert_close(rbm.free_energy(sparse), rbm.free_energy(patterns))
    torch.testing.assert_close(rbm.error(sparse), rbm.error(patterns))
    totals = [rbm(x, generator=Generator().manual_seed(0)).total for x in (sparse, patterns)]
    torch.testing.assert_close(*totals)


def test_visible_biases_start_at_the_mean_of_the_rows(patterns):
    rbm = RBM(6, 3, generator=Generator().manual_seed(0))
    rbm.start_at(patterns.mean(dim=0))
    mean = rbm.visible_mean(torch.zeros(1, 3))[0]
    torch.testing.assert_close(mean, patterns.mean(dim=0))


def test_two_gaussian_sides_are_refused():
    with pytest.raises(UsageError, match="at most one side Gaussian"):
        RBM(3, 2, visible="gaussian", hidden="gaussian", generator=Generator())


@pytest.mark.parametrize("steps", [0, -1, 1.5])
def test_the_number_of_steps_is_checked(steps):
    with pytest.raises(UsageError, match="RBM: steps"):
        RBM(3, 2, steps=steps, generator=Generator())


@pytest.mark.parametrize("kind, deviation", [("gaussian", 1.0), ("bernoulli", 0.4)])
def test_units_are_drawn_with_the_noise_of_their_kind(kind, deviation):
    drawn = RBM._draw(torch.full((50_000,), 0.2), kind, Generator().manual_seed(0))
    assert float(drawn.mean()) == pytest.approx(0.2, abs=0.02)
    assert float(drawn.std()) == pytest.approx(deviation, abs=0.02)
