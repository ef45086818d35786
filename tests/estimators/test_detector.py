"""The anomaly detector: flagged rows, false-alarm rate, its file, scikit-learn's checks."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from scipy.stats import multivariate_normal
from sklearn.utils.estimator_checks import parametrize_with_checks

from narrows import AnomalyDetector, Autoencoder, load, read
from narrows.applications.anomalies.anomaly_score import anomaly_scores
from narrows.artefact import read_artefact, write_artefact
from narrows.data.array_sources import DenseSource
from narrows.errors import (
    CopyingWarning,
    InvalidData,
    ModelFileError,
    NothingFlaggedWarning,
    RangeWarning,
    UsageError,
)
from narrows.model.density import Density
from narrows.text import as_documents


def quick(**more) -> AnomalyDetector:
    net = Autoencoder(
        2, hidden=(8,), scale="standard", max_epochs=15, validation_fraction=0, patience=None
    )
    return AnomalyDetector(**{"autoencoder": net, "n_folds": 2, "random_state": 0, **more})


def normal_rows(n: int, *, seed: int) -> np.ndarray:
    """Rows near a plane in six dimensions, (n, 6)."""
    axes = np.random.default_rng(0).normal(size=(2, 6))
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) @ axes + 0.1 * rng.normal(size=(n, 6))


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    return quick().fit(normal_rows(1000, seed=1))


# some checks fit a single feature, which a code of two numbers can copy
@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
@parametrize_with_checks([quick(autoencoder=Autoencoder(2, hidden=(4,), max_epochs=1))])
def test_sklearn_contract(estimator, check):
    check(estimator)


def test_the_density_of_a_code_is_the_product_of_its_normal_parts():
    rng = np.random.default_rng(0)
    weights, means, factors = (
        np.array([0.3, 0.7]),
        rng.normal(size=(2, 3)),
        rng.normal(size=(2, 3, 2)),
    )
    h = rng.normal(size=(5, 3))
    expected = sum(
        w * multivariate_normal(m, f @ f.T + 0.2 * np.eye(3)).pdf(h)
        for w, m, f in zip(weights, means, factors, strict=True)
    )
    density = Density(*(torch.from_numpy(a).float() for a in (weights, means, factors)))
    found = density.log_density(torch.from_numpy(h), floor=0.2)
    np.testing.assert_allclose(found.numpy(), np.log(expected), rtol=1e-5)


def test_p_values_of_new_normal_rows_are_approximately_uniform(detector):
    p = detector.p_values(normal_rows(2000, seed=2))
    for a in (0.01, 0.05, 0.2, 0.5):
        assert (p <= a).mean() == pytest.approx(a, abs=0.02 + 0.1 * a)


def test_alpha_is_the_share_of_normal_rows_that_are_flagged(detector):
    x = normal_rows(2000, seed=3)
    found = detector.predict(x) == -1
    np.testing.assert_array_equal(found, detector.p_values(x) <= 0.05)
    assert found.mean() == pytest.approx(0.05, abs=0.025)


def test_a_row_that_is_reconstructed_badly_is_an_anomaly(detector):
    anomalous = normal_rows(40, seed=4)
    anomalous[:, 3] += 5
    assert (detector.predict(anomalous) == -1).all()


def test_a_row_with_an_unlikely_code_is_an_anomaly_even_if_reconstructed_well(detector):
    """Rows far out on the plane: their error hardly grows, but their density falls."""
    axes = np.random.default_rng(0).normal(size=(2, 6))
    assert (detector.predict(np.array([[7.0, 0], [0, 7], [-6, 6]]) @ axes) == -1).all()


def test_trimming_detects_anomalies_in_the_training_rows():
    rng = np.random.default_rng(0)
    anomalous = rng.normal(size=(60, 6)) * 0.3 + 3
    x = np.concatenate([normal_rows(600, seed=5), anomalous])
    new = rng.normal(size=(100, 6)) * 0.3 + 3
    normal = normal_rows(300, seed=6)

    def rank(trim: float) -> float:
        scores = quick(trim=trim, row_weight=0).fit(x).score_samples
        return float((scores(new)[:, None] < scores(normal)[None]).mean())

    assert rank(0.2) > rank(0) + 0.05


def test_contributions_point_at_the_planted_feature(detector):
    anomalous = normal_rows(60, seed=7)
    planted = np.arange(60) % 6
    anomalous[np.arange(60), planted] += 6
    shares = detector.anomaly_contributions(anomalous)
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-5)
    assert (shares.argmax(axis=1) == planted).mean() > 0.8


def test_contamination_is_the_share_of_training_rows_that_are_flagged():
    x = normal_rows(200, seed=8)
    found = quick(contamination=0.1).fit(x).predict(x)
    assert (found == -1).sum() == 20


def test_a_level_below_the_smallest_rank_flags_rows_far_out():
    x = normal_rows(50, seed=9)
    found = quick(alpha=0.002).fit(x)  # 1 of 51 is the smallest rank
    assert (found.predict(20 + x) == -1).all() and (found.p_values(20 + x) < 0.002).all()
    assert (found.predict(normal_rows(500, seed=10)) == -1).mean() < 0.02
    flagged = found.find_anomalies(20 + x)
    assert flagged.flagged.all() and "below 0.0196 by a tail" in flagged.rule


def test_a_file_of_before_tails_flags_what_its_p_values_say(path):
    x = normal_rows(50, seed=9)
    quick(alpha=0.002).fit(x).save(path)
    artefact = read_artefact(path, kind="model")
    artefact.spec["offset"] = None  # infinity: no rank reached alpha
    write_artefact(path, artefact)
    found = load(path)
    assert (found.predict(20 + x) == -1).all() and (found.p_values(20 + x) <= 0.002).all()


def test_a_level_below_the_smallest_rank_flags_nothing_if_the_largest_scores_are_equal():
    x = np.zeros((50, 6))
    with pytest.warns(NothingFlaggedWarning, match=r"alpha=0.01: flags nothing, .* below 0.0196"):
        found = quick(alpha=0.01).fit(x)
    assert (found.predict(20 + x) == 1).all() and found.p_values(20 + x).min() == 1 / 51


def test_without_row_weight_the_score_is_that_of_the_nets(path):
    x = normal_rows(60, seed=9)
    found = quick(row_weight=0).fit(x)
    rows = DenseSource(torch.from_numpy(x))
    of_nets = [
        np.concatenate(list(anomaly_scores(net.model_, score, rows)))
        for net, score in zip(found.members_, found.anomaly_scores_, strict=True)
    ]
    np.testing.assert_allclose(-found.score_samples(x), np.mean(of_nets, axis=0))
    found.save(path)
    assert found.n_stored_rows == 0
    assert not [k for k in read_artefact(path, kind="model").tensors if k.startswith("row_score")]


def test_rows_between_clusters_are_detected_by_their_distance_to_training_rows():
    """A few rows do not show the net's density that there are gaps between 36 clusters."""
    rng = np.random.default_rng(0)
    centers = np.array([[i, j] for i in range(6) for j in range(6)])
    normal = centers[rng.integers(36, size=300)] + 0.05 * rng.normal(size=(300, 2))
    between = centers[rng.integers(25, size=50)] + 0.5

    def rank(row_weight: float) -> float:
        found = AnomalyDetector(n_folds=2, row_weight=row_weight, random_state=0).fit(normal[:200])
        odd, usual = found.score_samples(between), found.score_samples(normal[200:])
        return float((odd[:, None] < usual).mean())

    assert rank(20) > 0.98 and rank(0) < 0.8


