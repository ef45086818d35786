"""Missing values with a corruption that admits NaN, from fit to denoise."""

from __future__ import annotations

import numpy as np
import pytest

from narrows import Autoencoder, DenoisingAutoencoder, Missing, load
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
