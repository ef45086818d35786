"""Flagged rows: at every number of rows, with ties, with and without held-out rows."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest

from narrows import AnomalyDetector, Autoencoder, load
from narrows.applications.anomalies.detection import anomaly_labels
from narrows.applications.anomalies.flagging import flag_rows, top_share
from narrows.cli import run as cli
from narrows.errors import UsageError
from narrows.model import coding


def rows(n: int, *, seed: int = 0) -> np.ndarray:
    """Rows near a line in four dimensions; the last row is far from it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1)) + 0.1 * rng.normal(size=(n, 4))
    x[-1, 2] += 9
    return x


def small(**more) -> Autoencoder:
    return Autoencoder(1, hidden=(4,), max_epochs=8, random_state=0, **more)


def detector(**more) -> AnomalyDetector:
    net = small(scale="standard", validation_fraction=0)
    return AnomalyDetector(net, n_folds=2, random_state=0, **more)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("n", [2, 10, 11, 30, 100])
def test_a_share_is_flagged_as_in_scikit_learn(n, share):
    errors = np.random.default_rng(n).normal(size=n)
    assert (top_share(errors, share) == (errors > np.quantile(errors, 1 - share))).all()
    assert top_share(errors, share).sum() >= 1
    forest = IsolationForest(n_estimators=5, contamination=share, random_state=0).fit(
        errors[:, None]
    )
    scores = -forest.score_samples(errors[:, None])
    assert (top_share(scores, share) == (forest.predict(errors[:, None]) == -1)).all()


@pytest.mark.parametrize(
    ("errors", "flagged"),
    [
        ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], []),  # all rows tie
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5], []),  # one is wanted, two tie
        ([0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 6], [10]),
        ([3], []),
        ([0, 1, np.inf, 2, 3, 4, 5, 6, 7, 8, 9], [2]),
    ],
)
def test_ties_at_the_limit_are_left_out(errors, flagged):
    assert np.flatnonzero(top_share(np.array(errors, float), 0.1)).tolist() == flagged


@pytest.mark.parametrize("m", [1, 3, 8, 9, 10, 50, 98, 99, 1000])
def test_the_default_flags_an_extreme_row_for_any_number_of_held_out_rows(m):
    rng = np.random.default_rng(m)
    errors = np.append(rng.random(20), 9.0)
    found = flag_rows(errors, np.sort(rng.random(m)))
    assert found.flagged[-1] and found.smallest_p_value == 1 / (m + 1)
    if m < 9:
        assert found.alpha is None and found.contamination == 0.1 and "--calibrate" in found.rule
    else:
        assert found.alpha == max(0.01, 1 / (m + 1)) and found.contamination is None
        assert (found.flagged == (found.p_values <= found.alpha)).all()
    assert ("smallest p-value" in found.rule) == (9 <= m < 99)


def test_an_unreachable_level_says_how_many_rows_it_needs():
    found = flag_rows(np.array([1.0, 9]), np.arange(50.0), alpha=0.001)
    assert not found.flagged.any()
    assert "no p-value can be below 0.0196" in found.rule and "give 999 held-out" in found.rule


def test_invalid_levels_and_shares_are_refused():
    x = rows(40)
    ae = small().fit(x)
    for estimator in (ae, detector().fit(x)):
        with pytest.raises(UsageError, match="give one of the two"):
            estimator.find_anomalies(x, alpha=0.1, contamination=0.1)
        with pytest.raises(UsageError, match="contamination: must be a number > 0 and <= 0.5"):
            estimator.find_anomalies(x, contamination=0.6)
        with pytest.raises(UsageError, match="alpha: must be a number > 0"):
            estimator.find_anomalies(x, alpha=0)
    with pytest.raises(UsageError, match="alpha=0.1: needs p-values.*X_calibration, --calibrate"):
        small(validation_fraction=0).fit(x).find_anomalies(x, alpha=0.1)


