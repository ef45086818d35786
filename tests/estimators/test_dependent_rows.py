"""Dependent rows: groups, blocks, validation data, and copies."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from topics import topic_texts

from narrows import (
    AnomalyDetector,
    Autoencoder,
    CodeClassifier,
    CodeRegressor,
    DocumentAutoencoder,
    load,
)
from narrows.cli import run as cli
from narrows.cli._columns import open_with_columns
from narrows.data.array_sources import array_source
from narrows.data.copies import count_copies
from narrows.data.splitting import Grouping
from narrows.errors import CopiesWarning, InvalidData, UsageError

SMALL = {"hidden": (6,), "max_epochs": 1, "random_state": 0}
N = 60


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def X() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, 6)).astype(np.float32)


def subjects(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Twelve rows for each of n subjects; subjects differ, rows of one subject hardly do."""
    rng = np.random.default_rng(seed)
    each = rng.normal(size=(n, 20))
    rows = np.repeat(each, 12, axis=0) + rng.normal(scale=0.05, size=(12 * n, 20))
    return rows.astype(np.float32), np.repeat(np.arange(n), 12)


# --- the split


def test_a_group_is_never_split_and_the_fraction_counts_groups():
    groups = torch.from_numpy(np.random.default_rng(0).permutation(np.repeat(np.arange(20), 5)))
    selection = Grouping(groups).select(100, 0.25, generator=seeded())
    apart = groups[selection.held_out].unique()
    assert len(apart) == 5 and not torch.isin(groups[selection.training], apart).any()
    assert bool((selection.training ^ selection.held_out).all())


def test_with_few_groups_one_is_held_out_and_one_is_kept():
    groups = torch.arange(3).repeat_interleave(4)
    for fraction, wanted in ((0.1, 4), (0.99, 8)):
        assert Grouping(groups).select(12, fraction, generator=seeded()).held_out.sum() == wanted


def test_blocks_are_consecutive_and_the_gap_is_in_neither_part():
    selection = Grouping(block_length=10, gap=3).select(100, 0.2, generator=seeded(1))
    held_out, training = selection.held_out.numpy(), selection.training.numpy()
    blocks = held_out.reshape(10, 10)
    assert blocks.all(axis=1).sum() == 2 and (blocks.any(axis=1) == blocks.all(axis=1)).all()
    at = np.flatnonzero(held_out)
    for row in range(100):
        near = np.abs(at - row).min() <= 3
        assert training[row] == (not near)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": np.zeros(N)}, "groups: all 60 rows are in one group"),
        ({"groups": np.arange(N - 1)}, "groups: 59 values for 60 rows"),
        ({"groups": [None, *range(N - 1)]}, "groups: no group in row 0"),
        ({"block_length": N}, "block_length: all 60 rows are in one group"),
        ({"block_length": 10, "gap": N}, "gap: 60 rows on either side .* leave none to train on"),
    ],
)
def test_invalid_groups_are_refused(X, arguments, message):
    with pytest.raises(InvalidData, match=message):
        Autoencoder(2, **SMALL).fit(X, **arguments)


@pytest.mark.parametrize(
    ("estimator", "arguments", "message"),
    [
        ({}, {"gap": 3}, "gap: 3 has no effect without block_length"),
        ({}, {"groups": np.arange(N), "block_length": 5}, "block_length: groups already says"),
        ({}, {"groups": np.arange(N), "validation_data": np.ones((9, 6))}, "groups: has no effect"),
        ({"validation_fraction": 0.0}, {"block_length": 5}, "block_length: has no effect, since"),
        ({}, {"validation_data": (1, 2, 3)}, r"must be X or a pair \(X, y\), got 3 parts"),
    ],
)
def test_arguments_without_effect_are_refused(X, estimator, arguments, message):
    with pytest.raises(UsageError, match=message):
        Autoencoder(2, **{**SMALL, **estimator}).fit(X, **arguments)


# --- false alarms


