"""p-values and contributions: uniform p-values on normal rows, small ones on anomalies."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from artefact_files import small
from scipy.stats import kstest

from narrows import AnomalyDetector, Autoencoder, DenoisingAutoencoder, LinearAutoencoder, load
from narrows.applications.anomalies.contributions import excess
from narrows.applications.anomalies.p_values import (
    conformal_p_values,
    conformal_threshold,
    tail_p_values,
    tail_threshold,
)
from narrows.artefact import read_artefact, write_artefact
from narrows.errors import (
    CopiesWarning,
    InvalidData,
    ModelFileError,
    OutdatedWarning,
    RangeWarning,
    UsageError,
)

LOSSES = ("squared_error", "bernoulli", "multinomial")


def normal_rows(n: int, *, seed: int) -> np.ndarray:
    """Rows near a plane in six dimensions, (n, 6)."""
    axes = np.random.default_rng(0).normal(size=(2, 6))
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ axes + 0.1 * rng.normal(size=(n, 6))


@pytest.fixture(scope="module")
def detector() -> Autoencoder:
    ae = Autoencoder(2, hidden=(16,), max_epochs=20, validation_fraction=0.4, random_state=0)
    return ae.fit(normal_rows(2500, seed=1))


@pytest.fixture(scope="module")
def fitted(X: np.ndarray) -> dict[str, Autoencoder]:
    """An autoencoder of each loss on proportions, (120, 10)."""
    shares = np.abs(X) / np.abs(X).sum(axis=1, keepdims=True)
    return {
        loss: Autoencoder(
            2, hidden=(8,), loss=loss, scale="none", max_epochs=3, random_state=0
        ).fit(shares)
        for loss in LOSSES
    }


@pytest.fixture(scope="module")
def proportions(X: np.ndarray) -> np.ndarray:
    shares = np.abs(X) / np.abs(X).sum(axis=1, keepdims=True)
    return shares.astype(np.float32)


def test_p_values_count_the_calibration_scores_at_least_as_large():
    rng = np.random.default_rng(0)
    held_out = np.sort(rng.integers(0, 20, size=50).astype(float))  # with ties
    scores = np.array([-1.0, 0.0, 7.0, 7.5, 19.0, 20.0, np.inf])
    slow = [(1 + sum(c >= s for c in held_out)) / 51 for s in scores]
    np.testing.assert_array_equal(conformal_p_values(scores, held_out), slow)


@pytest.mark.parametrize("alpha", [0.01, 1 / 51, 0.05, 0.3, 0.999])
def test_scores_above_the_threshold_have_p_values_of_at_most_alpha(alpha):
    rng = np.random.default_rng(0)
    held_out = np.sort(rng.integers(0, 20, size=50).astype(float))  # with ties
    scores = np.array([-1.0, *np.unique(held_out), 7.5, 20.0, np.inf])
    rare = conformal_p_values(scores, held_out) <= alpha
    np.testing.assert_array_equal(scores > conformal_threshold(held_out, alpha), rare)


@pytest.mark.parametrize("n", [5, 20, 200])
def test_a_tail_makes_small_p_values_exact_for_exponential_scores(n):
    rng = np.random.default_rng(0)
    p = np.concatenate([
        tail_p_values(rng.exponential(size=40), np.sort(rng.exponential(size=n)))
        for _ in range(5000)
    ])  # fmt: skip
    for a in (0.5 / (n + 1), 0.1 / (n + 1)):
        assert (p <= a).mean() == pytest.approx(a, rel=0.2)


def test_a_tail_changes_no_p_value_above_the_smallest_rank():
    held_out = np.arange(50.0)
    scores = np.array([-1, 3.5, 48.9, 49, 49.5, 60, 1e300, np.inf])
    found, ranks = tail_p_values(scores, held_out), conformal_p_values(scores, held_out)
    np.testing.assert_array_equal(found[:4], ranks[:4])
    assert (np.diff(found[3:6]) < 0).all() and (found > 0).all()
    np.testing.assert_array_equal(tail_p_values(scores, np.ones(9)),
                                  conformal_p_values(scores, np.ones(9)))  # fmt: skip


@pytest.mark.parametrize("alpha", [0.0001, 0.01, 1 / 51, 0.05, 0.3])
def test_scores_above_the_threshold_with_a_tail_have_p_values_of_at_most_alpha(alpha):
    rng = np.random.default_rng(0)
    held_out, scores = np.sort(rng.exponential(size=50)), 3 * rng.exponential(size=500)
    limit = tail_threshold(held_out, alpha)
    for tried in (scores, np.array([limit * (1 - 1e-9), limit * (1 + 1e-9), np.inf])):
        np.testing.assert_array_equal(tried > limit, tail_p_values(tried, held_out) <= alpha)


def test_p_values_are_uniform_on_fresh_normal_rows(detector):
    p = detector.p_values(normal_rows(3000, seed=2))
    # both samples are finite; the tolerance matches 1,000 calibration rows
    assert kstest(p, "uniform").statistic < 1.63 * np.sqrt(1 / 3000 + 1 / 1000)


@pytest.mark.parametrize("a", [0.01, 0.05, 0.2])
def test_at_most_a_share_a_of_normal_rows_has_p_values_up_to_a(detector, a):
    p = detector.p_values(normal_rows(3000, seed=3))
    assert (p <= a).mean() <= a + 3 * np.sqrt(a * (1 - a) * (1 / 3000 + 1 / 1000))


def test_rows_off_the_plane_have_the_smallest_possible_p_value(detector):
    anomalous = normal_rows(20, seed=4)
    anomalous[:, 3] += 10
    np.testing.assert_allclose(detector.p_values(anomalous), 1 / 1001)


def test_given_calibration_rows_replace_the_held_out_rows(detector):
    x, other = normal_rows(50, seed=5), normal_rows(80, seed=6)
    expected = conformal_p_values(
        -detector.score_samples(x), np.sort(-detector.score_samples(other))
    )
    np.testing.assert_array_equal(detector.p_values(x, other), expected)


def test_training_rows_are_not_used_for_calibration(model_rows):
    """A net that memorized its training rows still gives valid p-values for fresh rows."""
    ae = Autoencoder(
        4, hidden=(128, 128), max_epochs=200, patience=None, validation_fraction=0.5,
        learning_rate=1e-2, random_state=0,
    ).fit(normal_rows(100, seed=7))  # fmt: skip
    p = ae.p_values(normal_rows(1000, seed=8))
    assert len(ae.model_.calibration) == 50
    assert (p <= 0.1).mean() < 0.25


def test_a_model_without_held_out_rows_names_the_way_out(model_rows):
    ae = small(validation_fraction=0).fit(model_rows)
    with pytest.raises(UsageError, match=r"validation_fraction=0.*pass X_calibration"):
        ae.p_values(model_rows)
    assert ae.p_values(model_rows, model_rows + 0.1).shape == (60,)


def test_a_linear_autoencoder_accepts_calibration_rows(model_rows):
    ae = LinearAutoencoder(2, max_epochs=2, random_state=0).fit(model_rows[:40])
    assert ae.p_values(model_rows[:40], model_rows[40:]).min() >= 1 / 21


@pytest.mark.parametrize("fraction", [0.0, 0.2])
@pytest.mark.parametrize("scale", ["standard", "none"])
def test_calibrating_with_training_rows_warns(fraction, scale):
    x, new = normal_rows(60, seed=1), normal_rows(60, seed=2)
    ae = small(validation_fraction=fraction, scale=scale).fit(x)
    shuffled = x[np.random.default_rng(0).permutation(60)]
    for ask in (ae.p_values, lambda X, c: ae.find_anomalies(X, X_calibration=c)):
        with pytest.warns(CopiesWarning, match="X_calibration: the model was fitted to these rows"):
            ask(new, shuffled)
        with pytest.warns(CopiesWarning, match="X_calibration: 60 of the 60 rows of X are among"):
            ask(new, new[::-1])
        with pytest.warns(CopiesWarning, match="30 of the 60 rows of X"):
            ask(new, np.concatenate([new[:30], normal_rows(60, seed=4)]))
        ask(new, normal_rows(60, seed=3))  # as many others


def test_training_rows_are_recognized_without_the_held_out_rows():
    x, held_out, new = (normal_rows(60, seed=seed) for seed in (1, 2, 3))
    ae = small().fit(x, validation_data=held_out)
    with pytest.warns(CopiesWarning, match="the model was fitted to these rows"):
        ae.p_values(new, x)
    ae.p_values(new, held_out)


def test_calibrating_a_detector_with_its_training_rows_warns():
    x, new = normal_rows(60, seed=1), normal_rows(60, seed=2)
    found = AnomalyDetector(small(validation_fraction=0), n_folds=2, random_state=0).fit(x)
    with pytest.warns(CopiesWarning, match="the model was fitted to these rows"):
        found.p_values(new, x)
    with pytest.warns(CopiesWarning, match="60 of the 60 rows of X are among"):
        found.find_anomalies(new, X_calibration=new)
    found.p_values(new, normal_rows(60, seed=3))


def test_partial_fit_forgets_the_calibration(model_rows):
    ae = small().fit(model_rows)
    with pytest.warns(OutdatedWarning):
        ae.partial_fit(model_rows)
    with pytest.raises(UsageError, match="partial_fit"):
        ae.p_values(model_rows)


def test_a_model_file_keeps_the_calibration(detector, path):
    detector.save(path)
    x = normal_rows(30, seed=9)
    np.testing.assert_array_equal(load(path).p_values(x), detector.p_values(x))


def test_an_old_file_loads_and_names_the_way_out(fitted_model, model_rows, path):
    artefact = fitted_model.model_.to_artefact(fitted_model._artefact_extra())
    del artefact.tensors["calibration.errors"]
    del artefact.spec["calibration"]
    write_artefact(path, artefact)
    with pytest.raises(UsageError, match="an older file.*X_calibration"):
        load(path).p_values(model_rows)


@pytest.mark.parametrize(
    ("errors", "rule"),
    [
        (torch.tensor([2.0, 1.0]), "not in ascending order"),
        (torch.ones(2, 2), r"of shape \(2, 2\)"),
        (torch.tensor(1.0), r"of shape \(\)"),
        (torch.ones(0), r"of shape \(0,\)"),
        (torch.ones(2, dtype=torch.int64), "calibration by torch.int64"),
    ],
)
def test_a_tampered_calibration_is_refused(fitted_model, path, errors, rule):
    artefact = fitted_model.model_.to_artefact(fitted_model._artefact_extra())
    artefact.tensors["calibration.errors"] = errors
    artefact.spec["calibration"] = errors.numel()
    write_artefact(path, artefact)
    with pytest.raises(ModelFileError, match=rule):
        load(path)


def test_an_unknown_calibration_tensor_is_refused(fitted_model, path):
    artefact = fitted_model.model_.to_artefact(fitted_model._artefact_extra())
    artefact.tensors["calibration.more"] = torch.ones(2)
    write_artefact(path, artefact)
    with pytest.raises(ModelFileError, match="more"):
        load(path)


def test_a_sample_of_many_held_out_errors_is_kept(monkeypatch, fitted_model, model_rows, path):
    monkeypatch.setattr("narrows.model.measured.MAX_CALIBRATION", 5)
    kept = small(validation_fraction=0.5).fit(model_rows).model_.calibration
    assert kept.shape == (5,) and bool((kept.diff() >= 0).all())


def test_calibration_rows_with_missing_values_are_refused(detector):
    with pytest.raises(InvalidData, match="contains NaN at row 0, column 1"):
        detector.p_values(normal_rows(3, seed=0), np.array([[0, np.nan, 0, 0, 0, 0]]))


@pytest.mark.parametrize("loss", LOSSES)
def test_contributions_add_up_to_one(fitted, proportions, loss):
    shares = fitted[loss].anomaly_contributions(proportions)
    assert shares.dtype == np.float32 and shares.min() >= 0
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_contributions_share_the_error_above_that_of_a_perfect_reconstruction(
    fitted, proportions, loss
):
    x = proportions.astype(np.float64)
    entropy = {
        "squared_error": 0 * x,
        "bernoulli": -x * np.log(x) - (1 - x) * np.log1p(-x),
        "multinomial": -x * np.log(x),
    }[loss].sum(axis=1)
    terms = excess(fitted[loss].model_, torch.from_numpy(proportions)).numpy()
    error = -fitted[loss].score_samples(proportions)
    np.testing.assert_allclose(terms.sum(axis=1), error - entropy, rtol=1e-3, atol=1e-5)


def test_the_planted_feature_has_the_largest_contribution(detector):
    anomalous = normal_rows(40, seed=4)
    planted = np.arange(40) % 6
    anomalous[np.arange(40), planted] += 8
    assert (
        detector.anomaly_contributions(anomalous).argmax(axis=1) == planted
    ).mean() > 0.7  # by chance 1 in 6


@pytest.mark.parametrize("loss", LOSSES)
def test_contributions_of_sparse_rows_equal_those_of_dense_rows(fitted, proportions, loss):
    x = np.where(proportions > 0.05, proportions, 0).astype(np.float32)
    ae = fitted[loss]
    np.testing.assert_allclose(
        ae.anomaly_contributions(sp.csr_array(x)), ae.anomaly_contributions(x), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("loss", ["bernoulli", "multinomial"])
def test_contributions_of_empty_and_of_certain_rows_are_finite(fitted, loss):
    x = np.zeros((3, 10), dtype=np.float32)
    x[1, 4] = 1
    x[2] = [0.5, 0.5] + [0] * 8
    shares = fitted[loss].anomaly_contributions(x)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_a_perfectly_reconstructed_row_has_equal_contributions():
    ae = small().fit(np.ones((20, 5)))
    with torch.no_grad():
        for weight in ae.model_.objective.parameters():
            weight.zero_()
    np.testing.assert_allclose(ae.anomaly_contributions(np.ones((1, 5))), 0.2)


def test_missing_values_have_no_contribution(X):
    ae = DenoisingAutoencoder(
        2, corruption="missing:0.2", hidden=(8,), max_epochs=3, random_state=0
    ).fit(X)
    x = X.copy()
    x[:, 3] = np.nan
    shares = ae.anomaly_contributions(x)
    assert (shares[:, 3] == 0).all()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)


def test_contributions_of_huge_rows_are_finite(detector):
    x = np.full((1, 6), 3e38, dtype=np.float32)
    with pytest.warns(RangeWarning):
        shares = detector.anomaly_contributions(x)
    assert np.isfinite(shares).all()


def test_the_kind_of_file_is_model(detector, path):
    detector.save(path)
    errors = read_artefact(path, kind="model").tensors["calibration.errors"]
    assert errors.shape == (1000,) and errors.dtype == torch.float32
