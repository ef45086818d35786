"""Errors about rows name the argument or the line of the file, and the way out."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from narrows import (
    AnomalyDetector,
    Autoencoder,
    CodeClassifier,
    CodeImputer,
    CodeMatcher,
    read,
)
from narrows.cli import run as cli
from narrows.data.source import place_in
from narrows.errors import InvalidData, RangeWarning

SMALL = {"n_components": 2, "hidden": (), "max_epochs": 1, "random_state": 0}
N = 40
Y = np.arange(N) % 2


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, 4))


@pytest.fixture(scope="module")
def fitted(rows) -> Autoencoder:
    return Autoencoder(**SMALL).fit(rows)


@pytest.fixture(scope="module")
def detector(rows) -> AnomalyDetector:
    return AnomalyDetector(Autoencoder(**SMALL), n_folds=2, random_state=0).fit(rows)


def head(net):
    return CodeClassifier(net, max_epochs=1, random_state=0)


QUERIES = {
    "X_calibration": lambda net, of, x, bad: net.p_values(x, X_calibration=bad),
    "X_calibration of find_anomalies": lambda net, of, x, bad: net.find_anomalies(
        x, alpha=0.5, X_calibration=bad
    ),
    "X_calibration of a detector": lambda net, of, x, bad: of.p_values(x, X_calibration=bad),
    "validation_data": lambda net, of, x, bad: Autoencoder(**SMALL).fit(x, validation_data=bad),
    "validation_data of a head": lambda net, of, x, bad: head(net).fit(
        x, Y, validation_data=(bad, Y)
    ),
    "validation_data of a detector": lambda net, of, x, bad: AnomalyDetector(
        Autoencoder(**SMALL), n_folds=2, random_state=0
    ).fit(x, validation_data=bad),
    "a": lambda net, of, x, bad: net.interpolate(bad, x),
    "b": lambda net, of, x, bad: net.interpolate(x, bad),
    "x": lambda net, of, x, bad: net.traverse(bad[3]),
    "held_out": lambda net, of, x, bad: net.check_memorization(x[:5], x, bad),
    "A": lambda net, of, x, bad: CodeMatcher(net, max_epochs=1).fit_pairs(bad, x, Y),
    "B": lambda net, of, x, bad: CodeMatcher(net, max_epochs=1).fit_pairs(x, bad, Y),
}


@pytest.mark.parametrize("name", QUERIES)
def test_errors_name_the_argument(fitted, detector, rows, name):
    argument, query = name.split()[0], QUERIES[name]
    bad = rows.copy()
    bad[3, 2] = np.nan
    row = 0 if argument == "x" else 3
    with pytest.raises(InvalidData, match=f"^Input {argument} contains NaN at row {row}, column 2"):
        query(fitted, detector, rows, bad)
    if argument != "A":  # whose width is that of the fit
        with pytest.raises(ValueError, match=f"^{argument} has 3 features"):
            query(fitted, detector, rows, rows[:, :3])


def test_warnings_name_the_argument(fitted, rows):
    with pytest.warns(RangeWarning, match="^X_calibration: values from"):
        fitted.p_values(rows, X_calibration=rows * 1e6)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ("subject", r"must hold a value for every row, got 'subject'; give .*table\['subject'\]"),
        (3, "must hold a value for every row, got 3"),
        (np.eye(N), "should be a 1d array"),
    ],
)
def test_invalid_groups_are_named(fitted, rows, groups, message):
    for estimator, y in (Autoencoder(**SMALL), None), (head(fitted), Y):
        with pytest.raises(InvalidData, match=f"^groups: {message}"):
            estimator.fit(rows, y, groups=groups)
    with pytest.raises(InvalidData, match=f"^groups: {message}"):
        head(fitted).fit(rows, Y, groups=groups, sample_weight=np.arange(N))


def test_errors_of_an_imputer_do_not_advise_using_an_imputer(rows):
    bad = rows.copy()
    bad[3, 2] = np.nan
    with pytest.raises(InvalidData, match="^autoencoder: .*corruption='missing'") as found:
        CodeImputer(Autoencoder(**SMALL)).fit(bad)
    assert "CodeImputer" not in str(found.value)
    bad[3, 2] = np.inf
    frame = pd.DataFrame(bad, columns=list("abcd"))
    with pytest.raises(InvalidData, match=r"contains infinity .* at row 3, column 2 \('c'\)"):
        CodeImputer(Autoencoder(**SMALL)).fit(frame)


# Files: lines and names, as an editor shows them.


def spoiled(path, rows, value):
    """Write a table with an invalid value in its fifth row; return the file's name."""
    frame = pd.DataFrame(rows, columns=["a", "b", "height, cm", "d"])
    frame.loc[4, "height, cm"] = value
    if path.suffix == ".csv":
        text = frame.to_csv(index=False).splitlines()
        path.write_text("\n".join([text[0], "", *text[1:]]) + "\n")
    elif path.suffix == ".jsonl":
        path.write_text("\n" + "\n".join(json.dumps(r) for r in frame.to_dict("records")))
    else:
        frame.to_parquet(path)
    return path


PLACES = {
    "t.csv": "line 7, column 'height, cm'",
    "t.jsonl": "line 6, column 'height, cm'",
    "t.parquet": r"row 4, column 2 \('height, cm'\), counted from 0",
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_errors_give_the_line_that_an_editor_shows(tmp_path, rows, name, value, capsys, fitted):
    if name == "t.jsonl" and value == np.inf:
        value = 1e300
    path = spoiled(tmp_path / name, rows, value)
    what = "NaN" if value != value else "infinity"
    with pytest.raises(InvalidData, match=rf"{name} contains {what}.* at {PLACES[name]}; "):
        Autoencoder(**SMALL).fit(read(path))
    assert cli(["fit", str(path), "-o", str(tmp_path / "m"), "-k", "2", "-q"]) == 3
    message = capsys.readouterr().err
    assert f'{path}:"drop=height, cm"' in message
    assert ("--corruption missing" in message) == (value != value)
    if value != value:
        command = ["fit", str(path), "-o", str(tmp_path / "m"), "-k", "2", "-q", "--epochs", "1"]
        assert cli([*command, "--corruption", "missing"]) == 0


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_columns_of_texts_are_named_in_one_line(tmp_path, rows, kind, capsys):
    frame = pd.DataFrame(rows)
    frame.columns = list("abcd")
    for i in range(9):
        frame[f"text{i}"] = ["word", "other"] * (N // 2)
    path = tmp_path / f"t.{kind}"
    frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path)
    with pytest.raises(InvalidData, match="9 columns hold .*'text0', .*, 'text4' and 4 more"):
        read(path)
    assert cli(["fit", str(path), "-o", str(tmp_path / "m")]) == 3
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "text0" in message and f"{path}:drop=COLUMN to leave it out, label=COLUMN if" in message


def test_a_part_of_a_table_is_counted_in_rows(tmp_path, rows):
    source = read(spoiled(tmp_path / "t.csv", rows, 1.0))
    assert place_in(source, 4) == "line 7" and place_in(source[2:], 2) == "row 2"
