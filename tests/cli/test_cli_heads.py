"""narrows head, predict and match: input and output files, and refused uses."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from narrows import CodeClassifier, CodeMatcher, CodeRegressor, load
from narrows.cli import run as cli
from narrows.figures.matching import matching_figure, pairs_of_kinds


@pytest.fixture(scope="module")
def folder(tmp_path_factory, autoencoder, rows, classes, values):
    folder = tmp_path_factory.mktemp("heads")
    autoencoder.save(folder / "m.safetensors")
    np.save(folder / "x.npy", rows)
    np.save(folder / "names.npy", classes)
    np.save(folder / "values.npy", values)
    (folder / "numbers.txt").write_text("\n".join(str(i // 150) for i in range(450)) + "\n")
    for task, labels in (("classify", "names"), ("regress", "values"), ("match", "names")):
        head = folder / f"{task}.safetensors"
        assert run(
            "head", folder / "m.safetensors", folder / "x.npy", "--labels",
            folder / f"{labels}.npy", "--task", task, "--seed", 0, "-q", "-o", head,
            *([] if task == "match" else ["--epochs", 20]),
        ) == 0  # fmt: skip
    return folder


def run(*arguments) -> int:
    return cli([str(argument) for argument in arguments])


@pytest.mark.parametrize(
    "task, kind",
    [("classify", CodeClassifier), ("regress", CodeRegressor), ("match", CodeMatcher)],
)
def test_each_task_has_its_head_and_the_file_still_encodes(task, kind, folder, tmp_path, rows):
    file = folder / f"{task}.safetensors"
    assert type(load(file)) is kind
    assert run("encode", file, folder / "x.npy", "-o", tmp_path / "h.npy") == 0
    assert np.load(tmp_path / "h.npy").shape == (450, 4)


def test_predicted_classes_are_written_with_their_probabilities(folder, tmp_path, rows, capsys):
    head, target = folder / "classify.safetensors", tmp_path / "written.csv"
    assert run("predict", head, folder / "x.npy", "-o", target) == 0
    with open(target, newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["class", "p(a)", "p(b)", "p(c)"]
    fitted = load(head)
    assert [line[0] for line in lines[1:]] == fitted.predict(rows).tolist()
    written = np.array([line[1:] for line in lines[1:]], dtype=float)
    np.testing.assert_allclose(written, fitted.predict_proba(rows), rtol=1e-6)


@pytest.mark.parametrize("task, method", [("classify", "predict_proba"), ("regress", "predict")])
def test_predicted_numbers_are_written_to_npy(task, method, folder, tmp_path, rows):
    target = tmp_path / "predictions.npy"
    head = folder / f"{task}.safetensors"
    assert run("predict", head, folder / "x.npy", "-o", target) == 0
    expected = getattr(load(head), method)(rows).reshape(450, -1)
    np.testing.assert_allclose(np.load(target), expected, rtol=1e-5)


@pytest.mark.parametrize("task, labels, score", [("classify", "names.npy", "accuracy"),
                                                 ("regress", "values.npy", "r2")])  # fmt: skip
def test_predictions_are_scored_against_the_labels(task, labels, score, folder, rows, capsys):
    head = folder / f"{task}.safetensors"
    assert run("predict", head, folder / "x.npy", "--labels", folder / labels, "--json") == 0
    expected = load(head).score(rows, np.load(folder / labels))
    assert json.loads(capsys.readouterr().out)[score] == pytest.approx(expected, abs=1e-5)


def test_pairs_are_written_and_printed(folder, tmp_path, rows, capsys):
    np.save(tmp_path / "b.npy", rows[::-1])
    arguments = ["match", folder / "match.safetensors", folder / "x.npy", tmp_path / "b.npy"]
    expected = load(folder / "match.safetensors").match_proba(rows, rows[::-1])
    assert run(*arguments, "-o", tmp_path / "p.npy") == 0
    np.testing.assert_allclose(np.load(tmp_path / "p.npy")[:, 0], expected, rtol=1e-5)
    capsys.readouterr()
    assert run(*arguments) == 0
    np.testing.assert_allclose(
        np.array(capsys.readouterr().out.split(), float), expected, atol=1e-6
    )
    assert run(*arguments, "--json") == 0
    assert json.loads(capsys.readouterr().out)["probability"] == pytest.approx(expected.tolist())


def test_match_draws_pairs_of_images(folder, tmp_path, rows):
    np.save(tmp_path / "b.npy", rows[::-1])
    target = tmp_path / "pairs.png"
    arguments = ["match", folder / "match.safetensors", folder / "x.npy", tmp_path / "b.npy"]
    assert run(*arguments, "--figure", target, "--image-shape", "2,5") == 0
    assert target.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize("figure", [True, False])
def test_an_image_shape_of_another_size_is_refused_even_without_a_figure(
    figure, folder, tmp_path, capsys
):
    arguments = ["match", folder / "match.safetensors", folder / "x.npy", folder / "x.npy"]
    drawn = ["--figure", tmp_path / "pairs.png"] if figure else []
    assert run(*arguments, *drawn, "--image-shape", "5,5") == 3
    assert "image shape (5, 5): does not hold 10 features" in capsys.readouterr().err


@pytest.mark.parametrize(
    "probability",
    [np.full(30, 0.7), np.full(30, 0.5), np.linspace(0, 1, 7), np.linspace(0.9, 1, 24),
     np.array([0.2, 0.9]), np.full(5, 0.1), np.array([0.8])],
)  # fmt: skip
def test_pairs_are_drawn_once_and_few_pairs_are_all_drawn(probability):
    same, doubt, differ = pairs_of_kinds(probability, 8).values()
    drawn = np.concatenate([same, doubt, differ])
    assert len(set(drawn)) == len(drawn) == min(len(probability), 24)
    assert max(len(same), len(doubt), len(differ)) <= 8
    shown = probability[drawn]
    assert (np.diff(shown[: len(same) + len(doubt)]) <= 0).all()
    assert (np.diff(probability[differ]) >= 0).all()


def test_doubtful_pairs_are_those_nearest_to_one_half():
    probability = np.array([0.99, 0.1, 0.9, 0.45, 0.6, 0.02, 0.5])
    same, doubt, differ = pairs_of_kinds(probability, 1).values()
    assert (same.tolist(), doubt.tolist(), differ.tolist()) == ([0], [6], [5])
    same, doubt, differ = pairs_of_kinds(probability[:4], 2).values()  # 4 pairs: 2, 1 and 1
    assert (same.tolist(), doubt.tolist(), differ.tolist()) == ([0, 2], [3], [1])
    same, doubt, differ = pairs_of_kinds(np.array([0.3]), 8).values()
    assert (len(same), len(doubt), len(differ)) == (0, 0, 1)


@pytest.mark.parametrize("n_pairs, kinds", [(1, 1), (2, 2), (5, 3)])
def test_a_figure_of_few_pairs_shows_each_once(n_pairs, kinds, autoencoder, rows):
    part, probability = rows[:n_pairs], np.linspace(0.9, 0.2, n_pairs)
    figure = matching_figure(autoencoder.model_, part, part, probability, image_shape=(2, 5))
    assert len(figure.axes) == 2 * n_pairs
    assert len([axis for axis in figure.axes if axis.get_ylabel()]) == kinds
    shown = sorted(axis.get_xlabel() for axis in figure.axes if axis.get_xlabel())
    assert shown == sorted(f"{p:.3f}" for p in probability)


def test_close_probabilities_are_distinguished_and_none_is_shown_as_certain(autoencoder, rows):
    probability = np.array([1.0, 0.9999, 0.978, 0.976, 0.0041, 0.0002, 0.0])
    figure = matching_figure(
        autoencoder.model_, rows[:7], rows[:7], probability, image_shape=(2, 5)
    )
    labels = [axis.get_xlabel() for axis in figure.axes if axis.get_xlabel()]
    assert sorted(labels) == ["0.000", "0.004", "0.976", "0.978", "1.000", "<0.001", ">0.999"]


def test_headings_are_correct_without_doubtful_pairs(autoencoder, rows):
    probability = np.linspace(0.95, 0.97, 9)
    figure = matching_figure(
        autoencoder.model_, rows[:9], rows[:9], probability, image_shape=(2, 5)
    )
    headings = [axis.get_ylabel().split(":")[0] for axis in figure.axes if axis.get_ylabel()]
    assert headings == ["highest", "nearest to 0.5", "lowest"]
    assert "the probability that both" in figure.get_supxlabel()


def test_rows_that_are_not_images_are_not_drawn(folder, tmp_path, capsys):
    arguments = ["match", folder / "match.safetensors", folder / "x.npy", folder / "x.npy"]
    assert run(*arguments, "--figure", tmp_path / "pairs.png") == 2
    assert "pairs are drawn of images; give --image-shape" in capsys.readouterr().err


def test_rows_without_a_label_are_named(folder, tmp_path, capsys):
    labels = np.where(np.arange(450) % 2, np.arange(450) // 150, 7)
    np.save(tmp_path / "y.npy", labels)
    head = ["head", folder / "m.safetensors", folder / "x.npy", "--task", "classify", "-q",
            "--labels", tmp_path / "y.npy", "-o", tmp_path / "h.st", "--epochs", 2]  # fmt: skip
    assert run(*head, "--json") == 0
    assert json.loads(capsys.readouterr().out)["classes"] == 4
    assert run(*head, "--json", "--unknown", "7") == 0
    assert json.loads(capsys.readouterr().out)["classes"] == 3
    assert run(*head, "--unknown", "seven") == 2
    assert "--unknown: the labels are numbers, got 'seven'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command, code, message",
    [
        ("predict {match} {x} -o p.csv", 2, "holds a CodeMatcher; use narrows match MODEL A B"),
        ("match {classify} {x} {x}", 2, "holds a CodeClassifier; use narrows predict MODEL DATA"),
        ("predict {m} {x} -o p.csv", 2, "without a head; fit one: narrows head"),
        ("match nowhere {x} {x}", 4, "nowhere: no such model file"),
        ("predict {classify} {x}", 2, "give -o, --labels or both"),
        ("head {m} {x} --task match -o h.st", 2, "--labels: give a file with a label for every"),
        ("head {m} {x} --task match --labels {names} --set hidden=[3] -o h.st", 2,
         "--task match has no parameter 'hidden'"),
        ("head {m} {x} --task regress --labels {names} -o h.st", 3, "--task regress needs numbers"),
        ("head {m} {x} --task classify --labels nowhere.txt -o h.st", 3, "no such file of labels"),
        ("head {m} {x} --task classify --training frosen --labels {names} -o h.st", 2,
         "Did you mean 'frozen'"),
    ],
)  # fmt: skip
def test_invalid_uses_are_refused(command, code, message, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    files = {path.stem: path for path in folder.iterdir()}
    assert run(*command.format(**files).split()) == code
    assert message in capsys.readouterr().err


def test_inspect_prints_the_head_on_the_code(folder, capsys):
    assert run("inspect", folder / "classify.safetensors", "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["estimator"], facts["head"]) == ("Autoencoder", "CodeClassifier")
    assert facts["classes"] == ["a", "b", "c"]
    fitted = load(folder / "classify.safetensors")
    assert facts["head_epochs"] == facts["head_max_epochs"] == fitted.max_epochs_ > 1
    assert run("inspect", folder / "m.safetensors", "--json") == 0
    assert "head" not in json.loads(capsys.readouterr().out)


def test_regress_has_no_missing_label(folder, tmp_path, capsys):
    data = (folder / "x.npy", "--labels", folder / "values.npy", "--task", "regress")
    assert run("head", folder / "m.safetensors", *data, "--unknown", "", "-o", tmp_path / "h") == 2
    assert "--task regress needs a value for every row" in capsys.readouterr().err