def test_the_file_gives_the_same_detector(detector, path):
    detector.save(path)
    again, x = load(path), normal_rows(30, seed=10)
    np.testing.assert_array_equal(again.score_samples(x), detector.score_samples(x))
    np.testing.assert_array_equal(again.predict(x), detector.predict(x))
    np.testing.assert_array_equal(again.calibration_, detector.calibration_)
    assert again.get_params()["n_folds"] == 2 and not hasattr(again.autoencoder, "model_")
    again.fit(x)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("calibration.surprises", torch.tensor([2.0, 1.0]).double(), "not in ascending order"),
        ("calibration.surprises", torch.ones(3), "calibration of torch.float32"),
        ("surprise.0.variances", torch.ones(5), r"of shape \(5,\)"),
        ("surprise.1.floor", torch.tensor(0.0), "not positive"),
        ("surprise.1.means", torch.ones(6).double(), "a scale of torch.float64"),
        ("surprise.0.density.means", torch.ones(1, 3), "a density of shapes"),
        ("row_score.rows", torch.ones(3, 5), r"rows of torch.float32, \(3, 5\)"),
        ("row_score.scale", torch.zeros(6).double(), "a scale or weight is not positive"),
        ("row_score.missing", torch.ones(6, dtype=torch.uint8), r"missing of torch.uint8, \(6,\)"),
        ("row_score.factors", torch.ones(6), "factors of torch.float32"),
        ("row_score.weights", -torch.ones(3).double(), "a scale or weight is not positive"),
        ("row_score.used", torch.zeros(2, 1000, dtype=torch.uint8), "a member has none"),
        ("member.2.net.x", torch.ones(1), "'member.2.net.x' is not a tensor of a detector"),
    ],
)
def test_a_tampered_detector_is_refused(detector, path, name, value, rule):
    detector.save(path)
    artefact = read_artefact(path, kind="model")
    artefact.tensors[name] = value
    write_artefact(path, artefact)
    with pytest.raises(ModelFileError, match=rule):
        load(path)


