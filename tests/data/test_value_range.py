"""Rows in units other than those of the fit cause a warning; ordinary rows do not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from narrows import (
    AnomalyDetector,
    Autoencoder,
    CodeClassifier,
    SemanticHasher,
    load,
)
from narrows.artefact import read_artefact, write_artefact
from narrows.cli import run as cli
from narrows.data.array_sources import array_source
from narrows.data.statistics import describe
from narrows.data.value_range import ValueRange
from narrows.errors import ModelFileError, RangeWarning

SMALL = {"n_components": 3, "hidden": (8,), "max_epochs": 1, "random_state": 0}
WORDS = r"X: values from 0 to {}, but the model was fitted to values from 0 to {}: .* units"


@pytest.fixture(scope="module")
def gray(digits) -> np.ndarray:
    """Digits as bytes, (200, 64)."""
    return np.round(digits[:200] * 15.9).astype(np.uint8)


@pytest.fixture(scope="module")
def of_bytes(gray) -> Autoencoder:
    return Autoencoder(**SMALL, scale="unit").fit(gray)


@pytest.fixture(scope="module")
def of_shares(gray) -> Autoencoder:
    return Autoencoder(**SMALL, scale="unit").fit(gray / 255)


@pytest.mark.parametrize("n", [4, 100])
def test_validation_data_in_other_units_cause_a_warning(gray, n):
    net, held_out = Autoencoder(**SMALL, scale="unit", precision="float32"), gray[100:]
    held_out = held_out[:n] / 255
    with pytest.warns(RangeWarning, match=r"validation_data: values from 0 to .*, but the model"):
        net.fit(gray[:100].astype(float), validation_data=held_out)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.fit(gray[:100].astype(float), validation_data=gray[100 : 100 + n].astype(float))
    y = np.arange(200) % 2
    head = CodeClassifier(net, max_epochs=1, random_state=0)
    with pytest.warns(RangeWarning, match="validation_data: values from 0 to"):
        head.fit(gray[:100], y[:100], validation_data=(held_out, y[:n]))
    detector = AnomalyDetector(Autoencoder(**SMALL), n_folds=2, trim=0, random_state=0)
    with pytest.warns(RangeWarning, match="validation_data: values from 0 to"):
        detector.fit(gray[:100].astype(float), validation_data=held_out)


@pytest.mark.filterwarnings("default")
def test_the_command_line_names_the_file_of_validation_data(gray, tmp_path, capsys):
    np.save(tmp_path / "x.npy", gray[:100].astype(float))
    np.save(tmp_path / "v.npy", gray[100:] / 255)
    fit = ["fit", str(tmp_path / "x.npy"), "--validation", str(tmp_path / "v.npy")]
    assert cli([*fit, "-k", "2", "--epochs", "1", "-q", "-o", str(tmp_path / "m")]) == 0
    error = capsys.readouterr().err
    assert error.count("Warning") == 1 and "v.npy: values from 0 to 0.99" in error


QUERIES = {
    "transform": lambda net, x: net.transform(x),
    "features": lambda net, x: net.features(x, layer=0),
    "reconstruct": lambda net, x: net.reconstruct(x),
    "denoise": lambda net, x: net.denoise(x),
    "score": lambda net, x: net.score(x),
    "evaluate": lambda net, x: net.evaluate(x),
    "inspect": lambda net, x: net.inspect(x),
    "p_values": lambda net, x: net.p_values(x),
    "anomaly_contributions": lambda net, x: net.anomaly_contributions(x),
    "impute": lambda net, x: net.impute(x),
    "perturb": lambda net, x: net.perturb(x),
    "one row": lambda net, x: net.traverse(x[:1], n_steps=2),
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_bytes_instead_of_shares_cause_one_warning_per_call(of_bytes, of_shares, gray, query):
    for net, rows in ((of_bytes, gray[:9] / 255), (of_shares, gray[:9])):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            query(net, rows)
        assert [w.category for w in caught].count(RangeWarning) == 1
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            query(net, gray[:9] if net is of_bytes else gray[:9] / 255)


def test_the_warning_has_both_ranges(of_bytes, of_shares, gray):
    with pytest.warns(RangeWarning, match=WORDS.format(r"0\.996078", "254")):
        of_bytes.transform(gray / 255)
    with pytest.warns(RangeWarning, match=WORDS.format("254", r"0\.996078")):
        of_shares.transform(gray)


def test_tensors_sources_and_sparse_rows_are_checked(of_bytes, gray):
    for rows in (torch.from_numpy(gray / 255), array_source(gray / 255), sp.csr_array(gray / 255)):
        with pytest.warns(RangeWarning):
            of_bytes.transform(rows)


def test_heads_detectors_and_indexes_warn(of_bytes, gray):
    y = np.arange(200) % 2
    head = CodeClassifier(of_bytes, max_epochs=1, random_state=0).fit(gray, y)
    with pytest.warns(RangeWarning):
        head.predict(gray / 255)
    with pytest.warns(RangeWarning):
        CodeClassifier(of_bytes, max_epochs=1, random_state=0).fit(gray / 255, y)
    detector = AnomalyDetector(Autoencoder(**SMALL), n_folds=2, random_state=0).fit(gray)
    with pytest.warns(RangeWarning):
        detector.score_samples(gray / 255)
    hasher = SemanticHasher(8, hidden=(8,), max_epochs=1, random_state=0).fit(gray)
    with pytest.warns(RangeWarning):
        hasher.make_index(gray / 255)


def test_partial_fit_warns_and_extends_the_range(gray):
    net = Autoencoder(**SMALL, scale="unit").partial_fit(gray / 255)
    with pytest.warns(RangeWarning):
        net.partial_fit(gray)
    assert net.model_.value_range.high == 254
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.transform(gray)


def test_the_model_file_keeps_the_range_and_an_older_one_has_none(of_bytes, gray, tmp_path):
    of_bytes.save(tmp_path / "m")
    with pytest.warns(RangeWarning):
        load(tmp_path / "m").transform(gray / 255)
    old = read_artefact(tmp_path / "m", kind="model")
    del old.spec["range"]
    write_artefact(tmp_path / "old", old)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(tmp_path / "old").transform(gray / 255)


@pytest.mark.parametrize(
    "bad",
    [None, 3, {}, {"low": 0.0, "high": 1.0}, {"low": 1.0, "high": 0.0, "typical": 1.0},
     {"low": 0.0, "high": 1e999, "typical": 1.0}, {"low": 0.0, "high": 1.0, "typical": -1.0},
     {"low": "0", "high": 1.0, "typical": 1.0},
     {"low": 0.0, "high": 1.0, "typical": 1.0, "least": -1.0},
     {"low": 0.0, "high": 1.0, "typical": 1.0, "least": "1"}],
)  # fmt: skip
def test_an_invalid_range_is_refused(of_bytes, tmp_path, bad):
    of_bytes.save(tmp_path / "m")
    file = read_artefact(tmp_path / "m", kind="model")
    file.spec["range"] = bad
    with pytest.raises((ModelFileError, ValueError)):
        write_artefact(tmp_path / "m", file)
        load(tmp_path / "m")


@pytest.mark.filterwarnings("default")
def test_the_command_line_prints_it(of_bytes, gray, tmp_path, capsys):
    of_bytes.save(tmp_path / "m")
    np.save(tmp_path / "x.npy", gray / 255)
    words = ["encode", str(tmp_path / "m"), str(tmp_path / "x.npy"), "-o", str(tmp_path / "o.npy")]
    assert cli(words) == 0
    assert capsys.readouterr().err.count("are they in the same units?") == 1


# Rows in the same unit.

ORDINARY = {
    "normal": lambda rng: rng.normal(size=(400, 5)),
    "heavy tails": lambda rng: np.exp(3 * rng.normal(size=(400, 5))),
    "mixed sizes": lambda rng: rng.normal(size=(400, 5)) * [1e-3, 1, 1e3, 1e6, 1],
    "a rare large column": lambda rng: np.column_stack(
        [rng.normal(50, 10, 400), rng.normal(size=400), 1e6 * (rng.random(400) < 0.01)]
    ),
    "very heavy tails": lambda rng: np.exp(4 * rng.normal(size=(400, 1))),
    "counts": lambda rng: rng.poisson(0.3, size=(400, 9)).astype(float),
    "dark images": lambda rng: np.minimum(255, np.exp(rng.normal(2, 1, size=(400, 64)))) // 1,
    "zeros": lambda rng: np.zeros((400, 5)),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_rows_cause_no_warning(name):
    rng = np.random.default_rng(0)
    rows = ORDINARY[name](rng)
    found = describe(array_source(rows[:200])).value_range
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.check_units(array_source(rows[200:]))
        for row in rows[200:]:
            if "heavy" not in name:
                found.check_units(array_source(row[None]))
        for row in rows[:200]:
            found.check_units(array_source(row[None]))
        found.check_units(array_source(np.zeros((3, rows.shape[1]))))


def test_a_held_out_row_of_skewed_data_causes_no_warning(tmp_path):
    rows = np.exp(4 * np.random.default_rng(0).normal(size=(100, 1)))
    smallest = rows.argmin()
    held_out = torch.arange(100) == int(smallest)
    found = describe(array_source(rows), held_out=held_out).value_range
    assert found.least == rows.min() < found.typical / 16
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.check_units(array_source(rows[[smallest]]))
    with pytest.warns(RangeWarning):
        found.check_units(array_source(rows[[smallest]] / 256))
    rest = describe(array_source(rows[1:])).value_range
    assert rest.merged(found).least == min(rest.least, found.least)


def test_a_single_anomalous_row_causes_no_warning(rng):
    rows = rng.normal(size=(100, 4))
    found = describe(array_source(rows)).value_range
    rows[3] *= 1e6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found.check_units(array_source(rows))


def test_proportions_have_no_unit(rng):
    counts = sp.csr_array(rng.poisson(2.0, size=(50, 20)).astype(np.float32))
    net = Autoencoder(**SMALL).fit(counts)
    assert net.model_.scaling.kind == "proportions"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(net.transform(counts * 1e4), net.transform(counts), atol=1e-5)


def test_held_out_rows_and_missing_values_do_not_affect_the_range(rng):
    rows = rng.normal(size=(100, 4))
    rows[0, 0], rows[1] = 1e9, np.nan
    held_out = torch.arange(100) == 0
    found = describe(array_source(rows), held_out=held_out, missing=True).value_range
    assert found.high < 10
    assert found == ValueRange(
        float(np.float32(np.nanmin(rows[1:]))), float(np.float32(np.nanmax(rows[1:]))),
        found.typical, float(np.abs(rows[2:]).max(axis=1).min()),
    )  # fmt: skip
    sizes = np.abs(rows[2:]).max(axis=1)
    assert found.typical <= np.quantile(sizes, 0.06) <= 4 * found.typical
