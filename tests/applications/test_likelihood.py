"""Likelihoods of the variational net, against quadrature and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Generator

from narrows import VariationalAutoencoder
from narrows.applications.coding.likelihood import log_likelihoods
from narrows.data import DenseSource
from narrows.data.scaling import Scaling
from narrows.errors import InvalidData
from narrows.losses.continuous_bernoulli import ContinuousBernoulli, log_integral
from narrows.model.model import Model
from narrows.model.schema import Schema
from narrows.variants.building import build_objective

# The bound, for a code of one number and bits: log p(x) by quadrature.


@pytest.fixture
def bits(rng) -> np.ndarray:
    return (rng.random((6, 4)) < 0.5).astype(np.float32)


def model_of(loss: str, n_features: int, **parameters) -> Model:
    parameters = {"n_components": 1, "hidden": [], "loss": loss, **parameters}
    objective = build_objective("variational", parameters, n_features)
    with torch.no_grad():
        for parameter in objective.decoder.parameters():
            parameter.mul_(2).add_(0.1)
        # wider than the prior, so that importance weights are bounded
        for parameter in objective.encoder.parameters():
            parameter.mul_(0.3)
        objective.encoder.biases[0].add_(0.3)
    return Model("variational", parameters, objective, Scaling("none"), Schema(n_features))


def estimate(model: Model, x: np.ndarray, n_samples: int, seed: int = 0) -> np.ndarray:
    generator = Generator().manual_seed(seed)
    source = DenseSource(x)
    blocks = log_likelihoods(model, source, n_samples=n_samples, generator=generator)
    return np.concatenate(list(blocks))


def closely(model: Model, x: np.ndarray) -> np.ndarray:
    """Return the estimate from 30,000 codes per row: 150 runs of 200, batched for speed."""
    runs = estimate(model, np.tile(x, (150, 1)), 200).reshape(150, -1)
    return np.logaddexp.reduce(runs, axis=0) - math.log(150)


def quadrature(model: Model, x: np.ndarray, log_p) -> np.ndarray:
    """Return log of the integral of p(x | h) N(h; 0, 1) over a fine grid of h."""
    h = np.linspace(-12, 12, 20_001)
    with torch.no_grad():
        output = model.objective.decoder(torch.from_numpy(h[:, None]).float()).double().numpy()
    prior = -0.5 * h**2 - 0.5 * math.log(2 * math.pi)
    values = np.stack([log_p(row, output) + prior for row in x.astype(float)])
    return np.log(np.exp(values).sum(axis=1) * (h[1] - h[0]))


def bernoulli(x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    p = 1 / (1 + np.exp(-logits))
    return (x * np.log(p) + (1 - x) * np.log(1 - p)).sum(axis=1)


def normal(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    return (-((x - mean) ** 2) / (2 * 0.5) - 0.5 * np.log(2 * np.pi * 0.5)).sum(axis=1)


def multinomial(x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    from scipy.stats import multinomial as scipy_multinomial

    p = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
    return scipy_multinomial.logpmf(x, n=int(x.sum()), p=p / p.sum(axis=1, keepdims=True))


def test_the_bound_of_bits_converges_to_log_p(bits):
    model = model_of("bernoulli", 4)
    exact = quadrature(model, bits, bernoulli)
    np.testing.assert_allclose(closely(model, bits), exact, atol=0.02)


def test_probabilities_of_all_rows_of_bits_add_up_to_one():
    rows = np.array(np.meshgrid(*[[0, 1]] * 4)).reshape(4, -1).T.astype(np.float32)
    total = np.exp(closely(model_of("bernoulli", 4), rows)).sum()
    assert total == pytest.approx(1, abs=0.01)


def test_the_bound_of_real_values_converges_to_the_density_of_variance_one_half(rng):
    x = rng.normal(size=(6, 3)).astype(np.float32)
    model = model_of("squared_error", 3)
    exact = quadrature(model, x, normal)
    np.testing.assert_allclose(closely(model, x), exact, atol=0.02)


def test_the_density_of_a_linear_decoder_is_a_normal_in_closed_form(rng):
    """p(x) = N(x; b, W^T W + I / 2) where the decoder is h W + b."""
    from scipy.stats import multivariate_normal

    x = rng.normal(size=(5, 3)).astype(np.float32)
    model = model_of("squared_error", 3, n_components=2)
    decoder = model.objective.decoder
    w, b = (p[0].detach().double().numpy() for p in (decoder.weights, decoder.biases))
    exact = multivariate_normal(b, w.T @ w + np.eye(3) / 2).logpdf(x)
    np.testing.assert_allclose(closely(model, x), exact, atol=0.04)


def test_the_bound_of_counts_converges_to_the_multinomial(rng):
    x = rng.integers(0, 4, size=(5, 3)).astype(np.float32)
    model = model_of("multinomial", 3)
    exact = quadrature(model, x, multinomial)
    np.testing.assert_allclose(closely(model, x), exact, atol=0.02)


def test_with_one_code_per_row_the_mean_bound_equals_the_objective(bits):
    model = model_of("bernoulli", 4)
    x = torch.from_numpy(np.tile(bits, (20_000, 1)))
    bound = estimate(model, x.numpy(), 1).mean()
    with torch.no_grad():
        terms = model.objective(x, generator=Generator().manual_seed(1))
    assert float(terms.penalty) > 0.05
    assert bound == pytest.approx(-float(terms.total), abs=0.02)


def test_the_bound_grows_with_the_number_of_codes(bits):
    model = model_of("bernoulli", 4)
    rows = np.tile(bits, (500, 1))
    means = [estimate(model, rows, k).mean() for k in (1, 5, 50)]
    assert means[0] + 0.02 < means[1] < means[2]


def test_the_bound_is_the_same_for_sparse_rows(bits):
    import scipy.sparse as sp

    from narrows.data.array_sources import array_source

    model = model_of("bernoulli", 4)
    generator = Generator().manual_seed(0)
    source = array_source(sp.csr_array(bits))
    sparse = next(log_likelihoods(model, source, n_samples=3, generator=generator))
    np.testing.assert_allclose(sparse, estimate(model, bits, 3), rtol=1e-5)


# Gray values: a density over [0, 1]^n at the same logits.

LOGITS = torch.tensor([0.0, 1e-30, -1e-8, 1e-4, -0.3, 2.0, -7.0, 40.0, -90.0])


def test_the_density_of_one_pixel_integrates_to_one():
    from scipy.integrate import quad

    for o in LOGITS.double().tolist():

        def density(v: float, o: float = o) -> float:
            x, output = (torch.tensor([[value]], dtype=torch.float64) for value in (v, o))
            return math.exp(-float(ContinuousBernoulli().per_sample(output, x)))

        # nearly all of it lies within 40 / |o| of one end
        ends = [min(1.0, 40 / max(abs(o), 1e-9)), max(0.0, 1 - 40 / max(abs(o), 1e-9))]
        # torch's softplus omits up to log1p(exp(-20)) = 2e-9
        assert quad(density, 0, 1, points=ends)[0] == pytest.approx(1, abs=1e-8)


def test_the_density_matches_torch():
    logits = LOGITS[LOGITS.abs() < 5]
    x = torch.linspace(0, 1, len(logits))
    from_torch = torch.distributions.ContinuousBernoulli(logits=logits.double()).log_prob(
        x.double()
    )
    found = -ContinuousBernoulli().per_sample(logits[:, None], x[:, None])
    torch.testing.assert_close(found, from_torch, rtol=1e-6, atol=1e-6)


def test_the_normalizer_is_exact_near_a_logit_of_0():
    """log (tanh(o / 2) / o) = - log 2 - o^2 / 12 + O(o^4)."""
    logits = torch.tensor([0.0, 1e-45, -1e-20, 1e-6, -1e-3], dtype=torch.float32)
    series = -math.log(2) - logits.double().square() / 12
    torch.testing.assert_close(log_integral(logits), series, rtol=0, atol=1e-13)


def continuous_bernoulli(x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    p = torch.distributions.ContinuousBernoulli(logits=torch.from_numpy(logits))
    return p.log_prob(torch.from_numpy(x).double()).sum(dim=1).numpy()


def test_the_bound_of_gray_values_converges_to_their_density(rng):
    x = rng.random((5, 3)).astype(np.float32)
    model = model_of("bernoulli", 3)
    exact = quadrature(model, x, continuous_bernoulli)
    np.testing.assert_allclose(closely(model, x), exact, atol=0.02)


def test_proportions_have_no_likelihood(rng):
    X = rng.integers(0, 5, size=(40, 6)).astype(np.float32)
    ae = VariationalAutoencoder(2, hidden=(), loss="multinomial", max_epochs=1).fit(X)
    with pytest.raises(InvalidData, match="a likelihood needs counts.*fit with scale='none'"):
        ae.log_likelihood(X)
