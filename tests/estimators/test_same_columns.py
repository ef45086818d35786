"""Rows whose columns differ from the fit's are refused, in Python and in the shell."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from narrows import Autoencoder, CodeClassifier, read
from narrows.cli import run as cli
from narrows.errors import InvalidData

COLUMNS = [f"c{i}" for i in range(8)]


def run(*arguments: object) -> int:
    return cli([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A table, a model, a head and a detector of it, and tables of other columns."""
    to = tmp_path_factory.mktemp("columns")
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 8)), columns=COLUMNS)
    table.to_csv(to / "t.csv", index=False)
    table[COLUMNS[::-1]].to_csv(to / "turned.csv", index=False)
    table.drop(columns="c3").to_csv(to / "less.csv", index=False)
    table.rename(columns={"c3": "C3"}).to_csv(to / "renamed.csv", index=False)
    table.assign(id=7, grade=1).to_csv(to / "more.csv", index=False)
    table.assign(id=7, grade=1).to_parquet(to / "more.parquet")
    more = {"height, cm": 1} | {f"e{i}": 1 for i in range(6)}
    table.assign(**more).to_csv(to / "many.csv", index=False)
    table.drop(columns="c3").to_csv(to / "bare.csv", index=False, header=False)
    (to / "y.txt").write_text("01\n10\n" * 30)
    fit = ("--code", 2, "--hidden", "", "--epochs", 2, "--seed", 0, "-q")
    assert run("fit", to / "t.csv", *fit, "-o", to / "m.st") == 0
    head = ("--labels", to / "y.txt", "--epochs", 1, "--seed", 0, "-q")
    assert run("head", to / "m.st", to / "t.csv", "--task", "classify", *head,
               "-o", to / "h.st") == 0  # fmt: skip
    assert run("head", to / "m.st", to / "t.csv", "--task", "match", *head,
               "-o", to / "pairs.st") == 0  # fmt: skip
    settings = ("--set", "n_folds=2", "--seed", 0, "-q")
    assert run("detector", to / "t.csv", *settings, "-o", to / "d.st") == 0
    return to


