"""narrows anomalies: what is printed, written and drawn."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pandas as pd
import pytest

from narrows import AnomalyDetector, Autoencoder, DocumentAutoencoder, load
from narrows.applications.anomalies.contributions import largest_contributions
from narrows.applications.anomalies.detection import Detection, anomaly_labels, measure_detection
from narrows.cli import run as cli
from narrows.cli.anomalies import table_of_rows
from narrows.encoders import DenseEncoder
from narrows.model.training_rows import contains_calibration

NAMES = ["length", "width", "height", "weight"]


def table(n: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n, 1))
    return pd.DataFrame(hidden + 0.1 * rng.normal(size=(n, 4)), columns=NAMES)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model of a table, and fresh rows; the eighth has a wrong weight."""
    folder = tmp_path_factory.mktemp("anomalies")
    fit = Autoencoder(1, hidden=(8,), max_epochs=15, validation_fraction=0.4, random_state=0)
    fit.fit(table(500, 0)).save(folder / "m")
    rows = table(60, 1)
    rows.loc[7, "weight"] += 9
    rows.to_csv(folder / "x.csv", index=False)
    table(90, 2).to_csv(folder / "normal.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def detector(files):
    """The same folder, with a detector's file beside the model's."""
    net = Autoencoder(1, hidden=(8,), max_epochs=15, scale="standard", validation_fraction=0)
    AnomalyDetector(net, n_folds=2, random_state=0).fit(table(300, 0)).save(files / "d")
    return files


def run(files, *more) -> int:
    return cli(["anomalies", str(files / "m"), str(files / "x.csv"), *map(str, more)])


def test_the_anomalous_row_comes_first_with_its_largest_contribution(files, capsys):
    assert run(files, "--top", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"\s+row\s+error\s+p-value\s+largest contributions", lines[0])
    assert re.match(r"\*\s+7\s+[\d.]+\s+0\.0049\d+\s+weight \d\d%", lines[1])
    assert len(lines) == 5 and re.match(r"\d of 60 rows are flagged: p <= 0.01$", lines[-2])


def test_json_holds_the_same_rows(files, capsys):
    assert run(files, "--json", "--alpha", 0.05) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_rows"] == 60 and found["alpha"] == 0.05 and len(found["top"]) == 10
    first = found["top"][0]
    assert first["row"] == 7 and first["p_value"] == pytest.approx(1 / 201)
    assert next(iter(first["largest_contributions"])) == "weight"


def test_the_file_holds_error_and_p_value_of_every_row(files, tmp_path):
    assert run(files, "-o", tmp_path / "out.csv") == 0
    with open(tmp_path / "out.csv") as file:
        rows = list(csv.DictReader(file))
    ae, x = load(files / "m"), pd.read_csv(files / "x.csv")
    np.testing.assert_allclose([float(r["error"]) for r in rows], -ae.score_samples(x), rtol=1e-6)
    np.testing.assert_allclose([float(r["p_value"]) for r in rows], ae.p_values(x), rtol=1e-6)


@pytest.mark.parametrize(("name", "n_nets"), [("m", 1), ("d", 2)])
@pytest.mark.parametrize("more", [(), ("--calibrate", "normal.csv")])
def test_each_net_encodes_every_row_once(detector, capsys, monkeypatch, name, n_nets, more):
    sizes = []
    forward = DenseEncoder.forward
    monkeypatch.setattr(
        DenseEncoder, "forward", lambda net, x: sizes.append(len(x)) or forward(net, x)
    )
    more = [str(detector / value) if value.endswith(".csv") else value for value in more]
    assert (
        cli(["anomalies", str(detector / name), str(detector / "x.csv"), "--top", "1", *more]) == 0
    )
    assert sizes.count(64) == n_nets  # the 60 rows of x.csv, padded to whole sixteens
    assert sizes.count(96) == (n_nets if more else 0)  # the 90 of normal.csv


def test_calibration_rows_can_be_given(files, capsys):
    assert run(files, "--calibrate", files / "normal.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["top"][0]["p_value"] == pytest.approx(1 / 91)


@pytest.mark.parametrize("words", [("0", "1"), ("False", "True"), ("1", "-1")])
def test_labels_measure_the_detection(words, files, tmp_path, capsys):
    rows = pd.read_csv(files / "x.csv")
    rows["anomalous"] = [words[i == 7] for i in range(60)]
    rows.to_csv(tmp_path / "labeled.csv", index=False)
    (tmp_path / "y.csv").write_text("\n".join(rows["anomalous"]) + "\n")
    for more in (
        [f"{tmp_path}/labeled.csv:label=anomalous"],
        [files / "x.csv", "--labels", tmp_path / "y.csv"],
    ):
        arguments = [str(a) for a in ("anomalies", files / "m", *more, "--alpha", 0.05)]
        assert cli(arguments) == 0
        printed = capsys.readouterr().out
        assert "n anomalies 1, auroc 1, average precision 1, found 1" in printed
        assert cli([*arguments, "--json"]) == 0
        assert 0 <= json.loads(capsys.readouterr().out)["detection"]["false_alarms"] < 0.2


def test_labels_that_mark_no_anomaly_are_refused_or_ignored_with_a_notice(files, tmp_path, capsys):
    (tmp_path / "y.csv").write_text("a\nb\n" * 30)
    assert (
        cli(
            [
                str(a)
                for a in ("anomalies", files / "m", files / "x.csv", "--labels", tmp_path / "y.csv")
            ]
        )
        == 3
    )
    assert "expected both 1 (an anomaly) and 0" in capsys.readouterr().err
    rows = pd.read_csv(files / "x.csv")
    for kinds, shown in (
        (["a"], "(a)"),
        (["1", "0", ""], "(0, 1, none)"),
        (list("gfedcba"), "(a, b, c, d, e, ...)"),
    ):
        labeled = rows.assign(anomalous=np.resize(kinds, len(rows)))
        labeled.to_csv(tmp_path / "labeled.csv", index=False)
        command = ("anomalies", files / "m", f"{tmp_path}/labeled.csv:label=anomalous")
        assert cli([str(a) for a in command]) == 0
        err = capsys.readouterr().err
        assert f"The labels of DATA {shown} are ignored" in err


def test_string_labels_are_read_or_ignored_with_a_notice(tmp_path, capsys):
    words = np.random.default_rng(0).choice([f"word{i}" for i in range(30)], (60, 9))
    texts = [" ".join(row) for row in words]
    model = tmp_path / "m"
    DocumentAutoencoder(2, max_epochs=1, validation_fraction=0.4, random_state=0).fit(texts).save(
        model
    )
    for labels in (["0", "1"], ["sea", "land", "sky"]):
        labeled = pd.DataFrame({"text": texts, "label": np.resize(labels, 60)})
        labeled.to_csv(tmp_path / "t.csv", index=False)
        assert cli(["anomalies", str(model), f"{tmp_path}/t.csv:text=text,label=label"]) == 0
        out, err = capsys.readouterr()
        assert ("auroc" in out) == (labels == ["0", "1"])
        assert ("labels of DATA (land, sea, sky)" in err) == (labels != ["0", "1"])


def test_training_rows_as_data_give_a_warning(detector, tmp_path, capsys):
    caution = "the model was fitted to these rows"
    for model, n in (("m", 500), ("d", 300)):
        fitted = table(n, 0)
        for rows, warned in (
            (fitted, True),
            (fitted.sample(frac=1, random_state=0), True),
            (fitted[1:], False),
            (table(n, 5), False),
        ):
            rows.to_csv(tmp_path / "x.csv", index=False)
            assert cli(["anomalies", str(detector / model), str(tmp_path / "x.csv")]) == 0
            assert (caution in capsys.readouterr().err) == warned, (model, len(rows))


@pytest.mark.filterwarnings("default")
def test_calibration_rows_from_training_or_from_data_give_a_warning(detector, capsys):
    fit, x, normal = (detector / name for name in ("f.csv", "x.csv", "normal.csv"))
    table(500, 0).to_csv(fit, index=False)
    for rows, warned in (
        (fit, "f.csv: the model was fitted to these rows"),
        (x, "x.csv: 60 of the 60 rows of"),
        (normal, None),
    ):
        assert run(detector, "--calibrate", rows) == 0
        error = capsys.readouterr().err
        assert error.count("Warning") == (warned is not None)
        assert warned is None or warned in error


def test_errors_of_zero_do_not_count_as_calibration_errors():
    assert not contains_calibration(np.zeros(9), np.zeros(3))
    assert not contains_calibration(np.ones(9), np.ones(0))
    assert contains_calibration(np.array([3.0, 1, 2]), np.array([1.000001, 3]))
    assert not contains_calibration(np.array([3.0, 1, 2]), np.array([1.0001, 3]))


def test_detection_measures_match_their_definitions():
    anomalous = anomaly_labels(np.array([0.0, 1, 0, 1, 0]))
    flagged = np.array([False, True, True, False, False])
    found = measure_detection(np.array([1.0, 5, 4, 2, 0]), flagged, anomalous)
    assert found == Detection(2, 5 / 6, (1 + 2 / 3) / 2, 0.5, 1 / 3)


def test_when_no_p_value_is_small_enough_the_reason_is_printed(files, capsys):
    assert run(files, "--alpha", 0.001) == 0
    assert "no p-value can be below 0.00498" in capsys.readouterr().out


def test_a_model_without_held_out_rows_flags_a_share(files, tmp_path, capsys):
    fit = Autoencoder(1, hidden=(8,), max_epochs=2, validation_fraction=0, random_state=0)
    fit.fit(table(100, 0)).save(tmp_path / "bare")
    arguments = ["anomalies", str(tmp_path / "bare"), str(files / "x.csv")]
    assert cli([*arguments, "--alpha", "0.01"]) == 2
    assert "--calibrate" in capsys.readouterr().err
    assert cli([*arguments, "--calibrate", str(files / "normal.csv")]) == 0


def test_a_detector_file_is_read(detector, tmp_path, capsys):
    figure = tmp_path / "f.png"
    arguments = ["anomalies", str(detector / "d"), str(detector / "x.csv")]
    assert cli([*arguments, "--json", "--figure", str(figure)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["top"][0]["row"] == 7 and found["unit"].startswith("nats")
    assert next(iter(found["top"][0]["largest_contributions"])) == "weight"
    assert figure.stat().st_size > 5000


def test_a_detector_is_fitted_to_a_table(files, tmp_path, capsys):
    normal, target = files / "normal.csv", tmp_path / "d"
    fit = ["detector", str(normal), "--seed", "0", "--set", "n_folds=2", "--set", "trim=0"]
    like = ["--like", str(files / "m"), "-o", str(target)]
    assert cli([*fit, *like, "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == {
        "rows": 90, "features": 4, "nets": 2, "smallest_ranked_p_value": 1 / 91,
        "model": str(target),
    }  # fmt: skip
    assert err.splitlines() == ["net 1 of 2 is fitted", "net 2 of 2 is fitted"]
    made = load(target)
    net = Autoencoder(1, hidden=(8,), max_epochs=15, validation_fraction=0.4)
    expected = AnomalyDetector(net, n_folds=2, trim=0, random_state=0).fit(pd.read_csv(normal))
    np.testing.assert_array_equal(made.calibration_, expected.calibration_)
    assert made.verbose == 0 and made.feature_names_in_.tolist() == NAMES
    assert cli(["anomalies", str(target), str(files / "x.csv"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top"][0]["row"] == 7


def test_a_detector_makes_its_own_nets_by_default(files, tmp_path, capsys):
    fit = ["detector", str(files / "normal.csv"), "--set", "n_folds=2", "--set", "trim=0", "-q"]
    assert cli([*fit, "-o", str(tmp_path / "d")]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "nets: 2" in out
    made = load(tmp_path / "d")
    assert made.autoencoder is None and made.members_[0].model_.n_components == 4


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "folds=3"], "a detector has no parameter 'folds'; it has alpha, contamination"),
        (["--set", "verbose=2", "-q"], "--set verbose: progress is shown unless --quiet"),
        (["--set", "random-state=3", "--seed", "4"], "--set random_state: use --seed NUMBER"),
        (["--like", "{m}", "--set", "device=nope"], "device: 'nope' cannot be used"),
        (["--set", "trim=0.6"], "trim: must be a number >= 0 and <= 0.5, got 0.6"),
        (["--like", "{d}"], "d: holds an AnomalyDetector"),
        (["-o", "{normal}"], "normal.csv: is the input"),
    ],
)
def test_arguments_that_detectors_do_not_accept_are_refused(
    more, message, detector, tmp_path, capsys
):
    names = {"d": detector / "d", "m": detector / "m", "normal": detector / "normal.csv"}
    arguments = ["detector", str(names["normal"]), "-o", str(tmp_path / "out")]
    assert cli([*arguments, *(part.format(**names) for part in more)]) == 2
    assert message in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_inspect_describes_a_detector(detector, capsys):
    assert cli(["inspect", str(detector / "d"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    nets = [member.model_.objective for member in load(detector / "d").members_]
    expected = {
        "estimator": "AnomalyDetector", "nets": 2, "net": "Autoencoder", "variant": "plain",
        "n_components": 1, "hidden": [8], "n_features": 4, "scaling": "standard",
        "weights": sum(p.numel() for net in nets for p in net.parameters()),
        "rows_calibrated_on": 300, "smallest_ranked_p_value": 1 / 301, "trim": 0.1,
        "row_weight": 20.0, "training_rows_in_file": 300,
        "alpha": 0.05, "contamination": None, "anomaly_above": -load(detector / "d").offset_,
        "epochs_per_net": 15, "error_unit": "nats, up to a constant",
    }  # fmt: skip
    assert {name: found[name] for name in expected} == expected
    assert cli(["inspect", str(detector / "d")]) == 0
    assert re.search(r"^nets +2$", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    "command",
    [
        "inpaint {d} {x} --mask missing:0.3",
        "export {d} -o e.onnx",
        "generate {d} -o g.npy",
        "generate {d} --perturb {x} -o g.npy",
        "predict {d} {x} -o p.csv",
        "match {d} {x} {x}",
        "segment {d} {x} -o s.npy",
        "head {d} {x} --task match --labels {x} -o h",
        "encode {d} {x} -o h.npy",
        "decode {d} {x} -o h.npy",
        "reconstruct {d} {x} -o r.npy",
        "denoise {d} {x} -o r.npy",
        "evaluate {d} {x}",
        "inspect {d} {x}",
        "index {d} {x} -o i.index",
    ],
)
def test_other_commands_refuse_a_detector_file(command, detector, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"d": detector / "d", "x": detector / "x.csv"}
    assert cli(command.format(**names).split()) == 2
    error = capsys.readouterr().err
    assert "d: holds an AnomalyDetector, whose 2 nets only score rows together" in error
    assert f"use narrows anomalies {detector / 'd'} DATA" in error
    assert not [*tmp_path.iterdir()]


def test_a_table_is_drawn_as_bars_and_a_histogram(files, tmp_path):
    assert run(files, "--figure", tmp_path / "f.png") == 0
    assert (tmp_path / "f.png").stat().st_size > 5000


def test_an_output_equal_to_the_data_file_is_refused(files, capsys):
    assert run(files, "-o", files / "x.csv") == 2
    assert "is the input" in capsys.readouterr().err


def test_pixels_are_named_by_position(tmp_path, capsys, rng):
    images = rng.integers(0, 255, size=(60, 4, 4)).astype(np.uint8)
    np.save(tmp_path / "x.npy", images)
    fit = ["fit", str(tmp_path / "x.npy"), "--code", "2", "--hidden", "8", "--epochs", "2", "-q"]
    assert cli([*fit, "--seed", "0", "-o", str(tmp_path / "m")]) == 0
    capsys.readouterr()
    assert cli(["anomalies", str(tmp_path / "m"), str(tmp_path / "x.npy")]) == 0
    assert re.search(r"pixel \d,\d \d+%", capsys.readouterr().out)


def test_a_row_with_equal_contributions_names_no_feature():
    assert not len(largest_contributions(np.full(4, 0.25, np.float32), 3))
    assert largest_contributions(np.array([0.1, 0.6, 0.1, 0.2]), 2).tolist() == [1, 3]
    assert largest_contributions(np.ones(1), 3).tolist() == [0]
    row = {"row": 3, "error": 2.0, "p_value": 0.01, "flagged": True, "largest_contributions": {}}
    assert table_of_rows([row]).endswith("no feature alone")
