"""Missing values with a corruption that admits NaN, from fit to denoise."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from narrows import Autoencoder, DenoisingAutoencoder, Identity, Missing, load
from narrows.applications.anomalies.anomaly_score import fit_anomaly_score
from narrows.applications.coding.denoising import measure_denoising
from narrows.applications.coding.evaluation import evaluate
from narrows.cli import run as cli
from narrows.data import DenseSource
from narrows.data.statistics import describe
from narrows.errors import InvalidData

NET = {"n_components": 3, "hidden": (32,), "validation_fraction": 0.0, "random_state": 0}


@pytest.fixture(scope="module")
def tables():
    """A table near three dimensions, (600, 10), and the same with a fifth of it missing."""
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(600, 3)) @ rng.normal(size=(3, 10)) + 5
    holed = np.where(rng.random(whole.shape) < 0.2, np.nan, whole).astype(np.float32)
    return whole.astype(np.float32), holed


@pytest.fixture(scope="module")
def filler(tables):
    return DenoisingAutoencoder(
        **NET, corruption=Missing(0.2), activation="linear", max_epochs=150, learning_rate=5e-3
    ).fit(tables[1])


def test_statistics_cover_only_known_values(tables):
    statistics = describe(DenseSource(tables[1]), missing=True)
    np.testing.assert_allclose(statistics.mean, np.nanmean(tables[1], axis=0), rtol=1e-5)
    np.testing.assert_allclose(statistics.variance, np.nanvar(tables[1], axis=0), rtol=1e-4)


def test_denoise_fills_in_missing_values_and_keeps_known_values(tables, filler):
    whole, holed = tables
    filled = filler.denoise(holed)
    missing = np.isnan(holed)
    assert np.array_equal(filled[~missing], holed[~missing])
    error = np.square(filled - whole)[missing].mean()
    by_mean = np.square(np.nanmean(holed, axis=0) - whole)[missing].mean()
    assert error < 0.3 * by_mean


def test_scores_cover_only_known_values(tables):
    """The score is minus the squared error summed over the known values."""
    holed = tables[1][:50]
    ae = Autoencoder(**NET, corruption="missing", max_epochs=2).fit(holed)
    assert np.isfinite(ae.history_).all() and np.isfinite(ae.transform(holed)).all()
    known = ~np.isnan(holed)
    scaled = (holed - np.nanmean(holed, axis=0)) / np.nanstd(holed, axis=0)
    rebuilt = (ae.reconstruct(holed) - np.nanmean(holed, axis=0)) / np.nanstd(holed, axis=0)
    by_hand = -np.where(known, np.square(scaled - rebuilt), 0).sum(axis=1)
    np.testing.assert_allclose(ae.score_samples(holed), by_hand, rtol=1e-3)


def test_evaluation_covers_only_known_values(tables, filler):
    found = filler.evaluate(tables[1])
    scaled = (tables[1] - np.nanmean(tables[1], axis=0)) / np.nanstd(tables[1], axis=0)
    assert found.variance == pytest.approx(np.nansum(scaled**2) / 600, rel=1e-3)
    assert 0 < found.baseline_squared_error < found.variance


@pytest.fixture(scope="module", params=[0.0, 3.0])
def filler_of(request, tables):
    """A net whose fill is far from the mean of the scaled features, or at it."""
    return Autoencoder(**NET, corruption=Missing(0.2, fill=request.param), max_epochs=1).fit(
        tables[1]
    )


@pytest.fixture(scope="module")
def scaled(tables):
    holed = tables[1].astype(np.float64)
    return (holed - np.nanmean(holed, axis=0)) / np.nanstd(holed, axis=0)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_variance_does_not_depend_on_the_fill(tables, filler_of, scaled, weighted):
    weights = np.random.default_rng(1).random(len(scaled)) if weighted else np.ones(len(scaled))
    weights /= weights.mean()
    found = evaluate(filler_of.model_, with_weights(tables[1], weights if weighted else None))
    known = ~np.isnan(scaled)
    w = weights[:, None] * known
    mean = (w * np.nan_to_num(scaled)).sum(axis=0) / w.sum(axis=0)
    expected = np.nansum(weights[:, None] * (scaled - mean) ** 2) / len(scaled)
    assert found.variance == pytest.approx(expected, rel=1e-5)


def test_the_baseline_does_not_depend_on_the_fill(tables, filler_of, scaled):
    """Missing values are the mean in the input of PCA, and do not count in its error."""
    model, source = filler_of.model_, DenseSource(tables[1])
    components = model.baseline.components.numpy()
    mean = model.baseline.mean.numpy()
    rebuilt = np.nan_to_num(scaled - mean) @ components.T @ components + mean
    expected = np.nansum((scaled - rebuilt) ** 2) / len(scaled)
    generator = torch.Generator().manual_seed(0)
    for found in (
        evaluate(model, source).baseline_squared_error,
        evaluate(model, source, inputs=source).baseline_squared_error,
        measure_denoising(model, source, Identity(), generator=generator).baseline_denoised,
    ):
        assert found == pytest.approx(expected, rel=1e-4)


def test_an_anomaly_score_is_fitted_to_the_known_values(tables, filler_of, scaled):
    model = filler_of.model_
    score = fit_anomaly_score(model, DenseSource(tables[1]), seed=0)
    np.testing.assert_allclose(score.means.numpy(), np.nanmean(scaled, axis=0), atol=1e-5)
    rebuilt = (filler_of.reconstruct(tables[1]) - np.nanmean(tables[1], axis=0)) / np.nanstd(
        tables[1], axis=0
    )
    residual = np.nanmean((scaled - rebuilt) ** 2, axis=0)
    np.testing.assert_allclose(score.variances.numpy(), residual, rtol=1e-3)


def with_weights(table, weights):
    source = DenseSource(table)
    source.weights = None if weights is None else torch.from_numpy(weights).float()
    return source


def test_a_column_without_values_is_allowed(tables):
    holed = tables[1][:60].copy()
    holed[:, 4] = np.nan
    ae = Autoencoder(**NET, corruption="missing", max_epochs=2).fit(holed)
    assert np.isfinite(ae.reconstruct(holed)).all()


def test_nan_is_refused_without_a_corruption_that_admits_it(tables):
    with pytest.raises(InvalidData, match="contains NaN .*corruption='missing'"):
        Autoencoder(**NET).fit(tables[1])


def test_infinity_is_refused_with_any_corruption(tables):
    holed = tables[1].copy()
    holed[3, 2] = np.inf
    with pytest.raises(InvalidData, match="contains infinity .* row 3, column 2"):
        Autoencoder(**NET, corruption="missing").fit(holed)


def test_a_loaded_model_accepts_nan(tables, filler, tmp_path):
    filler.save(tmp_path / "m")
    np.testing.assert_array_equal(
        load(tmp_path / "m").denoise(tables[1]), filler.denoise(tables[1])
    )


@pytest.mark.parametrize("loss", ["bernoulli", "multinomial"])
def test_bounded_losses_accept_missing_values(tables, loss):
    positive = np.abs(tables[1])
    ae = Autoencoder(**NET, corruption="missing", loss=loss, max_epochs=2).fit(positive)
    assert np.isfinite(ae.score(positive))


def test_empty_cells_of_a_csv_are_filled_in(tables, tmp_path):
    holed = tables[1][:80]
    lines = [",".join("" if np.isnan(v) else repr(float(v)) for v in row) for row in holed]
    names = ",".join(f"f{i}" for i in range(10))
    (tmp_path / "x.csv").write_text("\n".join([names, *lines]))
    data, model, out = (str(tmp_path / name) for name in ("x.csv", "m", "filled.csv"))
    fit = ["fit", data, "-o", model, "-k", "3", "--hidden", "8", "--epochs", "3", "-q"]
    assert cli([*fit, "--variant", "denoising", "--corruption", "missing:0.2"]) == 0
    assert cli(["denoise", model, data, "-o", out]) == 0
    filled = np.loadtxt(out, delimiter=",", skiprows=1)
    assert np.isfinite(filled).all()
    np.testing.assert_allclose(filled[~np.isnan(holed)], holed[~np.isnan(holed)], rtol=1e-5)
