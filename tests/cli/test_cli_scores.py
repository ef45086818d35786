"""The scores that `narrows head` prints, and labels that its task cannot learn."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from narrows import Autoencoder, CodeClassifier, CodeRegressor, load
from narrows.cli import run as cli
from narrows.errors import InvalidData


def run(*arguments: object) -> int:
    return cli([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table of two clusters, one with three quarters of the rows, and a model."""
    to = tmp_path_factory.mktemp("reached")
    generator = np.random.default_rng(0)
    kind = np.where(np.arange(120) % 4 == 0, "few", "many")
    x = generator.normal(size=(120, 3)) + 6 * (kind == "few")[:, None]
    table = pd.DataFrame(x, columns=list("abc")).assign(kind=kind, size=x.sum(axis=1))
    table["noise"] = generator.permutation(kind)
    table.to_csv(to / "t.csv", index=False)
    assert run("fit", f"{to / 't.csv'}:label=kind,drop=size,drop=noise", "--code", 2, "--hidden",
               "", "--epochs", 60, "--seed", 0, "-q", "-o", to / "m.st") == 0  # fmt: skip
    return to


def learned(folder, capsys, label: str, task: str, *more: object) -> dict:
    others = ",".join(f"drop={c}" for c in ("kind", "size", "noise") if c != label)
    data = f"{folder / 't.csv'}:label={label},{others}"
    capsys.readouterr()
    assert run("head", folder / "m.st", data, "--task", task, "--seed", 0, "-q", "--json",
               *more, "-o", folder / "h.st") == 0  # fmt: skip
    return json.loads(capsys.readouterr().out)


HELD_OUT = ("--set", "validation_fraction=0.25")


def test_a_classifier_gets_accuracies_and_the_most_frequent_share(folder, capsys):
    results = learned(folder, capsys, "kind", "classify", *HELD_OUT)
    assert results["training_rows"] == 90 and results["held_out_rows"] == 30
    assert results["training_accuracy"] > 0.95 and results["held_out_accuracy"] > 0.9
    assert results["most_frequent_class_share"] == 0.75


def test_classes_independent_of_the_rows_are_not_learned(folder, capsys):
    results = learned(folder, capsys, "noise", "classify", *HELD_OUT)
    assert results["held_out_accuracy"] < results["most_frequent_class_share"] + 0.1


def test_a_regressor_gets_r2(folder, capsys):
    results = learned(folder, capsys, "size", "regress", *HELD_OUT)
    assert results["training_r2"] > 0.9 and results["held_out_r2"] > 0.9
    assert "most_frequent_class_share" not in results


def test_scores_are_given_for_training_and_held_out_rows(folder, capsys):
    net = load(folder / "m.st")
    table = pd.read_csv(folder / "t.csv")
    X, y = table[list("abc")].to_numpy(np.float32), table["noise"].to_numpy(str)
    del net.feature_names_in_
    head = CodeClassifier(net, validation_fraction=0.25, random_state=0).fit(X, y)
    held_out = np.isin(np.arange(120), head.held_out_rows_)
    results = learned(folder, capsys, "noise", "classify", *HELD_OUT)
    assert results["held_out_accuracy"] == pytest.approx(head.score(X[held_out], y[held_out]))
    assert results["training_accuracy"] == pytest.approx(head.score(X[~held_out], y[~held_out]))
    # they are the rows that the loop held out
    p = head.predict_proba(X[held_out])[np.arange(30), (y[held_out] == "many").astype(int)]
    assert min(head.validation_history_) == pytest.approx(-np.log(p).mean(), rel=1e-3)


def test_without_held_out_rows_the_output_names_the_option(folder, capsys):
    results = learned(folder, capsys, "kind", "classify")
    assert results["held_out_rows"] == 0 and "held_out_accuracy" not in results
    data = f"{folder / 't.csv'}:label=kind,drop=size,drop=noise"
    assert run("head", folder / "m.st", data, "--task", "classify", "--epochs", 1, "-q", "-o",
               folder / "h.st") == 0  # fmt: skip
    out = capsys.readouterr().out
    assert "most frequent class share: 0.75\n" in out and "training accuracy: " in out
    assert "with --set validation_fraction=0.2, or measure" in out


