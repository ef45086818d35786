"""Tables with a label among their columns, and images in folders, through the commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_wine

from narrows import load
from narrows.cli import run as cli


def run(command: str, *arguments: object) -> int:
    seed = ("--seed", 0) if command in ("fit", "head") else ()
    return cli([str(argument) for argument in (command, *arguments, *seed)])


def results(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict:
    """Return the JSON that a command prints."""
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def wine(tmp_path: Path) -> Path:
    frame = load_wine(as_frame=True).frame
    frame["target"] = np.array(["barbera", "barolo", "grignolino"])[frame["target"]]
    frame["when"] = "2020-01-01"
    frame.to_csv(tmp_path / "wine.csv", index=False)
    return tmp_path / "wine.csv"


def test_a_label_column_is_learned_from_and_measured_by(wine, tmp_path, capsys):
    data, model, head = f"{wine}:label=target,drop=when", tmp_path / "m.st", tmp_path / "h.st"
    assert run("fit", data, "--code", 4, "--hidden", 16, "--epochs", 60, "-q", "-o", model) == 0
    assert results(capsys, "inspect", model)["n_features"] == 13
    assert run("head", model, data, "--task", "classify", "--epochs", 60, "-q", "-o", head) == 0
    assert results(capsys, "predict", head, data)["accuracy"] > 0.85


def test_the_label_may_be_left_out_of_rows_to_predict(wine, tmp_path, capsys):
    data, model, head = f"{wine}:label=target,drop=when", tmp_path / "m.st", tmp_path / "h.st"
    assert run("fit", data, "--code", 2, "--hidden", "", "--epochs", 1, "-q", "-o", model) == 0
    assert run("head", model, data, "--task", "classify", "--epochs", 1, "-q", "-o", head) == 0
    load_wine(as_frame=True).data.to_csv(tmp_path / "new.csv", index=False)
    assert run("predict", head, tmp_path / "new.csv", "-o", tmp_path / "predictions.csv") == 0
    assert run("predict", head, tmp_path / "new.csv") == 2
    assert "give -o, --labels or both" in capsys.readouterr().err


def test_the_error_of_a_text_column_says_how_to_drop_it(wine, tmp_path, capsys):
    assert run("fit", wine, "-q", "-o", tmp_path / "m.st") == 3
    assert f"{wine}:drop=COLUMN to leave it out, label=COLUMN if" in capsys.readouterr().err
    assert run("fit", f"{wine}:label=target", "-q", "-o", tmp_path / "m.st") == 3
    assert (
        f"{wine}:label=target,drop=COLUMN to leave it out, id=COLUMN if" in capsys.readouterr().err
    )


def test_jsonl_whose_only_texts_are_labels_is_a_table(tmp_path, capsys):
    rows = [{"a": i, "b": i % 3, "kind": "xy"[i % 2]} for i in range(20)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data, model = f"{tmp_path / 't.jsonl'}:label=kind", tmp_path / "m.st"
    assert run("fit", data, "--code", 1, "--hidden", "", "--epochs", 1, "-q", "-o", model) == 0
    assert results(capsys, "inspect", model)["n_features"] == 2


def test_drop_is_refused_for_texts(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("text,b\nto be,1\nor not,2\n")
    assert run("fit", f"{tmp_path / 't.csv'}:text=text,drop=b", "-o", tmp_path / "m.st") == 2
    assert "drop is for tables of numbers" in capsys.readouterr().err
    assert run("fit", f"{tmp_path / 't.csv'}:drop=b", "-o", tmp_path / "m.st") == 3
    assert "t.csv:text=COLUMN" in capsys.readouterr().err


def test_a_missing_column_is_named_even_with_text_columns(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("key,kind,a,b\nr one,x,1,2\nr two,y,3,4\n")
    data = f"{tmp_path / 't.csv'}:id=nokey,label=kind,drop=b"
    assert run("fit", data, "-o", tmp_path / "m.st") == 3
    assert "no column 'nokey'" in capsys.readouterr().err


def test_folder_names_are_the_classes_of_images(tmp_path, capsys):
    data, model, head = tmp_path / "images", tmp_path / "m.st", tmp_path / "h.st"
    generator = np.random.default_rng(0)
    for kind, low in (("dark", 0), ("light", 128)):
        (data / kind).mkdir(parents=True)
        for i in range(20):
            pixels = generator.integers(low, low + 128, (6, 6), dtype=np.uint8)
            Image.fromarray(pixels).save(data / kind / f"{i}.png")
    assert run("fit", data, "--code", 2, "--hidden", 16, "--epochs", 80, "-q", "-o", model) == 0
    assert run("head", model, data, "--task", "classify", "--epochs", 200, "-q", "-o", head) == 0
    assert results(capsys, "predict", head, data)["accuracy"] > 0.9
    # folders with other names are not classes of this head
    (data / "dark").rename(data / "1")
    (data / "light").rename(data / "2")
    assert "accuracy" not in results(
        capsys, "predict", head, data, "-o", tmp_path / "predictions.csv"
    )


@pytest.fixture
def gaps(wine, tmp_path):
    """The same wine table; every fifth row has no label."""
    lines = wine.read_text().splitlines()
    at = lines[0].split(",").index("target")
    for i in range(1, len(lines), 5):
        cells = lines[i].split(",")
        lines[i] = ",".join([*cells[:at], "", *cells[at + 1 :]])
    (tmp_path / "gaps.csv").write_text("\n".join(lines) + "\n")
    return f"{tmp_path / 'gaps.csv'}:label=target,drop=when"


def test_rows_without_a_label_form_no_class_and_are_not_scored(gaps, tmp_path, capsys):
    model, head = tmp_path / "m.st", tmp_path / "h.st"
    assert run("fit", gaps, "--code", 4, "--hidden", 16, "--epochs", 60, "-q", "-o", model) == 0
    fit = ("head", model, gaps, "--task", "classify", "--epochs", 60, "-q", "-o", head)
    assert run(*fit) == 3
    error = capsys.readouterr().err
    assert "gaps.csv, line 2: no label; 36 of 178 rows have none" in error
    assert "mark them as unknown by --unknown ''" in error
    assert run(*fit, "--unknown", "") == 0
    assert load(head).classes_.tolist() == ["barbera", "barolo", "grignolino"]
    found = results(capsys, "predict", head, gaps)
    assert found["accuracy"] > 0.85
    assert found["rows_without_label"] == 36


def test_rows_without_any_label_are_predicted_and_not_measured(wine, gaps, tmp_path, capsys):
    model, head, new = tmp_path / "m.st", tmp_path / "h.st", tmp_path / "new.csv"
    data = f"{wine}:label=target,drop=when"
    assert run("fit", data, "--code", 2, "--hidden", "", "--epochs", 1, "-q", "-o", model) == 0
    assert run("head", model, data, "--task", "classify", "--epochs", 1, "-q", "-o", head) == 0
    load_wine(as_frame=True).data.assign(target="").to_csv(new, index=False)
    found = results(
        capsys, "predict", head, f"{new}:label=target", "-o", tmp_path / "predictions.csv"
    )
    assert "accuracy" not in found
    # rows without a label do not count as relevant to each other
    assert run("evaluate", model, gaps, "--retrieval", "--queries", 3) == 0
    assert "36 rows without a label are left out" in capsys.readouterr().err


def test_a_label_that_is_not_a_number_is_named_by_its_row(wine, tmp_path, capsys):
    model = tmp_path / "m.st"
    data = f"{wine}:label=target,drop=when"
    assert run("fit", data, "--code", 2, "--hidden", "", "--epochs", 1, "-q", "-o", model) == 0
    assert run("head", model, data, "--task", "regress", "-q", "-o", tmp_path / "h.st") == 3
    expected = "row 0 (the first is 0): --task regress needs numbers, got 'barbera'"
    assert expected in capsys.readouterr().err


def test_equal_numbers_are_one_label_in_any_notation(tmp_path, capsys):
    y = np.arange(60) % 2
    x = np.random.default_rng(0).normal(size=(60, 3)) + 3 * y[:, None]
    for name, label in (("whole", y.astype(str)), ("floats", y.astype(float).astype(str))):
        lines = [",".join(map(str, [*row, cell])) for row, cell in zip(x, label, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b,c,kind", *lines]) + "\n")
    np.save(tmp_path / "y.npy", y.astype(float))
    whole = f"{tmp_path}/whole.csv:label=kind"
    model, head = tmp_path / "m.st", tmp_path / "h.st"
    assert run("fit", whole, "--code", 2, "--hidden", "", "--epochs", 5, "-q", "-o", model) == 0
    for labels in ((), ("--labels", tmp_path / "y.npy")):
        fit = (
            "head",
            model,
            whole,
            *labels,
            "--task",
            "classify",
            "--epochs",
            60,
            "-q",
            "-o",
            head,
        )
        assert run(*fit) == 0
        found = [results(capsys, "predict", head, f"{tmp_path}/{n}.csv:label=kind")["accuracy"]
                 for n in ("whole", "floats")]  # fmt: skip
        assert found[0] == found[1] > 0.5


def test_names_of_columns_may_hold_colons_and_commas(tmp_path):
    rows = "".join(f"{i},{i % 3},{i % 2},x\n" for i in range(20))
    (tmp_path / "t.csv").write_text('a,b,"height, cm",kind: all\n' + rows)
    data = f'{tmp_path}/t.csv:label=kind: all,"drop=height, cm"'
    fit = ("fit", data, "--code", 1, "--hidden", "", "--epochs", 1, "-q", "-o", tmp_path / "m.st")
    assert run(*fit) == 0
    assert load(tmp_path / "m.st").n_features_in_ == 2


def test_a_misspelt_key_is_named_with_the_nearest(wine, tmp_path, capsys):
    assert run("fit", f"{wine}:lable=target", "-q", "-o", tmp_path / "m.st") == 2
    assert "Did you mean 'label'?" in capsys.readouterr().err


def test_a_table_read_as_texts_gets_advice_to_drop_columns(tmp_path, capsys):
    rows = [{"a": i, "b": i % 3, "key": f"k{i}"} for i in range(20)]
    data = tmp_path / "t.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    common = ("--code", 1, "--hidden", "", "--epochs", 1, "-q", "-o", tmp_path / "m.st")
    assert run("fit", data, *common) == 3
    assert f"{data}:id=COLUMN,label=COLUMN,drop=COLUMN." in capsys.readouterr().err
    assert run("fit", f"{data}:id=key", *common) == 0


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """40 rows of two features, with groups, weights of which one is missing, and a text."""
    rng = np.random.default_rng(0)
    lines = [
        f"{a:.3f},{b:.3f},s{i // 5},{i or ''},x" for i, (a, b) in enumerate(rng.random((40, 2)))
    ]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,sub,w,junk", *lines]) + "\n")
    return tmp_path / "t.csv"


def test_a_column_may_be_dropped_and_named_by_an_option(table, tmp_path):
    fit = ("-k", 1, "--epochs", 1, "-q", "-o", tmp_path / "m")
    assert run("fit", f"{table}:drop=junk,drop=sub,drop=w", "--groups", "sub", *fit) == 0
    assert load(tmp_path / "m").feature_names_in_.tolist() == ["a", "b"]


def test_a_missing_label_or_weight_gets_advice_that_fits_the_command(table, tmp_path, capsys):
    model = tmp_path / "m"
    assert (
        run("fit", f"{table}:drop=junk,drop=sub,drop=w", "-k", 1, "--epochs", 1, "-q", "-o", model)
        == 0
    )
    plain = f"{table}:drop=junk,drop=sub,drop=w"
    (tmp_path / "y.csv").write_text("0\n" * 39 + "\n")
    head = ("head", model, plain, "-o", tmp_path / "h", "--task")
    for command in (
        ("anomalies", model, plain, "--labels", tmp_path / "y.csv"),
        (*head, "regress", "--labels", tmp_path / "y.csv"),
    ):
        assert run(*command) == 3
        error = capsys.readouterr().err
        assert "y.csv: a row has several labels or none, but each needs one: give" in error
        assert "--unknown" not in error
    assert run(*head, "classify", "--labels", tmp_path / "y.csv") == 3
    assert "--unknown '?'" in capsys.readouterr().err
    weighted = f"{table}:label=a,drop=junk,drop=sub"
    assert run("head", model, weighted, *head[3:], "regress", "--weights", "w") == 3
    error = capsys.readouterr().err
    assert "row 0 (the first is 0): --weights needs a number in every row, and this" in error
    assert "0 leaves the row out" in error


@pytest.mark.filterwarnings("default")
def test_a_change_of_units_gives_one_warning_per_command(table, tmp_path, capsys):
    rows = np.random.default_rng(1).random((40, 3))
    np.save(tmp_path / "x.npy", rows)
    np.save(tmp_path / "big.npy", rows * 1000)
    fast = ("--set", "n_folds=2", "--set", "trim=0", "-q", "-o", tmp_path / "d")
    assert run("fit", tmp_path / "x.npy", "-k", 1, "--epochs", 1, "-q", "-o", tmp_path / "m") == 0
    net = ("--like", tmp_path / "m")
    assert run("detector", tmp_path / "x.npy", *net, *fast) == 0
    for model in ("m", "d"):
        capsys.readouterr()
        figure = ("--top", 2, "--figure", tmp_path / "f.png")
        assert run("anomalies", tmp_path / model, tmp_path / "big.npy", *figure) == 0
        assert capsys.readouterr().err.count("in the same units") == 1
