"""narrows head and predict: labels as strings and numbers, and missing labels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import dump_svmlight_file

from narrows import load
from narrows.cli import run as cli

LARGE = 2**53 + 1  # no float equals it


def run(*arguments) -> int:
    return cli([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, autoencoder, rows):
    folder = tmp_path_factory.mktemp("labels")
    autoencoder.save(folder / "m.st")
    np.save(folder / "x.npy", rows)
    return folder


@pytest.fixture(scope="module")
def numbers() -> np.ndarray:
    """Classes 0 to 2; every fifth label is unknown, -1."""
    return np.where(np.arange(450) % 5, np.arange(450) // 150, -1)


def written(path: Path, labels: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, labels)
    else:
        path.write_text("\n".join(map(str, labels.tolist())) + "\n")
    return path


def head(folder: Path, labels: Path, task: str, *more):
    out = labels.with_suffix(".st")
    epochs = [] if task == "match" else ["--epochs", 2]
    assert run("head", folder / "m.st", folder / "x.npy", "--task", task, "--labels", labels,
               "--seed", 0, *epochs, "-q", "-o", out, *more) == 0  # fmt: skip
    return load(out)


def accuracy(folder: Path, fitted: Path, labels: Path, capsys) -> dict:
    capsys.readouterr()
    assert run("predict", fitted, folder / "x.npy", "--labels", labels, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", ["y.txt", "y.csv"])
@pytest.mark.parametrize("task", ["match", "classify"])
def test_integers_in_a_text_file_equal_those_of_an_array(
    kind, task, folder, tmp_path, rows, numbers
):
    more = ["--unknown", -1] if task == "classify" else []
    of_array = head(folder, written(tmp_path / "a.npy", numbers), task, *more)
    of_text = head(folder, written(tmp_path / kind, numbers), task, *more)
    method = "transform" if task == "match" else "predict_proba"
    np.testing.assert_array_equal(getattr(of_array, method)(rows), getattr(of_text, method)(rows))


@pytest.mark.filterwarnings("default:.*neither index 0:UserWarning")
def test_an_svmlight_file_provides_rows_and_labels(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    x = np.where(y[:, None], [1.0, 0, 0, 0], [0, 1, 0, 0]) * rng.uniform(1, 2, size=(60, 1))
    x[0, 3] = 0.5
    for name, part in (("train", slice(None)), ("test", slice(1, None))):  # the last column: only 0
        dump_svmlight_file(x[part], y[part], str(tmp_path / f"{name}.svmlight"), zero_based=False)
    train, test = tmp_path / "train.svmlight", tmp_path / "test.svmlight"
    assert run("fit", train, "--hidden", 8, "--code", 2, "--epochs", 2, "--seed", 0, "-q",
               "-o", tmp_path / "m.st") == 0  # fmt: skip
    assert run("head", tmp_path / "m.st", train, "--task", "classify", "--seed", 0, "-q",
               "-o", tmp_path / "h.st") == 0  # fmt: skip
    assert load(tmp_path / "h.st").classes_.tolist() == [0, 1]
    capsys.readouterr()
    assert run("predict", tmp_path / "h.st", test, "--labels", test) == 3
    capsys.readouterr()
    whole = f"{test}:features=4,first=1"
    assert run("predict", tmp_path / "h.st", whole, "--labels", test, "--json") == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["rows"] == 59 and not err
    assert run("predict", tmp_path / "h.st", f"{test}:features=4", "--labels", test) == 0
    assert "indices are assumed to start at 1" in capsys.readouterr().err
    assert run("predict", tmp_path / "h.st", f"{test}:features=4,first=2") == 2
    assert "first=0 or first=1" in capsys.readouterr().err
    assert run("predict", tmp_path / "h.st", f"{test}:features=4,label=x") == 2
    assert "features and first cannot be combined with other options" in capsys.readouterr().err
    assert run("predict", tmp_path / "h.st", f"{test}:features=four", "--labels", test) == 2
    assert "'features=four': expected features=NUMBER" in capsys.readouterr().err


@pytest.mark.filterwarnings("default:.* was read as a header")
@pytest.mark.parametrize("task", ["classify", "regress"])
def test_labels_with_a_header_or_in_a_named_column_equal_those_of_an_array(
    task, folder, tmp_path, rows, capsys
):
    numbers = np.arange(450) // 150
    of_array = head(folder, written(tmp_path / "a.npy", numbers), task)
    cells = [f"{i},{i % 7},{n}" for i, n in enumerate(numbers)]
    (tmp_path / "one.csv").write_text("\n".join(["grade", *map(str, numbers)]) + "\n")
    (tmp_path / "many.csv").write_text("\n".join(["id,other,grade", *cells]) + "\n")
    for labels in (tmp_path / "one.csv", Path(f"{tmp_path}/many.csv:label=grade")):
        fitted = head(folder, labels, task)
        np.testing.assert_array_equal(fitted.predict(rows), of_array.predict(rows))
        found = accuracy(folder, labels.with_suffix(".st"), labels, capsys)
        assert found == accuracy(folder, tmp_path / "a.st", tmp_path / "a.npy", capsys)


@pytest.mark.parametrize(
    ("named", "code", "message"),
    [
        ("y.csv", 3, "y.csv, line 1: expected one cell.*name the column of labels: y.csv:label="),
        ("y.csv:b", 2, "to name a column of labels, write y.csv:label=b"),
        ("y.csv:text=b", 2, "for labels, name only their column: y.csv:label=COLUMN"),
        ("y.csv:label=c", 3, "y.csv: label: unknown name 'c'; choose from a, b"),
        ("z.csv:label=b", 3, "z.csv: no such file of labels"),
    ],
)
def test_a_column_is_named_as_documents_name_theirs(
    named, code, message, folder, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("y.csv").write_text("a,b\n" + "1,2\n" * 450)
    assert run("head", folder / "m.st", folder / "x.npy", "--task", "classify",
               "--labels", named, "-o", "h.st") == code  # fmt: skip
    assert re.search(message, capsys.readouterr().err)


def test_an_output_over_the_file_of_a_named_column_is_refused(folder, tmp_path, capsys):
    labels = tmp_path / "y.csv"
    labels.write_text("a,b\n" + "1,2\n" * 450)
    assert run("head", folder / "m.st", folder / "x.npy", "--task", "classify",
               "--labels", f"{labels}:label=b", "-o", labels) == 2  # fmt: skip
    assert "y.csv: is the input" in capsys.readouterr().err


def test_labels_of_documents_equal_those_of_a_file(numbers):
    from narrows.cli._labels import one_label_per_row
    from narrows.text import Document, Documents

    texts = [Document(str(i), "a", (str(label),)) for i, label in enumerate(numbers)]
    labeled = Documents(lambda: iter(texts), labeled=True)
    np.testing.assert_array_equal(one_label_per_row(labeled, None, 450), numbers)


def test_minus_one_means_unknown_to_a_matcher_among_string_labels(folder, tmp_path, rows, numbers):
    names = np.where(numbers < 0, "-1", np.array(["a", "b", "c"])[numbers])
    of_names = head(folder, written(tmp_path / "names.txt", names), "match")
    of_numbers = head(folder, written(tmp_path / "y.npy", numbers), "match")
    np.testing.assert_array_equal(of_names.transform(rows), of_numbers.transform(rows))


@pytest.mark.parametrize("texts", [["01", "1"], ["1.0", "2"], ["+1", "2"], [str(2**63), "1"]])
def test_strings_that_integers_would_not_reproduce_stay_strings(texts, folder, tmp_path):
    labels = written(tmp_path / "y.txt", np.array(texts).repeat(225))
    assert set(head(folder, labels, "classify").classes_) == set(texts)


def test_a_string_missing_label_matches_string_labels(folder, tmp_path):
    labels = written(tmp_path / "y.txt", np.array(["1", "2"]).repeat(225))  # by chance none is ?
    assert head(folder, labels, "classify", "--unknown", "?").classes_.tolist() == ["1", "2"]


@pytest.mark.parametrize("kind", ["y.npy", "y.txt"])
def test_a_large_integer_missing_label_is_recognized(kind, folder, tmp_path):
    labels = np.array([1, LARGE, LARGE + 1]).repeat(150)
    fitted = head(folder, written(tmp_path / kind, labels), "classify", "--unknown", LARGE)
    assert fitted.classes_.tolist() == [1, LARGE + 1]


@pytest.mark.parametrize("unknown", ["-1", "-1.0"])
def test_a_float_missing_label_is_recognized(unknown, folder, tmp_path, numbers):
    labels = written(tmp_path / "y.npy", numbers.astype(float))
    assert len(head(folder, labels, "classify", "--unknown", unknown).classes_) == 3


def test_rows_of_unknown_class_are_not_scored(folder, tmp_path, rows, numbers, capsys):
    labels = written(tmp_path / "y.txt", numbers)
    fitted = head(folder, labels, "classify", "--unknown", -1)
    found = accuracy(folder, tmp_path / "y.st", labels, capsys)
    known = numbers >= 0
    expected = (fitted.predict(rows)[known] == numbers[known]).mean()
    assert found == {"rows": 450, "accuracy": pytest.approx(expected), "rows_without_label": 90}
    none = written(tmp_path / "none.txt", np.full(450, -1))
    assert run("predict", tmp_path / "y.st", folder / "x.npy", "--labels", none) == 3
    assert (
        "none.txt: every label is -1, which this head reads as unknown" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    "fitted_type, label_type, kind",
    [(int, int, "txt"), (int, float, "txt"), (int, str, "npy"), (float, int, "txt"),
     (float, float, "txt"), (float, str, "npy"), (str, int, "txt"), (str, float, "npy"),
     (str, int, "npy")],
)  # fmt: skip
def test_classes_are_compared_as_numbers(
    fitted_type, label_type, kind, folder, tmp_path, rows, numbers, capsys
):
    y = np.arange(450) // 150
    fitted = head(folder, written(tmp_path / "y.npy", y.astype(fitted_type)), "classify")
    labels = written(tmp_path / f"label_type.{kind}", y.astype(label_type))
    expected = (fitted.predict(rows).astype(float) == y).mean()
    found = accuracy(folder, tmp_path / "y.st", labels, capsys)["accuracy"]
    assert found == pytest.approx(expected) and found > 0.3


@pytest.mark.parametrize("kind", ["txt", "npy"])
def test_rows_of_an_unseen_class_are_counted(kind, folder, tmp_path, rows, capsys):
    y = np.arange(450) // 150
    fitted = head(folder, written(tmp_path / "y.npy", y), "classify")
    truth = np.where(np.arange(450) % 150 < 2, 7 + y // 2, y)
    labels = written(tmp_path / f"truth.{kind}", truth)
    found = accuracy(folder, tmp_path / "y.st", labels, capsys)
    assert found["rows_of_unseen_classes"] == 6 and found["unseen_classes"] == ["7", "8"]
    assert found["accuracy"] == pytest.approx((fitted.predict(rows) == truth).mean())
    assert run("predict", tmp_path / "y.st", folder / "x.npy", "--labels", labels) == 0
    printed = capsys.readouterr().out
    assert "6 rows are of classes that the head never saw, and count as wrong: 7, 8.\n" in printed
    for more in ((), ("--json",)):  # nothing is printed where all were seen
        seen = written(tmp_path / "seen.txt", y)
        assert run("predict", tmp_path / "y.st", folder / "x.npy", "--labels", seen, *more) == 0
        assert "unseen" not in (printed := capsys.readouterr().out) and "never saw" not in printed


def test_the_first_of_many_unseen_classes_are_named(folder, tmp_path, capsys):
    head(folder, written(tmp_path / "y.txt", np.array(["a", "b"] * 225)), "classify")
    labels = written(tmp_path / "queries.txt", np.array([f"c{i % 30:02}" for i in range(450)]))
    assert run("predict", tmp_path / "y.st", folder / "x.npy", "--labels", labels) == 0
    printed = capsys.readouterr().out
    assert "450 rows are of classes" in printed and printed.endswith("c06, c07 and 22 more.\n")
