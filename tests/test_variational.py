"""The variational pieces and their bound, against closed forms and quadrature."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import Generator

from narrows import Autoencoder, VariationalAutoencoder
from narrows.applications.likelihood import log_likelihoods
from narrows.cli import _run
from narrows.data import DenseSource
from narrows.data.scaling import Scaling
from narrows.encoders import GaussianEncoder
from narrows.errors import InvalidData, UsageError
from narrows.losses.continuous_bernoulli import ContinuousBernoulli, log_integral
from narrows.model import Model
from narrows.penalties import KLToPrior
from narrows.schema import Schema
from narrows.slots import Code, Forward, GaussianPosterior
from narrows.variants.building import build_objective


def step_of(code: Code, objective) -> Forward:
    x = torch.zeros(len(code.h), 4)
    return Forward(x, x, code, x, objective.encoder, objective.decoder)


@pytest.fixture
def net():
    parameters = {"n_components": 3, "hidden": [6], "loss": "bernoulli"}
    return build_objective("variational", parameters, 4)


def test_the_kl_is_torchs_own(net, generator):
    mean = torch.randn(7, 3, generator=generator)
    log_variance = torch.randn(7, 3, generator=generator)
    posterior = GaussianPosterior(mean, log_variance)
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    theirs = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
    ours = KLToPrior(2.5)(step_of(Code(mean, posterior), net))
    torch.testing.assert_close(ours, 2.5 * theirs.sum(dim=1).mean())


def test_the_kl_needs_a_posterior(net):
    plain = build_objective("plain", {"n_components": 3}, 4)
    with pytest.raises(UsageError, match="KLToPrior: needs a posterior, which DenseEncoder"):
        KLToPrior()(step_of(Code(torch.zeros(2, 3)), plain))


def test_codes_are_drawn_with_the_posteriors_mean_and_variance(generator):
    encoder = GaussianEncoder([4, 2], activation="silu", generator=generator)
    with torch.no_grad():
        encoder.biases[0].copy_(torch.tensor([1.0, -2.0, math.log(9), math.log(0.25)]))
    code = encoder(torch.zeros(200_000, 4), generator=generator)
    assert code.posterior is not None
    torch.testing.assert_close(
        code.posterior.log_variance[0], 10 * torch.tanh(encoder.biases[0][2:] / 10)
    )
    torch.testing.assert_close(code.h.mean(dim=0), torch.tensor([1.0, -2.0]), rtol=0.03, atol=0)
    drawn = code.h.var(dim=0)
    torch.testing.assert_close(drawn, code.posterior.log_variance[0].exp(), rtol=0.02, atol=0)


def test_without_a_generator_the_code_is_the_mean(net, generator):
    x = torch.rand(5, 4, generator=generator)
    code = net.encode(x)
    assert code.posterior is not None
    assert torch.equal(code.h, code.posterior.mean)
    assert torch.equal(net.encoder.layers(x)[-1], code.h)
    assert not torch.equal(net.encoder(x, generator=generator).h, code.h)


def test_no_log_variance_overflows(generator):
    encoder = GaussianEncoder([4, 2], activation="silu", generator=generator)
    with torch.no_grad():
        posterior = encoder(1e8 * torch.randn(9, 4, generator=generator)).posterior
    assert posterior is not None
    assert float(posterior.log_variance.abs().max()) <= 10
    assert bool(torch.isfinite(posterior.log_variance.exp()).all())


def test_the_posterior_is_float32_where_the_net_is_bfloat16(net, generator):
    with torch.autocast("cpu", torch.bfloat16):
        code = net.encoder(torch.rand(5, 4), generator=generator)
    assert code.posterior is not None
    assert code.h.dtype == code.posterior.mean.dtype == torch.float32
    assert code.posterior.log_variance.dtype == torch.float32


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
        # wider than the prior, so that no importance weight is without bound
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
    """Return the estimate of 30,000 codes a row: 150 runs of 200, which one batch makes faster."""
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
    from scipy.stats import multinomial as theirs

    p = np.exp(logits - np.logaddexp.reduce(logits, axis=1)[:, None])
    return theirs.logpmf(x, n=int(x.sum()), p=p / p.sum(axis=1, keepdims=True))


def test_the_bound_of_bits_comes_to_log_p(bits):
    model = model_of("bernoulli", 4)
    exact = quadrature(model, bits, bernoulli)
    np.testing.assert_allclose(closely(model, bits), exact, atol=0.02)


def test_probabilities_of_all_rows_of_bits_add_up_to_one():
    rows = np.array(np.meshgrid(*[[0, 1]] * 4)).reshape(4, -1).T.astype(np.float32)
    total = np.exp(closely(model_of("bernoulli", 4), rows)).sum()
    assert total == pytest.approx(1, abs=0.01)


def test_the_bound_of_real_values_comes_to_the_density_of_variance_one_half(rng):
    x = rng.normal(size=(6, 3)).astype(np.float32)
    model = model_of("squared_error", 3)
    exact = quadrature(model, x, normal)
    np.testing.assert_allclose(closely(model, x), exact, atol=0.02)


def test_a_linear_decoders_density_is_the_normal_in_closed_form(rng):
    """p(x) = N(x; b, W^T W + I / 2) where the decoder is h W + b."""
    from scipy.stats import multivariate_normal

    x = rng.normal(size=(5, 3)).astype(np.float32)
    model = model_of("squared_error", 3, n_components=2)
    decoder = model.objective.decoder
    w, b = (p[0].detach().double().numpy() for p in (decoder.weights, decoder.biases))
    exact = multivariate_normal(b, w.T @ w + np.eye(3) / 2).logpdf(x)
    np.testing.assert_allclose(closely(model, x), exact, atol=0.04)


def test_the_bound_of_counts_comes_to_the_multinomials(rng):
    x = rng.integers(0, 4, size=(5, 3)).astype(np.float32)
    model = model_of("multinomial", 3)
    exact = quadrature(model, x, multinomial)
    np.testing.assert_allclose(closely(model, x), exact, atol=0.02)


def test_with_one_code_a_row_its_mean_is_the_objective(bits):
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

    from narrows.data.arrays import array_source

    model = model_of("bernoulli", 4)
    generator = Generator().manual_seed(0)
    source = array_source(sp.csr_array(bits))
    sparse = next(log_likelihoods(model, source, n_samples=3, generator=generator))
    np.testing.assert_allclose(sparse, estimate(model, bits, 3), rtol=1e-5)


# The estimator.


@pytest.fixture(scope="module")
def digit_bits() -> np.ndarray:
    from sklearn.datasets import load_digits

    return (load_digits().data > 8).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(digit_bits) -> VariationalAutoencoder:
    return VariationalAutoencoder(6, hidden=(64,), max_epochs=40, random_state=0).fit(digit_bits)


def test_auto_takes_bernoulli_where_values_are_in_0_1(fitted, rng):
    assert fitted.model_.parameters["loss"]["name"] == "bernoulli"
    assert fitted.loss_unit_ == "nats per sample"
    table = VariationalAutoencoder(2, hidden=(), max_epochs=1).fit(rng.normal(size=(40, 5)))
    assert table.model_.parameters["loss"]["name"] == "squared_error"


def test_training_is_judged_by_the_held_out_bound(fitted, digit_bits):
    """The reconstruction error of the mean code would be a fraction of it."""
    error = -fitted.score(digit_bits)
    best = min(fitted.validation_history_)
    assert best > error + 3
    assert best == pytest.approx(-fitted.log_likelihood(digit_bits, 1).mean(), rel=0.05)


def test_the_net_beats_independent_bits(fitted, digit_bits):
    p = digit_bits.mean(axis=0).clip(1e-3, 1 - 1e-3)
    independent = -(digit_bits * np.log(p) + (1 - digit_bits) * np.log(1 - p)).sum(axis=1).mean()
    assert -fitted.log_likelihood(digit_bits, 50, random_state=0).mean() < 0.85 * independent


def test_beta_is_the_price_of_the_code(digit_bits):
    nats = []
    for beta in (0.5, 8.0):
        ae = VariationalAutoencoder(6, hidden=(32,), beta=beta, max_epochs=6, random_state=0)
        code = ae.fit(digit_bits).model_.objective.encode(torch.from_numpy(digit_bits))
        nats.append(float(code.posterior.kl_per_component().detach().sum(dim=1).mean()))
    assert nats[1] < 0.5 * nats[0]


def test_log_likelihood_repeats_by_seed(fitted, digit_bits):
    first, again, other = (
        fitted.log_likelihood(digit_bits[:9], 2, random_state=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("n", [0, -1, 2.5, None, True, 10**7])
def test_numbers_of_codes_that_cannot_be_are_refused(fitted, digit_bits, n):
    with pytest.raises(UsageError, match="n_samples: must be an integer >= 1 and <= 1e\\+06"):
        fitted.log_likelihood(digit_bits[:2], n)


# Grey values: a density over [0, 1]^n at the same logits.

LOGITS = torch.tensor([0.0, 1e-30, -1e-8, 1e-4, -0.3, 2.0, -7.0, 40.0, -90.0])


def test_the_density_of_one_pixel_integrates_to_one():
    from scipy.integrate import quad

    for o in LOGITS.double().tolist():

        def density(v: float, o: float = o) -> float:
            x, output = (torch.tensor([[value]], dtype=torch.float64) for value in (v, o))
            return math.exp(-float(ContinuousBernoulli().per_sample(output, x)))

        # nearly all of it lies within 40 / |o| of one end
        ends = [min(1.0, 40 / max(abs(o), 1e-9)), max(0.0, 1 - 40 / max(abs(o), 1e-9))]
        # torch's softplus leaves out up to log1p(exp(-20)) = 2e-9
        assert quad(density, 0, 1, points=ends)[0] == pytest.approx(1, abs=1e-8)


def test_the_density_is_torchs_own():
    logits = LOGITS[LOGITS.abs() < 5]
    x = torch.linspace(0, 1, len(logits))
    theirs = torch.distributions.ContinuousBernoulli(logits=logits.double()).log_prob(x.double())
    ours = -ContinuousBernoulli().per_sample(logits[:, None], x[:, None])
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_the_normaliser_is_exact_near_a_logit_of_0():
    """log (tanh(o / 2) / o) = - log 2 - o^2 / 12 + O(o^4)."""
    logits = torch.tensor([0.0, 1e-45, -1e-20, 1e-6, -1e-3], dtype=torch.float32)
    series = -math.log(2) - logits.double().square() / 12
    torch.testing.assert_close(log_integral(logits), series, rtol=0, atol=1e-13)


def continuous_bernoulli(x: np.ndarray, logits: np.ndarray) -> np.ndarray:
    p = torch.distributions.ContinuousBernoulli(logits=torch.from_numpy(logits))
    return p.log_prob(torch.from_numpy(x).double()).sum(dim=1).numpy()


def test_the_bound_of_grey_values_comes_to_their_density(rng):
    x = rng.random((5, 3)).astype(np.float32)
    model = model_of("bernoulli", 3)
    exact = quadrature(model, x, continuous_bernoulli)
    np.testing.assert_allclose(closely(model, x), exact, atol=0.02)


def test_one_grey_value_makes_all_rows_densities(fitted, digit_bits):
    rows = digit_bits[:4].copy()
    bits = fitted.log_likelihood(rows, 2, random_state=0)
    rows[3, 20] = 0.5
    of_grey = fitted.log_likelihood(rows, 2, random_state=0)
    assert (of_grey[:3] > bits[:3] + 1).all()  # C(o) >= 2 in each of 64 pixels


def test_values_outside_0_1_have_no_density(fitted, digit_bits):
    with pytest.raises(InvalidData, match=r"Bernoulli: x must be in \[0, 1\], got \[0, 1.5\]"):
        fitted.log_likelihood(digit_bits[:3] * 1.5)


def test_proportions_have_no_likelihood(rng):
    X = rng.integers(0, 5, size=(40, 6)).astype(np.float32)
    ae = VariationalAutoencoder(2, hidden=(), loss="multinomial", max_epochs=1).fit(X)
    with pytest.raises(InvalidData, match="one of counts.*fit with scale='none'"):
        ae.log_likelihood(X)


def test_a_model_without_a_posterior_has_no_likelihood(x):
    ae = Autoencoder(2, hidden=(), max_epochs=1).fit(x)
    generator = Generator()
    with pytest.raises(UsageError, match="needs a variational model, got the variant 'plain'"):
        log_likelihoods(ae.model_, DenseSource(x.astype("f4")), n_samples=1, generator=generator)


def test_negative_beta_is_refused(x):
    with pytest.raises(UsageError, match="beta: must be a number >= 0, got -1"):
        VariationalAutoencoder(2, beta=-1).fit(x)


@pytest.fixture
def files(tmp_path, fitted, digit_bits):
    np.save(tmp_path / "x.npy", digit_bits[:60])
    fitted.save(tmp_path / "m")
    return tmp_path


def test_evaluate_prints_the_likelihood(files, fitted, digit_bits, capsys):
    command = ["evaluate", str(files / "m"), str(files / "x.npy")]
    assert _run([*command, "--samples", "20"]) == 0
    assert "negative log-likelihood: at most " in capsys.readouterr().out
    assert _run(command) == 0
    assert "--samples 500 adds" in capsys.readouterr().out
    assert _run([*command, "--samples", "20", "--seed", "3", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["likelihood"]
    generator = Generator().manual_seed(3)
    source = DenseSource(digit_bits[:60])
    ours = next(log_likelihoods(fitted.model_, source, n_samples=20, generator=generator))
    assert values["negative_log_likelihood"] == pytest.approx(-ours.mean())
    assert values["unit"] == "nats per sample" and values["samples"] == 20
    assert values["standard_error"] == pytest.approx(ours.std(ddof=1) / math.sqrt(60))


def test_evaluate_of_grey_digits_prints_a_density_and_its_unit(tmp_path, capsys):
    from sklearn.datasets import load_digits

    np.save(tmp_path / "x.npy", load_digits().data[:200] / 16)
    data, model = str(tmp_path / "x.npy"), str(tmp_path / "m")
    few = ["--hidden", "8", "--code", "2", "--epochs", "3", "--seed", "0", "-q"]
    assert _run(["fit", data, "--variant", "variational", *few, "-o", model]) == 0
    capsys.readouterr()
    assert _run(["evaluate", model, data, "--samples", "20", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["likelihood"]
    unit = "nats per sample, of a density over [0, 1]^64 of the scaled features"
    assert values["unit"].startswith(unit)
    assert values["negative_log_likelihood"] < 0  # a uniform density has 0
    assert _run(["evaluate", model, data, "--samples", "20"]) == 0
    assert unit in capsys.readouterr().out


def test_evaluate_of_another_model_has_no_likelihood(tmp_path, x, capsys):
    np.save(tmp_path / "x.npy", x)
    Autoencoder(2, hidden=(), max_epochs=1).fit(x).save(tmp_path / "m")
    command = ["evaluate", str(tmp_path / "m"), str(tmp_path / "x.npy")]
    assert _run([*command, "--samples", "5"]) == 2
    assert "needs a variational model" in capsys.readouterr().err
    assert _run(command) == 0
    assert "likelihood" not in capsys.readouterr().out


def test_a_fit_resumes_to_the_same_weights(tmp_path, digit_bits):
    from narrows.training.loop import TrainingStopped

    arguments = {"hidden": (16,), "max_epochs": 4, "random_state": 0}
    whole = VariationalAutoencoder(3, **arguments).fit(digit_bits)
    calls = iter(range(10**6))
    halted = VariationalAutoencoder(3, **arguments)
    with pytest.raises(TrainingStopped):
        halted.fit(digit_bits, checkpoint=tmp_path, stop_requested=lambda: next(calls) > 150)
    rest = VariationalAutoencoder(3, **arguments).fit(digit_bits, checkpoint=tmp_path, resume=True)
    np.testing.assert_array_equal(whole.transform(digit_bits), rest.transform(digit_bits))
    np.testing.assert_array_equal(whole.sample(3, random_state=0), rest.sample(3, random_state=0))
