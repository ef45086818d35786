"""Probabilistic PCA and the Gaussian, of rows with missing values: likelihood, EM, conditionals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA, FactorAnalysis

from narrows.errors import UsageError
from narrows.model.incomplete_gaussian import IncompleteGaussian, fit_incomplete_gaussian
from narrows.model.probabilistic_pca import fit_probabilistic_pca


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    """Rows (300, 6) of two factors and noise, far from 0."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((300, 2)) @ rng.standard_normal((2, 6))
    return torch.from_numpy(x + 0.3 * rng.standard_normal((300, 6)) + 5)


@pytest.fixture(scope="module")
def holed(rows) -> torch.Tensor:
    """The rows with a third of their cells missing; row 0 is whole, row 1 wholly missing."""
    hidden = torch.rand(rows.shape, generator=torch.Generator().manual_seed(1)) < 1 / 3
    hidden[0], hidden[1] = False, True
    return rows.masked_fill(hidden, torch.nan)


@pytest.fixture(scope="module")
def models(holed):
    return {
        "pca": fit_probabilistic_pca(holed, 2, prior=0, tolerance=1e-7),
        "gaussian": fit_incomplete_gaussian(holed, shrinkage=0.0, tolerance=1e-7),
    }


def covariance_of(model) -> np.ndarray:
    found = model.covariance
    return (found if isinstance(found, torch.Tensor) else found()).numpy()


@pytest.mark.parametrize("name", ["pca", "gaussian"])
def test_the_likelihood_is_the_marginal_normal_of_the_known_cells(models, holed, name):
    model = models[name]
    mean, covariance = model.mean.numpy(), covariance_of(model)
    found = model.log_likelihood(holed)
    for i in range(20):
        known = ~holed[i].isnan().numpy()
        wanted = 0.0
        if known.any():
            part = multivariate_normal(mean[known], covariance[np.ix_(known, known)])
            wanted = part.logpdf(holed[i].numpy()[known])
        assert float(found[i]) == pytest.approx(wanted, abs=1e-8)


@pytest.mark.parametrize("name", ["pca", "gaussian"])
def test_the_fill_and_its_variance_are_the_exact_conditionals(models, holed, name):
    model = models[name]
    mean, covariance = model.mean.numpy(), covariance_of(model)
    fill, variances = model.fill(holed).numpy(), model.variances(holed).numpy()
    for i in range(20):
        x = holed[i].numpy()
        m, k = np.isnan(x), ~np.isnan(x)
        weights = np.linalg.solve(covariance[np.ix_(k, k)], covariance[np.ix_(k, m)])
        np.testing.assert_allclose(fill[i, m], mean[m] + (x[k] - mean[k]) @ weights, atol=1e-9)
        left = covariance[np.ix_(m, m)] - covariance[np.ix_(m, k)] @ weights
        np.testing.assert_allclose(variances[i, m], np.diag(left), atol=1e-9)
        assert np.array_equal(fill[i, k], x[k])
        assert (variances[i, k] == 0).all()


@pytest.mark.parametrize("name", ["pca", "gaussian"])
def test_every_step_of_em_raises_the_likelihood(models, name):
    steps = np.diff(models[name].log_likelihoods)
    assert len(steps) > 5
    assert (steps > -1e-9).all()


@pytest.mark.parametrize("name", ["pca", "gaussian"])
def test_em_ends_at_a_maximum(models, holed, name):
    """No change of the mean or of a variance in either direction is likelier."""
    model = models[name]
    best = float(model.log_likelihood(holed).sum())
    covariance = torch.from_numpy(covariance_of(model))
    for j in range(6):
        for size in (-0.1, 0.1):
            mean = model.mean.clone()
            mean[j] += size
            assert float(IncompleteGaussian(mean, covariance).log_likelihood(holed).sum()) < best
            if name == "gaussian":
                scaled = covariance.clone()
                scaled[j] *= 1 + size
                scaled[:, j] *= 1 + size
                other = IncompleteGaussian(model.mean, scaled)
                assert float(other.log_likelihood(holed).sum()) < best


def test_complete_rows_give_the_pca_of_scikit_learn(rows):
    model = fit_probabilistic_pca(rows, 2, prior=0, tolerance=1e-12, max_steps=500)
    pca = PCA(2).fit(rows.numpy())
    n = len(rows)
    np.testing.assert_allclose(model.mean, pca.mean_, atol=1e-8)
    assert model.noise == pytest.approx(pca.noise_variance_ * (n - 1) / n, rel=1e-6)
    lengths = model.loadings.square().sum(dim=0)
    wanted = pca.explained_variance_ * (n - 1) / n - model.noise
    np.testing.assert_allclose(lengths, wanted, rtol=1e-6)
    cosines = np.abs(np.diag(model.loadings.numpy().T @ pca.components_.T)) / lengths.sqrt().numpy()
    np.testing.assert_allclose(cosines, 1, atol=1e-8)


def test_complete_rows_are_as_likely_as_by_factor_analysis_of_equal_noise(rows):
    model = fit_probabilistic_pca(rows, 2, prior=0, tolerance=1e-10)
    ours = float(model.log_likelihood(rows).mean())
    theirs = FactorAnalysis(2).fit(rows.numpy()).score(rows.numpy())
    # its noise has a variance per column, so it can only be likelier, and here hardly is
    assert theirs - 0.05 < ours <= theirs + 1e-6


def test_complete_rows_give_the_sample_covariance(rows):
    model = fit_incomplete_gaussian(rows, shrinkage=0.0)
    wanted = np.cov(rows.numpy().T, bias=True)
    np.testing.assert_allclose(model.covariance, wanted, atol=1e-6)


def test_shrinkage_goes_towards_independent_columns(holed):
    off = []
    for shrinkage in (0.0, 0.2, 1.0):
        covariance = fit_incomplete_gaussian(holed, shrinkage=shrinkage).covariance
        off.append(float((covariance - torch.diag(covariance.diagonal())).abs().sum()))
    assert off[0] > off[1] > off[2] == 0
    fill = fit_incomplete_gaussian(holed, shrinkage=1.0).fill(holed)
    mean = holed.nanmean(dim=0)
    torch.testing.assert_close(fill, torch.where(holed.isnan(), mean, holed))


def test_the_code_of_a_row_with_nothing_known_is_the_mean_code(models, holed):
    codes = models["pca"].posterior(holed)
    assert codes.shape == (300, 2)
    assert bool((codes[1] == 0).all())
    assert bool(codes[0].abs().sum() > 0)


@pytest.mark.parametrize("seed", range(3))
def test_few_rows_and_many_holes_are_safe(seed):
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.standard_normal((4, 12)))
    x[torch.from_numpy(rng.random((4, 12)) < 0.6)] = torch.nan
    x[:, 3] = torch.nan
    x[:, 5] = 2.0
    for model in (fit_probabilistic_pca(x, 8), fit_incomplete_gaussian(x)):
        fill = model.fill(x)
        assert bool(fill.isfinite().all())
        assert float(fill.abs().max()) < 10


def test_invalid_settings_are_refused(holed):
    with pytest.raises(UsageError, match="width"):
        fit_probabilistic_pca(holed, 0)
    with pytest.raises(UsageError, match="prior"):
        fit_probabilistic_pca(holed, 2, prior=-1)
    with pytest.raises(UsageError, match="shrinkage"):
        fit_incomplete_gaussian(holed, shrinkage=1.5)