def test_with_groups_the_false_alarm_rate_is_alpha():
    rows, groups = subjects(60, 0)
    new = subjects(80, 1)[0]
    arguments = {"hidden": (64,), "max_epochs": 60, "batch_size": 64, "learning_rate": 1e-2,
                 "random_state": 0, "validation_fraction": 0.3, "patience": None}  # fmt: skip
    alone = Autoencoder(8, **arguments).fit(rows)
    grouped = Autoencoder(8, **arguments).fit(rows, groups=groups)
    alarms = [float((net.p_values(new) <= 0.05).mean()) for net in (alone, grouped)]
    assert alarms[0] > 0.5 and alarms[1] < 0.12, alarms


def test_with_groups_the_false_alarm_rate_of_a_detector_is_alpha():
    rows, groups = subjects(40, 0)
    new = subjects(80, 1)[0]
    net = Autoencoder(
        8, hidden=(32,), max_epochs=60, batch_size=64, learning_rate=1e-2, validation_fraction=0.0
    )
    arguments = {"n_folds": 2, "trim": 0, "random_state": 0}
    alone = AnomalyDetector(net, **arguments).fit(rows)
    grouped = AnomalyDetector(net, **arguments).fit(rows, groups=groups)
    validated = AnomalyDetector(net, **arguments).fit(rows, validation_data=subjects(40, 2)[0])
    alarms = [float((d.p_values(new) <= 0.05).mean()) for d in (alone, grouped, validated)]
    assert alarms[0] > 0.4 and max(alarms[1:]) < 0.12, alarms
    assert len(validated.calibration_) == 480


# --- rows held out of one's own


def test_validation_data_are_held_out_and_all_rows_are_trained_on(X):
    others = X[:20] + 0.1
    net = Autoencoder(2, **SMALL, linear_start=False).fit(X, validation_data=others)
    record = net.model_.record
    assert (record["n_rows"], record["n_validation_rows"]) == (N, 20)
    np.testing.assert_allclose(
        np.sort(-net.score_samples(others)), net.model_.calibration.numpy(), rtol=1e-4
    )
    again = Autoencoder(2, **SMALL, linear_start=False).fit(X, validation_data=5 * others)
    np.testing.assert_array_equal(net.transform(X), again.transform(X))
    assert net.validation_history_ != again.validation_history_


def test_validation_data_are_checked(X):
    with pytest.raises(ValueError, match="3 features"):
        Autoencoder(2, **SMALL).fit(X, validation_data=X[:, :3])
    bad = X[:9].copy()
    bad[4, 2] = np.inf
    with pytest.raises(InvalidData, match="validation_data contains infinity .* row 4, column 2"):
        Autoencoder(2, **SMALL).fit(X, validation_data=bad)


def test_held_out_texts_are_counted_with_the_training_vocabulary():
    texts, _ = topic_texts(n=40)
    net = DocumentAutoencoder(2, n_neighbors=0, **SMALL)
    net.fit(texts[:30], validation_data=[f"zebra {text}" for text in texts[30:]])
    assert "zebra" not in net.vocabulary_.terms and net.vocabulary_.n_documents == 30
    assert net.model_.record["n_validation_rows"] == len(texts) - 30


# --- heads


def test_heads_hold_out_whole_groups(X):
    y, groups = np.arange(N) % 2, np.repeat(np.arange(12), 5)
    net = Autoencoder(2, **SMALL).fit(X)
    head = CodeClassifier(net, validation_fraction=0.25, max_epochs=2, random_state=0)
    head.fit(X, y, groups=groups)
    apart = groups[head.held_out_rows_]
    assert len(head.held_out_rows_) == 15 and len(np.unique(apart)) == 3