def test_a_file_without_a_member_is_refused(detector, path):
    detector.save(path)
    artefact = read_artefact(path, kind="model")
    artefact.spec["members"] = artefact.spec["members"][:1]
    write_artefact(path, artefact)
    with pytest.raises(ModelFileError, match="is not a tensor of a detector"):
        load(path)


def test_sparse_rows_get_the_scores_of_dense_rows(X):
    x = np.where(X > 0, X, 0)
    found = quick().fit(sp.csr_array(x))
    np.testing.assert_allclose(
        found.score_samples(x), found.score_samples(sp.csr_array(x)), rtol=1e-4, atol=1e-3
    )


def test_names_of_columns_are_kept(path):
    frame = pd.DataFrame(normal_rows(60, seed=0), columns=list("abcdef"))
    quick().fit(frame).save(path)
    assert load(path).feature_names_in_.tolist() == list("abcdef")
    with pytest.raises(ValueError, match="feature names"):
        load(path).predict(frame[list("bacdef")])


def test_images_are_scored(digits_rows):
    detector = quick().fit(digits_rows)
    assert detector.anomaly_contributions(digits_rows[:3]).shape == (3, 64)


@pytest.fixture
def digits_rows(digits):
    return digits[:200].astype(np.uint8)


def test_an_error_names_the_row_of_a_bad_value():
    x = normal_rows(50, seed=0)
    x[43, 2] = np.nan
    with pytest.raises(InvalidData, match="contains NaN at row 43, column 2; impute .* or drop"):
        quick().fit(x)
    found = quick().fit(np.nan_to_num(x))
    with pytest.raises(InvalidData, match="contains NaN at row 43, column 2; impute .* or drop"):
        found.predict(x)


def test_the_error_for_infinity_does_not_suggest_imputing():
    x = normal_rows(50, seed=0)
    x[43, 2] = np.inf
    with pytest.raises(InvalidData, match="infinity .* column 2; remove or replace such values"):
        quick().fit(x)