COMMANDS = [
    "encode m.st DATA -o OUT",
    "reconstruct m.st DATA -o OUT",
    "evaluate m.st DATA",
    "inspect m.st DATA",
    "anomalies m.st DATA",
    "anomalies m.st t.csv --calibrate DATA",
    "anomalies d.st DATA",
    "anomalies h.st DATA",
    "head m.st DATA --labels y.txt --task classify -q -o OUT",
    "predict h.st DATA -o OUT",
    "match pairs.st t.csv DATA -o OUT",
    "index m.st DATA -o OUT",
    "inpaint m.st DATA -o OUT --method mean",
    "generate m.st --perturb DATA -o OUT",
    "generate m.st -n 5 --check DATA",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("file", ["less.csv", "more.csv", "renamed.csv", "turned.csv", "bare.csv"])
def test_every_command_names_the_columns(command, file, folder, tmp_path, capsys):
    places = {"DATA": folder / file, "OUT": tmp_path / "out.npy"}
    words = [places.get(w, folder / w if (folder / w).exists() else w) for w in command.split()]
    assert run(*words) == 3
    message = capsys.readouterr().err
    assert "feature" not in message
    assert f"{folder / file}: " in message
    assert {
        "less.csv": "missing: 'c3'. Give every column of the fit under its name.",
        "more.csv": f"not known: 'id', 'grade'. Leave out the unknown columns: {folder / file}:"
        "drop=id,drop=grade (id=COLUMN if it names the rows, label=COLUMN if it holds their "
        "labels).",
        "renamed.csv": "missing: 'c3'; not known: 'C3'.",
        "turned.csv": "column 0 is 'c7', the model was fitted with 'c0' there; give the columns "
        "in the order of the fit: 'c0', 'c1', 'c2', 'c3', 'c4', and 3 more.",
        "bare.csv": "has 7 columns, the model was fitted to 8 ('c0', 'c1', 'c2', 'c3', 'c4', "
        "and 3 more).",
    }[file] in message
    assert not places["OUT"].exists()


@pytest.mark.parametrize("file", ["more.csv", "more.parquet"])
def test_the_hint_for_unknown_columns_works(file, folder, tmp_path, capsys):
    data, codes = folder / file, tmp_path / "codes.npy"
    assert run("encode", folder / "m.st", data, "-o", codes) == 3
    given = capsys.readouterr().err.partition("the unknown columns: ")[2].partition(" (id=")[0]
    assert run("encode", folder / "m.st", given, "-o", codes) == 0
    assert run("encode", folder / "m.st", folder / "t.csv", "-o", tmp_path / "same.npy") == 0
    np.testing.assert_array_equal(np.load(codes), np.load(tmp_path / "same.npy"))


def test_many_columns_are_counted_and_a_comma_is_quoted(folder, tmp_path, capsys):
    assert run("encode", folder / "m.st", folder / "many.csv", "-o", tmp_path / "c.npy") == 3
    message = capsys.readouterr().err
    assert "not known: 'height, cm', 'e0', 'e1', 'e2', 'e3', and 2 more. " in message
    assert """many.csv:"drop=height, cm",drop=e0,drop=e1,drop=e2,drop=e3,drop=...' (""" in message


def test_an_error_names_the_shapes_of_images(tmp_path, capsys):
    for name, shape in (("gray", (6, 6)), ("color", (6, 6, 3)), ("small", (4, 6))):
        (tmp_path / name).mkdir()
        for i in range(12):
            Image.fromarray(np.full(shape, 20 * i, np.uint8)).save(tmp_path / name / f"{i:02}.png")
    fit = ("--code", 2, "--hidden", "", "--epochs", 1, "--seed", 0, "-q")
    models = {name: tmp_path / f"{name}.st" for name in ("gray", "color")}
    for name, model in models.items():
        assert run("fit", tmp_path / name, *fit, "-o", model) == 0
    for name, other, shape in (
        ("gray", "color", "6 x 6 x 3, the model was fitted to 6 x 6; give gray images"),
        ("color", "gray", "6 x 6, the model was fitted to 6 x 6 x 3; give color images"),
        ("gray", "small", "4 x 6, the model was fitted to 6 x 6; give gray images"),
    ):
        assert run("encode", models[name], tmp_path / other, "-o", tmp_path / "c.npy") == 3
        assert f"{tmp_path / other}: images of shape {shape}" in capsys.readouterr().err


def test_an_error_names_the_shapes_of_arrays_of_images():
    images = np.random.default_rng(0).integers(0, 255, (12, 6, 6), dtype=np.uint8)
    net = Autoencoder(2, hidden=(), max_epochs=1, random_state=0).fit(images)
    with pytest.raises(InvalidData, match="X: images of shape 6 x 6 x 3, .* fitted to 6 x 6; give"):
        net.transform(np.stack([images] * 3, axis=-1))


def test_a_head_checks_the_columns_of_its_autoencoder(folder):
    net = Autoencoder(2, hidden=(), max_epochs=1, random_state=0).fit(read(folder / "t.csv"))
    with pytest.raises(InvalidData, match="renamed.csv: .*missing: 'c3'; not known: 'C3'"):
        CodeClassifier(net).fit(read(folder / "renamed.csv"), np.arange(60) % 2)


def test_a_model_without_names_counts_columns(folder, tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 8)))
    fit = ("--code", 2, "--hidden", "", "--epochs", 1, "--seed", 0, "-q", "-o", tmp_path / "m.st")
    assert run("fit", tmp_path / "x.npy", *fit) == 0
    assert run("encode", tmp_path / "m.st", folder / "less.csv", "-o", tmp_path / "c.npy") == 3
    message = "has 7 columns ('c0', 'c1', 'c2', 'c4', 'c5', and 2 more), the model was fitted to 8."
    assert message in capsys.readouterr().err


def test_inspect_shows_the_columns_in_the_order_of_the_fit(folder, tmp_path, capsys):
    for model in ("m.st", "h.st", "d.st"):
        assert run("inspect", folder / model, "--json") == 0
        assert json.loads(capsys.readouterr().out)["columns"] == COLUMNS
    assert run("inspect", folder / "m.st") == 0
    assert f"  {', '.join(COLUMNS)}\n" in capsys.readouterr().out
    wide = pd.DataFrame(np.eye(40), columns=[f"w{i}" for i in range(40)])
    wide.to_csv(tmp_path / "w.csv", index=False)
    fit = ("--code", 2, "--hidden", "", "--epochs", 1, "--seed", 0, "-q", "-o", tmp_path / "w.st")
    assert run("fit", tmp_path / "w.csv", *fit) == 0
    capsys.readouterr()
    assert run("inspect", tmp_path / "w.st") == 0
    assert "w28, w29, and 10 more\n" in capsys.readouterr().out