def test_a_head_fits_its_scaling_to_training_rows(X):
    y = np.arange(N, dtype=float)
    arguments = {"validation_fraction": 0.25, "max_epochs": 1, "random_state": 0}
    first = CodeRegressor(Autoencoder(2, **SMALL), **arguments).fit(X, y)
    apart = first.held_out_rows_
    kept = np.setdiff1d(np.arange(N), apart)
    assert first.y_mean_ == pytest.approx(y[kept].mean())
    other, other_y = X.copy(), y.copy()
    other[apart], other_y[apart] = 9 * X[apart] + 1, -5 * y[apart]
    second = CodeRegressor(Autoencoder(2, **SMALL), **arguments).fit(other, other_y)
    np.testing.assert_array_equal(first.predict(X), second.predict(X))
    assert first.validation_history_ != second.validation_history_


def test_heads_accept_validation_data(X):
    y = np.arange(N) % 2
    net = Autoencoder(2, **SMALL, validation_fraction=0.1)
    head = CodeClassifier(net, max_epochs=2, random_state=0)
    head.fit(X[:40], y[:40], validation_data=(X[40:], y[40:]))
    assert len(head.validation_history_) == 2
    assert head.autoencoder_.model_.record["n_rows"] == 36  # of 40, a tenth its own
    plain = CodeClassifier(Autoencoder(2, **SMALL), max_epochs=2, random_state=0)
    assert plain.fit(X[:40], y[:40]).validation_history_ == []
    with pytest.raises(UsageError, match="validation_data: a head needs y too"):
        head.fit(X[:40], y[:40], validation_data=X[40:])


# --- copies


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_copies_are_counted(form):
    rows = np.random.default_rng(0).poisson(2.0, (50, 8)).astype(np.float32)
    others = np.concatenate([rows[[3, 7]], rows[:3] + 0.5, np.zeros((2, 8), np.float32)])
    training = np.concatenate([rows, np.zeros((1, 8), np.float32)])
    assert count_copies(array_source(form(training)), array_source(form(others))) == 2


def test_copies_across_the_split_cause_a_warning(X):
    twice = np.concatenate([X, X, X])
    with pytest.warns(
        CopiesWarning, match="of the 18 held-out rows are exact copies of training rows"
    ):
        net = Autoencoder(2, **SMALL, validation_fraction=0.1).fit(twice)
    assert net.model_.record["n_copies_held_out"] > 10
    with warnings.catch_warnings():
        warnings.simplefilter("error", CopiesWarning)
        for fraction in (0.1, "auto"):
            net = Autoencoder(2, **SMALL, validation_fraction=fraction)
            net.fit(twice, groups=np.tile(np.arange(N), 3))
        Autoencoder(2, **SMALL).fit(X)


# --- command line


@pytest.fixture
def table(X, tmp_path):
    path = tmp_path / "t.csv"
    lines = [",".join([*map(str, row), f"s{i // 5}"]) for i, row in enumerate(X)]
    path.write_text("\n".join(["a,b,c,d,e,f,subject", *lines]) + "\n")
    np.save(tmp_path / "v.npy", X[:20] + 0.1)
    return path


def test_fit_accepts_groups_blocks_and_validation_rows(table, tmp_path, capsys):
    out = tmp_path / "m.safetensors"
    command = ["fit", str(table), "-k", "2", "--hidden", "6", "--epochs", "1", "-q", "--seed", "0",
               "-o", str(out), "--json", "--validation-fraction", "0.1"]  # fmt: skip

    def held_out(*more: str) -> int:
        assert cli([*command, *more]) == 0
        return json.loads(capsys.readouterr().out)["n_rows"]

    assert held_out("--groups", "subject") == 5  # one subject of twelve
    assert load(out).n_features_in_ == 6
    drop = ["fit", f"{table}:drop=subject", *command[2:]]
    command = drop
    assert held_out("--block-length", "20", "--gap", "2") == 20
    assert load(out).model_.record["n_rows"] in (38, 36)
    np.save(tmp_path / "x.npy", np.load(tmp_path / "v.npy") * 2)
    command = [*drop[:1], str(tmp_path / "x.npy"), *drop[2:]]
    assert held_out("--validation", str(tmp_path / "v.npy")) == 20
    assert cli([*drop, "--groups", "subjects"]) == 3
    assert "Did you mean 'subject'" in capsys.readouterr().err
    assert cli([*drop[:1], str(tmp_path / "v.npy"), *drop[2:], "--groups", "a"]) in (2, 3)