@pytest.mark.parametrize("n", [10, 30, 100])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.3])
@pytest.mark.filterwarnings("ignore::narrows.errors.CopyingWarning")
def test_the_command_flags_an_anomaly_among_few_rows_by_default(n, fraction, tmp_path, capsys):
    normal, new = rows(n + 1)[:-1], rows(n, seed=1)
    small(validation_fraction=fraction).fit(normal).save(tmp_path / "m")
    np.save(tmp_path / "x.npy", new)
    command = ["anomalies", str(tmp_path / "m"), str(tmp_path / "x.npy")]
    assert cli([*command, "--json", "-o", str(tmp_path / "o.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["top"][0]["row"] == n - 1 and found["top"][0]["flagged"]
    with open(tmp_path / "o.csv") as file:
        written = list(csv.DictReader(file))
    assert sum(float(row["flagged"]) for row in written) == found["flagged"] < n
    assert (found["smallest_ranked_p_value"] is None) == (fraction == 0)
    assert cli([*command, "--figure", str(tmp_path / "f.png")]) == 0
    printed = capsys.readouterr().out
    assert f"{found['flagged']} of {n} rows are flagged: {found['rule']}" in printed
    assert printed.splitlines()[1].startswith("* ")


def test_the_command_flags_the_given_share(tmp_path, capsys):
    x = rows(41)
    small(validation_fraction=0.5).fit(x).save(tmp_path / "m")
    detector(contamination=0.2).fit(x).save(tmp_path / "d")
    np.save(tmp_path / "x.npy", rows(41, seed=1))
    for model in "md":
        command = ["anomalies", str(tmp_path / model), str(tmp_path / "x.npy"), "--json"]
        assert cli([*command, "--contamination", "0.1"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["flagged"] == 4 and found["contamination"] == 0.1 and found["alpha"] is None
        assert cli([*command, "--contamination", "0.1", "--alpha", "0.1"]) == 2
        assert "give only one" in capsys.readouterr().err


def test_the_default_rule_for_a_detector_file_is_the_detectors(tmp_path, capsys):
    x, new = rows(60), rows(50, seed=2)
    np.save(tmp_path / "x.npy", new)
    for more in ({}, {"alpha": 0.2}, {"contamination": 0.3}):
        fitted = detector(**more).fit(x)
        fitted.save(tmp_path / "d")
        assert cli(["anomalies", str(tmp_path / "d"), str(tmp_path / "x.npy"), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["flagged"] == (fitted.predict(new) == -1).sum() > 0, more
        assert found["contamination"] == more.get("contamination")


@pytest.mark.filterwarnings("ignore::narrows.errors.RangeWarning")  # the anomaly is far away
@pytest.mark.parametrize("n", [4, 10, 18, 19, 30])
def test_a_detector_fitted_to_few_rows_flags_by_default(n):
    fitted = detector().fit(rows(n + 1)[:-1])
    assert fitted.alpha_ == max(0.05, 1 / (n + 1))
    assert fitted.predict(100 + rows(2)[-1:]).tolist() == [-1]


def test_the_errors_of_rows_are_computed_once(tmp_path, monkeypatch):
    x = rows(300)
    small(validation_fraction=0.5).fit(x).save(tmp_path / "m")
    detector().fit(x).save(tmp_path / "d")
    np.save(tmp_path / "x.npy", x)
    read = []

    def counted(model, source, *, _real=coding.scaled_batches):
        read.append(source.n_rows)
        return _real(model, source)

    monkeypatch.setattr("narrows.model.coding.scaled_batches", counted)
    monkeypatch.setattr("narrows.applications.anomalies.anomaly_score.scaled_batches", counted)
    for model, passes in (("m", 1), ("d", 2)):  # of a detector one by each of two members
        read.clear()
        command = ["anomalies", str(tmp_path / model), str(tmp_path / "x.npy"), "--top", "3"]
        assert cli([*command, "-o", str(tmp_path / "o.csv")]) == 0
        assert read.count(300) == passes


def test_python_and_the_command_agree(tmp_path):
    x = rows(80)
    ae = small(validation_fraction=0.5).fit(x)
    found = ae.find_anomalies(x)
    np.testing.assert_array_equal(found.errors, -ae.score_samples(x))
    np.testing.assert_array_equal(found.p_values, ae.p_values(x))
    assert found.training_rows and not ae.find_anomalies(x[1:]).training_rows
    ae.save(tmp_path / "m")
    again = load(tmp_path / "m").find_anomalies(x)
    np.testing.assert_array_equal(found.flagged, again.flagged)


@pytest.mark.parametrize("alpha", [1e-300, 5e-324, 1e-9])
def test_a_tiny_level_does_not_demand_an_endless_number_of_rows(alpha):
    x = rows(80)
    found = small(validation_fraction=0.5).fit(x).find_anomalies(rows(20), alpha=alpha)
    assert len(found.rule) < 260 and "give" in found.rule and "larger alpha" in found.rule


@pytest.mark.parametrize(
    "words", [("1.0", "0.0"), ("1", "0.0"), ("-1.0", "1.0"), ("True", "False")]
)
def test_anomaly_labels_may_have_a_decimal_point(words):
    found = anomaly_labels(np.array([words[1], words[0], words[1]]))
    np.testing.assert_array_equal(found, [False, True, False])