def test_a_detector_accepts_missing_values_if_its_autoencoders_do(path):
    net = Autoencoder(
        2, hidden=(8,), scale="standard", max_epochs=15, validation_fraction=0,
        corruption="missing:0.2", patience=None,
    )  # fmt: skip
    x = normal_rows(300, seed=11)
    x[np.random.default_rng(0).random(x.shape) < 0.05] = np.nan
    found = quick(autoencoder=net).fit(x)
    scores = found.score_samples(x)
    found.save(path)
    np.testing.assert_array_equal(load(path).score_samples(x), scores)
    holed = np.isnan(x).any(axis=1)
    assert np.isfinite(scores).all()
    assert abs(np.median(scores[holed]) - np.median(scores[~holed])) < 3 * scores[~holed].std()


def test_streamed_rows_are_refused(tmp_path):
    pd.DataFrame(normal_rows(50, seed=0)).to_parquet(tmp_path / "x.parquet")
    rule = "is streamed; folds need rows in memory: .* fit a single autoencoder.*p_values"
    with pytest.raises(UsageError, match=rule):
        quick().fit(read(tmp_path / "x.parquet", stream=True))


def test_a_single_net_scores_streamed_rows(tmp_path):
    frame = pd.DataFrame(normal_rows(50, seed=0))
    frame.to_parquet(tmp_path / "x.parquet", row_group_size=5)
    rows = read(tmp_path / "x.parquet", stream=True)
    p = quick().autoencoder.set_params(validation_fraction=0.2).fit(rows).p_values(rows)
    assert p.shape == (50,) and (p > 0).all()


def test_texts_are_refused_with_a_hint_at_document_models():
    with pytest.raises(InvalidData, match=r"holds texts.* fit\(model\.transform\(X\)\)"):
        quick().fit(as_documents(["a ship at sea", "a fox"] * 3))


@pytest.mark.parametrize(
    ("argument", "value", "rule"),
    [
        ("n_folds", 1, "n_folds: must be an integer >= 2"),
        ("row_weight", -1, "row_weight: must be a number >= 0"),
        ("trim", 0.6, "trim: must be a number >= 0 and <= 0.5"),
        ("alpha", 0, "alpha: must be a number > 0 and < 1"),
        ("contamination", 0.7, "contamination: must be a number > 0 and <= 0.5"),
        ("autoencoder", 3, "autoencoder: must be an autoencoder or None, got 3"),
    ],
)
def test_invalid_arguments_are_refused(argument, value, rule):
    with pytest.raises(UsageError, match=rule):
        quick().set_params(**{argument: value}).fit(normal_rows(50, seed=0))


def test_a_wide_code_causes_one_warning():
    net = Autoencoder(6, hidden=(8,), max_epochs=2)
    with pytest.warns() as caught:
        quick(autoencoder=net, n_folds=3).fit(normal_rows(60, seed=0))
    assert [warning.category for warning in caught] == [CopyingWarning]


@pytest.mark.parametrize("given", [True, False])
def test_a_missing_device_is_refused(given):
    detector = quick(device="nope") if given else AnomalyDetector(device="nope")
    with pytest.raises(UsageError, match="device: 'nope' cannot be used: .* try 'cpu'"):
        detector.fit(normal_rows(50, seed=0))


@pytest.mark.parametrize(("device", "used"), [("auto", "cpu:0"), ("cpu", "cpu")])
def test_the_nets_use_the_device_of_the_detector(device, used):
    net = Autoencoder(2, hidden=(8,), max_epochs=1, device="cpu:0")
    found = quick(autoencoder=net, device=device).fit(normal_rows(50, seed=0))
    assert {member.device for member in found.members_} == {used} and net.device == "cpu:0"


def test_a_seed_makes_fits_reproducible():
    x = normal_rows(80, seed=0)
    first, second = (quick().fit(x).score_samples(x) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_rows_whose_score_overflows_have_the_highest_score(detector):
    with pytest.warns(RangeWarning):
        scores = detector.score_samples(np.array([[3e38] * 6, [0.0] * 6]))
    assert np.isfinite(scores).all() and scores[0] < scores[1]