def open_grouped(data, column):
    opened = open_with_columns(data, {"--groups": column})
    return opened.rows, opened.columns["--groups"]


GROUPED = {
    "plain": "",
    "header": ":header=yes",
    "quoted": ':"drop=a, cm"',
    "label of the groups": ":label=subject",
    "label and id": ":label=kind,id=key",
    "all": ':header=yes,"drop=a, cm",label=kind,id=key',
}


@pytest.mark.parametrize("options", GROUPED.values(), ids=GROUPED)
def test_groups_respect_the_options_in_a_name(tmp_path, options):
    lines = [f"{i},{i % 7},{i % 2},{i},s{i // 5}" for i in range(20)]
    head = '"a, cm",b,kind,key,subject'
    (tmp_path / "t.csv").write_text("\n".join([head, *lines]) + "\n")
    source, groups = open_grouped(f"{tmp_path / 't.csv'}{options}", "subject")
    assert groups.tolist() == [f"s{i // 5}" for i in range(20)]
    names = ["a, cm", "b", "kind", "key"]
    assert source.names == [name for name in names if f"={name}" not in options]
    assert (source.ids is not None) == ("id=" in options)
    assert (source.labels is not None) == ("label=" in options)


def test_groups_respect_the_header_option(tmp_path):
    (tmp_path / "t.csv").write_text("1,2,3\n4,5,0\n6,7,1\n")
    source, groups = open_grouped(f"{tmp_path / 't.csv'}:header=yes", "3")
    assert source.names == ["1", "2"] and groups.tolist() == ["0", "1"]
    with pytest.raises(InvalidData, match="no names"):
        open_grouped(f"{tmp_path / 't.csv'}:header=no", "3")


@pytest.mark.parametrize("options", ["kind=images", "features=3", "member=x", "resize=3x3"])
def test_groups_refuse_options_that_do_not_apply(tmp_path, options):
    (tmp_path / "t.csv").write_text("a,b,c\n4,5,0\n6,7,1\n")
    with pytest.raises(ValueError, match=options.split("=")[0]):
        open_grouped(f"{tmp_path / 't.csv'}:{options}", "c")


def test_groups_of_texts_respect_the_options_in_a_name(tmp_path):
    (tmp_path / "t.csv").write_text("body,key,who\nred fox,x,s\nblue hen,y,t\n")
    documents, groups = open_grouped(f"{tmp_path / 't.csv'}:text=body,id=key", "who")
    assert [document.id for document in documents] == ["x", "y"]
    assert groups.tolist() == ["s", "t"]


def test_detector_accepts_groups(table, tmp_path, capsys):
    command = ["detector", str(table), "--groups", "subject", "--set", "n_folds=2", "--set",
               "trim=0", "--seed", "0", "-q", "-o", str(tmp_path / "d"), "--json"]  # fmt: skip
    assert cli(command) == 0
    assert json.loads(capsys.readouterr().out)["features"] == 6


@pytest.mark.parametrize("settings", [{"block_length": 10**20}, {"block_length": 4, "gap": 10**19}])
def test_too_large_lengths_are_refused(settings):
    name = list(settings)[-1]
    with pytest.raises(UsageError, match=f"^{name}: .*64 bits"):
        Autoencoder(1, hidden=(), max_epochs=1).fit(np.eye(8), **settings)


def test_a_huge_gap_leaves_no_training_rows():
    net = Autoencoder(1, hidden=(), max_epochs=1, validation_fraction=0.1)
    with pytest.raises(InvalidData, match="^gap: "):
        net.fit(np.eye(8), block_length=4, gap=2**63 - 1)
