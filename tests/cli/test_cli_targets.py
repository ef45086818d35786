"""narrows head and predict with several targets, held-out rows and weights."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from narrows import CodeClassifier, CodeRegressor, load
from narrows.cli import run as cli
from narrows.data.readers.naming import format_name, parse_name
from narrows.errors import UsageError

N = 80
COMMON = "drop=subject,drop=w,drop=kind"


def run(*arguments: object) -> int:
    return cli([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    to = tmp_path_factory.mktemp("targets")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(N, 4)), columns=list("pqrs")).round(4)
    table["s"] /= 100  # so that a code of three numbers keeps almost everything
    table["size, cm"] = (5 + 2 * table.p).round(4)
    table["shift"] = (table.q - table.r).round(4)
    table["subject"] = np.repeat(np.arange(20), 4)
    table["w"] = rng.integers(1, 5, size=N)
    table["kind"] = np.where(table.p > 0, "up", "down")
    table.loc[3, "shift"] = np.nan
    table[:60].to_csv(to / "t.csv", index=False)
    table[60:].to_csv(to / "new.csv", index=False)
    features = f'{to / "t.csv"}:"drop=size, cm",drop=shift,{COMMON}'
    assert run("fit", features, "--variant", "linear", "--code", 3, "--epochs", 150, "--seed", 0,
               "-q", "-o", to / "m.st") == 0  # fmt: skip
    return to


def named(folder, file: str) -> str:
    return f'{folder / file}:"label=size, cm",label=shift,{COMMON}'


def answer(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def head(folder):
    assert run("head", folder / "m.st", named(folder, "t.csv"), "--task", "regress", "--epochs",
               150, "--seed", 0, "-q", "-o", folder / "h.st") == 0  # fmt: skip
    return folder / "h.st"


def test_several_labels_are_several_targets_with_their_names(folder, head):
    table = pd.read_csv(folder / "t.csv")
    ours = load(head)
    assert ours.target_names_ == ["size, cm", "shift"]
    net = load(folder / "m.st")
    theirs = CodeRegressor(net, max_epochs=150, random_state=0)
    theirs.fit(table[list("pqrs")], table[["size, cm", "shift"]])
    np.testing.assert_allclose(
        ours.predict(table[list("pqrs")]), theirs.predict(table[list("pqrs")]), rtol=1e-6
    )


def test_predict_writes_one_column_per_target(folder, head, tmp_path, capsys):
    assert run("predict", head, named(folder, "new.csv"), "-o", tmp_path / "p.csv", "--json") == 0
    results, table = answer(capsys), pd.read_csv(tmp_path / "p.csv")
    assert list(table) == ["size, cm", "shift"] and len(table) == 20
    assert [*results["r2_of_targets"]] == ["size, cm", "shift"]
    assert results["r2"] == pytest.approx(np.mean([*results["r2_of_targets"].values()]))
    assert min(results["r2_of_targets"].values()) > 0.9
    one = f'{folder / "new.csv"}:label=shift,"drop=size, cm",{COMMON}'
    assert run("predict", head, one) == 0
    out = capsys.readouterr().out
    assert "r2 of shift:" in out and "r2 of size" not in out


def test_a_labels_file_may_hold_several_targets(folder, head, tmp_path, capsys):
    features = f'{folder / "new.csv"}:"drop=size, cm",drop=shift,{COMMON}'
    labels = f'{folder / "new.csv"}:label=shift,"label=size, cm"'
    assert run("predict", head, features, "--labels", labels, "--json") == 0
    assert min(answer(capsys)["r2_of_targets"].values()) > 0.9
    assert run("head", folder / "m.st", features, "--labels", labels, "--task", "regress",
               "--epochs", 1, "-q", "-o", tmp_path / "h.st") == 0  # fmt: skip
    assert load(tmp_path / "h.st").target_names_ == ["shift", "size, cm"]


@pytest.mark.parametrize(
    "task, more, message",
    [
        ("classify", [], "--task classify: reads one label per row"),
        ("regress", ["--labels", "y.csv"], "--labels: .* also names labels"),
    ],
)
def test_invalid_targets_are_refused(task, more, message, folder, tmp_path, capsys):
    command = ["head", folder / "m.st", named(folder, "t.csv"), "--task", task, *more]
    assert run(*command, "-o", tmp_path / "h.st") == 2
    assert re.search(message, capsys.readouterr().err)


def test_predict_names_targets_that_the_head_does_not_have(folder, head, capsys):
    other = f'{folder / "new.csv"}:label=w,drop=shift,"drop=size, cm",drop=subject,drop=kind'
    assert run("predict", head, other) == 3
    assert (
        "label=w is not a target of this head, which has size, cm, shift" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "name",
    ['t.csv:"drop=a, b",drop=c,label=d', "t.csv:header=no", "t.svmlight:features=3,first=1",
     "t.csv", "x:resize=4x6,kind=images"],
)  # fmt: skip
def test_a_name_is_written_as_it_is_read(name):
    assert parse_name(format_name(*parse_name(name))) == parse_name(name)


def test_labels_are_named_once_unless_several_are_allowed():
    assert parse_name("t.csv:label=a,label=b", several=True)[1] == {"label": ("a", "b")}
    with pytest.raises(UsageError, match="label=NAME"):
        parse_name("t.csv:label=a,label=b")
    with pytest.raises(UsageError, match="label=a is repeated"):
        parse_name("t.csv:label=a,label=a", several=True)


# --- rows held out, and weights


def of_kind(folder, file: str, *also: str) -> str:
    drop = [c for c in ("subject", "w", "shift") if c not in also]
    return f'{folder / file}:label=kind,"drop=size, cm",' + ",".join(f"drop={c}" for c in drop)


def test_head_holds_out_whole_groups(folder, tmp_path, capsys):
    assert run("head", folder / "m.st", of_kind(folder, "t.csv"), "--groups", "subject", "--task",
               "classify", "--set", "validation_fraction=0.2", "--epochs", 2, "--seed", 0, "-q",
               "--json", "-o", tmp_path / "h.st") == 0  # fmt: skip
    results, ours = answer(capsys), load(tmp_path / "h.st")
    assert (results["training_rows"], results["held_out_rows"]) == (48, 12)
    table = pd.read_csv(folder / "t.csv")
    theirs = CodeClassifier(
        load(folder / "m.st"), validation_fraction=0.2, max_epochs=2, random_state=0
    )
    theirs.fit(table[list("pqrs")], table["kind"], groups=table["subject"].astype(str))
    rows = table[list("pqrs")]
    np.testing.assert_array_equal(ours.predict_proba(rows), theirs.predict_proba(rows))


def test_head_leaves_a_gap_out_of_both_parts(folder, tmp_path, capsys):
    assert run("head", folder / "m.st", of_kind(folder, "t.csv"), "--block-length", 20, "--gap", 3,
               "--task", "classify", "--set", "validation_fraction=0.4", "--epochs", 1, "--seed",
               0, "-q", "--json", "-o", tmp_path / "h.st") == 0  # fmt: skip
    results = answer(capsys)
    assert results["held_out_rows"] == 20 and results["training_rows"] in (34, 37)


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_head_accepts_validation_rows(task, folder, tmp_path, capsys):
    data, apart = (
        of_kind(folder, file) if task == "classify" else named(folder, file)
        for file in ("t.csv", "new.csv")
    )
    assert run("head", folder / "m.st", data, "--validation", apart, "--task", task, "--epochs",
               60, "--seed", 0, "-q", "--json", "-o", tmp_path / "h.st") == 0  # fmt: skip
    results = answer(capsys)
    assert (results["training_rows"], results["held_out_rows"]) == (60, 20)
    assert results["held_out_accuracy" if task == "classify" else "held_out_r2"] > 0.7


def test_head_needs_labels_of_the_validation_rows(folder, tmp_path, capsys):
    apart = of_kind(folder, "new.csv").replace("label=kind", "drop=kind")
    assert run("head", folder / "m.st", of_kind(folder, "t.csv"), "--validation", apart, "--task",
               "classify", "-o", tmp_path / "h.st") == 2  # fmt: skip
    assert "holds no labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    "task, option",
    [("match", ["--groups", "subject"]), ("match", ["--gap", "1"]), ("match", ["--weights", "w"]),
     ("segment", ["--validation", "v.npy"]), ("segment", ["--weights", "w"])],
)  # fmt: skip
def test_options_that_a_task_does_not_accept_are_refused(task, option, folder, tmp_path, capsys):
    command = ["head", folder / "m.st", of_kind(folder, "t.csv"), "--task", task, *option]
    assert run(*command, "-o", tmp_path / "h.st") == 2
    assert f"{option[0]}: --task {task} " in capsys.readouterr().err


def test_weights_come_from_a_column_or_a_file(folder, tmp_path):
    table = pd.read_csv(folder / "t.csv")
    np.save(tmp_path / "w.npy", table["w"])
    both = []
    for weights in ("w", tmp_path / "w.npy", f"{folder / 't.csv'}:label=w"):
        data = of_kind(folder, "t.csv", "w" if weights == "w" else "")
        assert run("head", folder / "m.st", data, "--weights", weights, "--task", "classify",
                   "--epochs", 2, "--seed", 0, "-q", "-o", tmp_path / "h.st") == 0  # fmt: skip
        both.append(load(tmp_path / "h.st").predict_proba(table[list("pqrs")]))
    theirs = CodeClassifier(load(folder / "m.st"), max_epochs=2, random_state=0)
    theirs.fit(table[list("pqrs")], table["kind"], table["w"])
    for results in both:
        np.testing.assert_array_equal(results, theirs.predict_proba(table[list("pqrs")]))


def test_fit_weights_rows(folder, tmp_path, capsys):
    from narrows import Autoencoder

    table = pd.read_csv(folder / "t.csv")
    data = f'{folder / "t.csv"}:label=kind,"drop=size, cm",drop=shift'
    options = ["--code", 2, "--hidden", 4, "--epochs", 2, "--seed", 0]
    assert run("fit", data, "--groups", "subject", "--weights", "w", *options, "-q", "--json", "-o",
               tmp_path / "a.st") == 0  # fmt: skip
    assert answer(capsys)["weighted"] is True
    theirs = Autoencoder(2, hidden=(4,), max_epochs=2, random_state=0)
    theirs.fit(table[list("pqrs")], sample_weight=table["w"], groups=table["subject"].astype(str))
    rows = table[list("pqrs")]
    np.testing.assert_array_equal(load(tmp_path / "a.st").transform(rows), theirs.transform(rows))


@pytest.mark.parametrize(
    "weights, message",
    [("weight", "no column 'weight'"), ("kind", "--weights needs numbers, got ")],
)
def test_invalid_weights_are_named(weights, message, folder, tmp_path, capsys):
    data = f'{folder / "t.csv"}:"drop=size, cm",drop=shift,drop=subject'
    data += ",drop=w" if weights == "kind" else ",drop=w,drop=kind"
    assert run("fit", data, "--weights", weights, "-q", "-o", tmp_path / "a.st") == 3
    assert message in capsys.readouterr().err
