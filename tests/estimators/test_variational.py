"""The variational pieces against closed forms, and their estimator."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from torch import Generator

from narrows import Autoencoder, VariationalAutoencoder
from narrows.applications.coding.likelihood import log_likelihoods
from narrows.cli import run as cli
from narrows.core.slots import Code, Forward, GaussianPosterior
from narrows.data import DenseSource
from narrows.encoders import GaussianEncoder
from narrows.errors import InvalidData, UsageError
from narrows.penalties import KLToPrior
from narrows.variants.building import build_objective


def step_of(code: Code, objective) -> Forward:
    x = torch.zeros(len(code.h), 4)
    return Forward(x, x, code, x, objective.encoder, objective.decoder)


@pytest.fixture
def net():
    parameters = {"n_components": 3, "hidden": [6], "loss": "bernoulli"}
    return build_objective("variational", parameters, 4)


def test_the_kl_matches_torchs(net, generator):
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


def test_the_posterior_is_float32_in_a_bfloat16_net(net, generator):
    with torch.autocast("cpu", torch.bfloat16):
        code = net.encoder(torch.rand(5, 4), generator=generator)
    assert code.posterior is not None
    assert code.h.dtype == code.posterior.mean.dtype == torch.float32
    assert code.posterior.log_variance.dtype == torch.float32


@pytest.fixture(scope="module")
def digit_bits() -> np.ndarray:
    from sklearn.datasets import load_digits

    return (load_digits().data > 8).astype(np.float32)


@pytest.fixture(scope="module")
def fitted(digit_bits) -> VariationalAutoencoder:
    return VariationalAutoencoder(6, hidden=(64,), max_epochs=40, random_state=0).fit(digit_bits)


def test_auto_selects_bernoulli_for_values_in_0_1(fitted, rng):
    assert fitted.model_.parameters["loss"]["name"] == "bernoulli"
    assert fitted.loss_unit_ == "nats per sample"
    table = VariationalAutoencoder(2, hidden=(), max_epochs=1).fit(rng.normal(size=(40, 5)))
    assert table.model_.parameters["loss"]["name"] == "squared_error"


def test_early_stopping_uses_the_held_out_bound(fitted, digit_bits):
    """The reconstruction error of the mean code would be much smaller."""
    error = -fitted.score(digit_bits)
    best = min(fitted.validation_history_)
    assert best > error + 3
    assert best == pytest.approx(-fitted.log_likelihood(digit_bits, 1).mean(), rel=0.05)


def test_the_net_beats_independent_bits(fitted, digit_bits):
    p = digit_bits.mean(axis=0).clip(1e-3, 1 - 1e-3)
    independent = -(digit_bits * np.log(p) + (1 - digit_bits) * np.log(1 - p)).sum(axis=1).mean()
    assert -fitted.log_likelihood(digit_bits, 50, random_state=0).mean() < 0.85 * independent


def test_a_larger_beta_gives_a_smaller_kl(digit_bits):
    nats = []
    for beta in (0.5, 8.0):
        ae = VariationalAutoencoder(6, hidden=(32,), beta=beta, max_epochs=6, random_state=0)
        code = ae.fit(digit_bits).model_.objective.encode(torch.from_numpy(digit_bits))
        nats.append(float(code.posterior.kl_per_component().detach().sum(dim=1).mean()))
    assert nats[1] < 0.5 * nats[0]


def test_log_likelihood_repeats_with_its_seed(fitted, digit_bits):
    first, again, other = (
        fitted.log_likelihood(digit_bits[:9], 2, random_state=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("n", [0, -1, 2.5, None, True, 10**7])
def test_invalid_numbers_of_codes_are_refused(fitted, digit_bits, n):
    with pytest.raises(UsageError, match="n_samples: must be an integer >= 1 and <= 1e\\+06"):
        fitted.log_likelihood(digit_bits[:2], n)


def test_a_single_gray_value_makes_every_likelihood_a_density(fitted, digit_bits):
    rows = digit_bits[:4].copy()
    bits = fitted.log_likelihood(rows, 2, random_state=0)
    rows[3, 20] = 0.5
    of_gray = fitted.log_likelihood(rows, 2, random_state=0)
    assert (of_gray[:3] > bits[:3] + 1).all()  # C(o) >= 2 in each of 64 pixels


def test_values_outside_0_1_have_no_density(fitted, digit_bits):
    with pytest.raises(InvalidData, match=r"Bernoulli: x must be in \[0, 1\], got \[0, 1.5\]"):
        fitted.log_likelihood(digit_bits[:3] * 1.5)


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
    assert cli([*command, "--samples", "20"]) == 0
    assert "negative log-likelihood: at most " in capsys.readouterr().out
    assert cli(command) == 0
    assert "Add --samples 500" in capsys.readouterr().out
    assert cli([*command, "--samples", "20", "--seed", "3", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["likelihood"]
    generator = Generator().manual_seed(3)
    source = DenseSource(digit_bits[:60])
    ours = next(log_likelihoods(fitted.model_, source, n_samples=20, generator=generator))
    assert values["negative_log_likelihood"] == pytest.approx(-ours.mean())
    assert values["unit"] == "nats per sample" and values["samples"] == 20
    assert values["standard_error"] == pytest.approx(ours.std(ddof=1) / math.sqrt(60))


def test_evaluate_of_gray_digits_prints_a_density_and_its_unit(tmp_path, capsys):
    from sklearn.datasets import load_digits

    np.save(tmp_path / "x.npy", load_digits().data[:200] / 16)
    data, model = str(tmp_path / "x.npy"), str(tmp_path / "m")
    few = ["--hidden", "8", "--code", "2", "--epochs", "3", "--seed", "0", "-q"]
    few += ["--loss", "bernoulli"]
    assert cli(["fit", data, "--variant", "variational", *few, "-o", model]) == 0
    capsys.readouterr()
    assert cli(["evaluate", model, data, "--samples", "20", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["likelihood"]
    unit = "nats per sample, of a density over [0, 1]^64 of the scaled features"
    assert values["unit"].startswith(unit)
    assert values["negative_log_likelihood"] < 0  # a uniform density has 0
    assert cli(["evaluate", model, data, "--samples", "20"]) == 0
    assert unit in capsys.readouterr().out


def test_evaluate_prints_no_likelihood_for_other_models(tmp_path, x, capsys):
    np.save(tmp_path / "x.npy", x)
    Autoencoder(2, hidden=(), max_epochs=1).fit(x).save(tmp_path / "m")
    command = ["evaluate", str(tmp_path / "m"), str(tmp_path / "x.npy")]
    assert cli([*command, "--samples", "5"]) == 2
    assert "needs a variational model" in capsys.readouterr().err
    assert cli(command) == 0
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
