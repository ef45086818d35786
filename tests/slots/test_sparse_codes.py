"""Sparse codes: L1, KL, top-k and the dictionary, each against its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from narrows import DictionaryAutoencoder, KLSparsity, SparseAutoencoder, load
from narrows.core.slots import Code, Forward
from narrows.encoders import TopKEncoder
from narrows.encoders.top_k import largest
from narrows.errors import UsageError
from narrows.variants.building import build_objective


def step_of(h):
    return Forward(h, h, Code(h), h, None, None)


def test_kl_sparsity_is_the_sum_of_the_bernoulli_divergences(generator):
    h = torch.rand(30, 4, generator=generator)
    means = h.double().mean(dim=0)
    expected = sum(
        float(torch.distributions.kl_divergence(
            torch.distributions.Bernoulli(probs=torch.tensor(0.1, dtype=torch.float64)),
            torch.distributions.Bernoulli(probs=q),
        ))
        for q in means
    )  # fmt: skip
    assert float(KLSparsity(2.0, 0.1)(step_of(h))) == pytest.approx(2 * expected, rel=1e-4)


def test_kl_sparsity_of_a_unit_that_never_turns_on_is_finite_with_a_gradient():
    preactivation = torch.full((5, 2), -200.0, requires_grad=True)
    loss = KLSparsity(1.0, 0.05)(step_of(preactivation.sigmoid()))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(preactivation.grad).all()


def test_kl_sparsity_needs_sigmoid_units():
    with pytest.raises(UsageError, match="KLSparsity needs code_activation='sigmoid', got 'lin"):
        build_objective("plain", {"n_components": 2, "penalties": ["kl_sparsity"]}, 4)


def test_top_k_keeps_the_k_largest_of_every_row(generator):
    preactivation = torch.randn(50, 9, generator=generator)
    h = largest(preactivation, 3)
    for row, kept in zip(preactivation.numpy(), h.numpy(), strict=True):
        expected = np.where(row >= np.sort(row)[-3], np.maximum(row, 0), 0)
        np.testing.assert_array_equal(kept, expected)


def test_idle_counts_training_rows_since_a_unit_was_active(generator):
    encoder = TopKEncoder([2, 3], k=1, activation="linear", generator=generator)
    with torch.no_grad():
        encoder.weights[0].copy_(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]))
    x = torch.tensor([[1.0, 0.0], [2.0, 0.0]])
    encoder(x)
    assert encoder.idle.tolist() == [0, 0, 0]  # inference does not count
    encoder(x, generator=generator)
    encoder(x, generator=generator)
    assert encoder.idle.tolist() == [0, 4, 4]
    encoder(x.flip(1), generator=generator)
    assert encoder.idle.tolist() == [2, 0, 6]


def test_the_dictionary_starts_tied_and_centers_its_input(generator):
    net = build_objective("dictionary", {"n_components": 12, "k": 2}, 5)
    torch.testing.assert_close(net.encoder.weights[0], net.decoder.weights[0].t())
    mean = torch.rand(5, generator=generator)
    net.start_at(mean)
    x = torch.rand(3, 5, generator=generator)
    preactivation = net.encode(x).preactivation
    torch.testing.assert_close(
        preactivation, (x - mean) @ net.encoder.weights[0], rtol=1e-4, atol=1e-5
    )


def test_atoms_keep_their_length_and_gradients_are_orthogonal_to_them(generator):
    net = build_objective("dictionary", {"n_components": 12, "k": 2}, 5)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
    for _ in range(5):
        optimizer.zero_grad()
        net(torch.rand(20, 5, generator=generator), generator=generator).total.backward()
        net.decoder.before_step()
        along = (net.decoder.weights[0].grad * net.decoder.weights[0]).sum(dim=1)
        torch.testing.assert_close(along, torch.zeros(12), atol=1e-6, rtol=0)
        optimizer.step()
        net.decoder.after_step()
        lengths = net.decoder.weights[0].norm(dim=1)
        torch.testing.assert_close(lengths, torch.ones(12))


def test_dead_units_alone_reconstruct_the_residual(generator):
    net = build_objective("dictionary", {"n_components": 6, "k": 2, "dead_after": 50}, 4)
    x = torch.rand(7, 4, generator=generator)
    assert net(x, generator=generator).penalty.item() == 0
    with torch.no_grad():
        net.encoder.biases[0][4:] = -9.0
    net.encoder.idle.copy_(torch.tensor([0, 0, 0, 0, 90, 90]))
    terms = net(x, generator=generator)
    code = net.encode(x)
    left = (x - net.decoder(code.h)).detach()
    missed = left - code.preactivation[:, 4:] @ net.decoder.weights[0][4:]
    share = missed.square().sum() / left.square().sum()
    variance = (x - x.mean(0)).square().sum(1).mean()
    torch.testing.assert_close(terms.penalty, share * variance / 32)
    terms.penalty.backward()
    gradient = net.decoder.weights[0].grad
    assert gradient[4:].abs().sum().item() > 0 and gradient[:4].abs().sum().item() == 0


@pytest.mark.parametrize(("revive", "revived"), [(1 / 32, True), (0.0, False)])
def test_dead_units_come_back_only_with_revival(revive, revived, generator):
    net = build_objective("dictionary", {"n_components": 32, "k": 3, "revive": revive}, 8)
    x = torch.rand(200, 3, generator=generator) @ torch.rand(3, 8, generator=generator)
    with torch.no_grad():
        net.encoder.biases[0][16:] = -5.0
    net.encoder.idle[16:] = 1_000_000
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        net(x, generator=generator).total.backward()
        net.decoder.before_step()
        optimizer.step()
        net.decoder.after_step()
    assert bool((net.encode(x).h[:, 16:] > 0).any()) == revived


@pytest.mark.parametrize("sparsity", ["l1", "kl"])
def test_more_weight_makes_a_sparser_code(digits, sparsity):
    means = []
    for weight in (1e-4, 10.0):
        ae = SparseAutoencoder(
            40, sparsity=sparsity, weight=weight, max_epochs=15, linear_start=False,
            validation_fraction=0.1, random_state=0,
        ).fit(digits)  # fmt: skip
        means.append(float(ae.transform(digits).mean()))
    assert means[1] < 0.7 * means[0]


def test_the_file_keeps_the_dictionary(digits, tmp_path):
    ae = DictionaryAutoencoder(128, k=4, max_epochs=2, random_state=0).fit(digits)
    ae.save(tmp_path / "m")
    other = load(tmp_path / "m")
    np.testing.assert_array_equal(other.transform(digits), ae.transform(digits))
    np.testing.assert_array_equal(other.components_, ae.components_)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: SparseAutoencoder(sparsity="l3"), "sparsity: unknown name 'l3'; choose from kl"),
        (lambda: SparseAutoencoder(sparsity="top_k", k=0), "k: must be an integer >= 1, got 0"),
        (lambda: SparseAutoencoder(weight=-1), "L1: weight: must be a number >= 0, got -1"),
        (lambda: DictionaryAutoencoder(revive=-1), "revive: must be a number >= 0, got -1"),
    ],
)
def test_an_invalid_argument_is_refused_at_fit(build, message, digits):
    with pytest.raises(UsageError, match=message):
        build().fit(digits)