def test_rows_of_unknown_class_do_not_count(folder, capsys):
    table = pd.read_csv(folder / "t.csv")
    y = np.where(np.arange(120) % 3 == 0, "?", table["kind"])
    (folder / "y.txt").write_text("\n".join(y))
    data = f"{folder / 't.csv'}:drop=kind,drop=size,drop=noise"
    capsys.readouterr()
    assert run("head", folder / "m.st", data, "--labels", folder / "y.txt", "--unknown", "?",
               "--task", "classify", "--seed", 0, "-q", "--json", "-o",
               folder / "h.st") == 0  # fmt: skip
    results = json.loads(capsys.readouterr().out)
    assert results["most_frequent_class_share"] == pytest.approx(
        (y == "many").sum() / (y != "?").sum()
    )
    assert results["training_accuracy"] > 0.95


def test_numbers_are_refused_as_classes_and_words_as_numbers(folder, capsys):
    common = ("-q", "-o", folder / "h.st")
    size = f"{folder / 't.csv'}:label=size,drop=kind,drop=noise"
    assert run("head", folder / "m.st", size, "--task", "classify", *common) == 3
    error = capsys.readouterr().err
    assert "label=size" in error and "120 numbers, such as " in error and "--task regress" in error
    kind = f"{folder / 't.csv'}:label=kind,drop=size,drop=noise"
    assert run("head", folder / "m.st", kind, "--task", "regress", *common) == 3
    error = capsys.readouterr().err
    assert "row 0 (the first is 0): --task regress needs numbers, got 'few'; use --task" in error
    np.save(folder / "y.npy", np.random.default_rng(0).normal(size=120))
    data = f"{folder / 't.csv'}:drop=kind,drop=size,drop=noise"
    y = ("--labels", folder / "y.npy", "--task", "classify")
    assert run("head", folder / "m.st", data, *y, *common) == 3
    assert "y.npy: Unknown label type: continuous" in (error := capsys.readouterr().err)
    assert "--task regress" in error


def test_few_numbers_with_fractions_are_classes(folder, capsys):
    (folder / "y.txt").write_text("\n".join(["0.5", "1.0", "1.5", "2.0"] * 30))
    data = f"{folder / 't.csv'}:drop=kind,drop=size,drop=noise"
    assert run("head", folder / "m.st", data, "--labels", folder / "y.txt", "--task", "classify",
               "--epochs", 1, "-q", "-o", folder / "h.st") == 0  # fmt: skip


def test_in_python_the_other_head_is_named():
    x = np.random.default_rng(0).normal(size=(40, 3))
    net = Autoencoder(2, hidden=(), max_epochs=1, random_state=0).fit(x)
    with pytest.raises(InvalidData, match="y: Unknown label type: .* use CodeRegressor"):
        CodeClassifier(net).fit(x, x[:, 0])
    with pytest.raises(InvalidData, match="y: could not convert string .* use CodeClassifier"):
        CodeRegressor(net).fit(x, ["a", "b"] * 20)


def test_texts_with_labels_are_scored_by_them(tmp_path, capsys):
    for kind, words in (("tea", "cup leaf green warm"), ("sea", "wave salt ship deep")):
        (tmp_path / "texts" / kind).mkdir(parents=True)
        for i in range(12):
            text = " ".join(np.random.default_rng(i).permutation(words.split())[:3])
            (tmp_path / "texts" / kind / f"{i}.txt").write_text(text)
    texts, model, taught = tmp_path / "texts", tmp_path / "m", tmp_path / "h"
    fit = ["fit", texts, "--variant", "document", "--code", 2, "--epochs", 2, "-q", "--seed", 0]
    fit += ["--validation-fraction", 0]  # many texts have the same words
    assert run(*fit, "-o", model) == 0
    assert run("head", model, texts, "--task", "classify", "-q", "--seed", 0, "-o", taught) == 0
    capsys.readouterr()
    assert run("predict", taught, texts, "--json") == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] > 0.9
    (texts / "tea").rename(texts / "milk")  # not a class of the head, and the others are
    assert run("predict", taught, texts, "--json") == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] < 0.6


def test_known_labels_are_counted_if_others_are_unknown(folder, capsys):
    kind = pd.read_csv(folder / "t.csv")["kind"].where(np.arange(120) % 6 == 0)
    kind.to_csv(folder / "labeled.csv", index=False, header=False, na_rep="?")
    capsys.readouterr()
    data = f"{folder / 't.csv'}:drop=kind,drop=size,drop=noise"
    assert run("head", folder / "m.st", data, "--labels", folder / "labeled.csv",
               "--task", "classify", "--unknown", "?", "--seed", 0, "-q", "--json", *HELD_OUT,
               "-o", folder / "few.st") == 0  # fmt: skip
    results = json.loads(capsys.readouterr().out)
    assert results["training_rows"] == 90 and results["held_out_rows"] == 30
    assert results["training_labels"] + results["held_out_labels"] == 20
    assert 0 < results["held_out_labels"] < 20
