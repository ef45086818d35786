"""Names of rows in the outputs of commands: tables, folders of images, figures."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from narrows.cli import run as cli
from narrows.errors import UsageError
from narrows.writers.images import image_names

N = 24
FILES = [f"{'dark' if i < 9 else 'light'}/{i:02}.png" for i in range(N)]
KEYS = ["a/0", ".hidden", "50%", "../up", *(f"key {i}" for i in range(4, N))]
CALLED = {"images": ("file", FILES), "table": ("id", KEYS)}
WORDS = ["red wine and id", "a boat at sea", "wine of red grapes", "the sea, a boat"]


def run(*arguments: object) -> int:
    return cli([str(argument) for argument in arguments])


def cells(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Images in folders, a table with ids and the same values, and models of both."""
    home = tmp_path_factory.mktemp("named")
    pixels = np.random.default_rng(0).integers(0, 256, size=(N, 4, 4), dtype=np.uint8)
    for name, image in zip(FILES, pixels, strict=True):
        (home / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(home / "images" / name)
    table = pd.DataFrame(pixels.reshape(N, 16), columns=[f"p{i}" for i in range(16)])
    table.insert(3, "key", KEYS)
    table.to_csv(home / "t.csv", index=False)
    np.save(home / "masks.npy", (pixels > 128).astype(np.uint8))
    small = ("--code", 2, "--epochs", 1, "--seed", 0, "-q")
    unit = ("--hidden", "", "--scale", "unit", *small)
    assert run("fit", home / "images", *unit, "-o", home / "images.st") == 0
    data = f"{home / 't.csv'}:id=key"
    assert run("fit", data, *unit, "--image-shape", "4,4", "-o", home / "table.st") == 0
    conv = ("--net", "conv", "--set", "channels=[2]", *small, "-o", home / "conv.st")
    assert run("fit", home / "images", *conv) == 0
    head = ("--labels", home / "masks.npy", "--task", "segment", *small[2:])
    assert run("head", home / "conv.st", home / "images", *head, "-o", home / "seg.st") == 0
    return home


def arguments_of(home: Path, name: str, command: str, tmp_path: Path) -> list[object]:
    """Return the arguments of a command on the images or the table."""
    data = home / "images" if name == "images" else f"{home / 't.csv'}:id=key"
    if command == "segment":
        return [command, home / "seg.st", data]
    model = home / f"{name}.st"
    if command == "decode":
        assert run("encode", model, data, "-o", tmp_path / "codes.csv") == 0
        data = tmp_path / "codes.csv"
    mask = ["--mask", "square:2", "-q"] if command == "inpaint" else []
    return [command, model, data, *mask]


COMMANDS = [
    (name, command)
    for name in CALLED
    for command in ("decode", "reconstruct", "denoise", "inpaint", "segment")
    if (name, command) != ("table", "segment")
]


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_rows_are_written_after_their_names(name, command, home, tmp_path):
    arguments = arguments_of(home, name, command, tmp_path)
    assert run(*arguments, "-o", tmp_path / "r.csv") == 0
    assert run(*arguments, "-o", tmp_path / "r.npy") == 0
    header, names = CALLED[name]
    first, *rows = cells(tmp_path / "r.csv")
    of_columns = [f"{'p' if name == 'table' else ''}{i}" for i in range(16)]
    assert first == [header, *of_columns]
    assert [row[0] for row in rows] == names
    numbers = np.load(tmp_path / "r.npy").reshape(N, -1)
    np.testing.assert_allclose(np.array(rows)[:, 1:].astype(float), numbers, rtol=1e-6)


@pytest.mark.parametrize("suffix", [".CSV", ".tsv", ".csv.gz"])
def test_names_of_rows_are_read_from_tables_of_every_kind(suffix, home, tmp_path):
    assert (
        run("encode", home / "table.st", f"{home / 't.csv'}:id=key", "-o", tmp_path / "c.csv") == 0
    )
    text = (tmp_path / "c.csv").read_bytes()
    text = text.replace(b",", b"\t") if suffix == ".tsv" else text
    codes = tmp_path / f"codes{suffix}"
    codes.write_bytes(gzip.compress(text) if suffix == ".csv.gz" else text)
    for output in ("r.csv", "s.CSV"):
        assert run("decode", home / "table.st", codes, "-o", tmp_path / output) == 0
        assert [row[0] for row in cells(tmp_path / output)] == ["id", *CALLED["table"][1]]


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_images_are_named_by_their_rows(name, command, home, tmp_path):
    arguments = arguments_of(home, name, command, tmp_path)
    assert run(*arguments, "-o", f"{tmp_path}/made/") == 0
    named = {"a%2F0.png", "%2Ehidden.png", "50%25.png", "%2E.%2Fup.png"}
    named |= {f"{key}.png" for key in KEYS[4:]}
    assert files(tmp_path / "made").keys() == ({*FILES} if name == "images" else named)


@pytest.mark.parametrize("name", [*CALLED])
def test_codes_decode_to_the_reconstructed_images(name, home, tmp_path):
    for command in ("decode", "reconstruct"):
        arguments = arguments_of(home, name, command, tmp_path)
        assert run(*arguments, "-o", f"{tmp_path}/{command}/") == 0
    assert files(tmp_path / "decode") == files(tmp_path / "reconstruct") != {}


@pytest.mark.parametrize(
    ("header", "name", "message"),
    [
        ("file", "../a.png", "row 1: the file '../a.png' is not a path within a folder"),
        ("file", "/tmp/a.png", "row 1: the file '/tmp/a.png' is not a path within a folder"),
        ("file", "a/./b.png", "row 1: the file 'a/./b.png' is not a path within a folder"),
        ("id", "k", "'k': two rows have this name"),
        ("file", "k", "'k': two rows have this name"),
        ("id", "", "a row has no name"),
        ("id", "ä" * 130, "too long for the name of an image"),
    ],
)  # fmt: skip
def test_invalid_image_names_are_refused_before_a_folder_is_made(
    header, name, message, home, tmp_path, capsys
):
    codes = tmp_path / "codes.csv"
    codes.write_text(f"{header},c0,c1\nk,0,1\n{name},1,0\n")
    assert run("decode", home / "images.st", codes, "-o", f"{tmp_path}/made/") == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["codes.csv"]
    assert run("decode", home / "images.st", codes, "-o", tmp_path / "r.csv") == 0
    assert [row[0] for row in cells(tmp_path / "r.csv")] == [header, "k", name]


def test_missing_subfolders_of_images_are_made(home, tmp_path):
    (tmp_path / "codes.csv").write_text("file,c0,c1\na/b/c/d.png,0,1\na/e.png,1,0\n")
    made = tmp_path / "made"
    assert run("decode", home / "images.st", tmp_path / "codes.csv", "-o", f"{made}/") == 0
    assert files(made).keys() == {"a/b/c/d.png", "a/e.png"}


def test_files_that_differ_only_in_their_suffix_keep_it():
    called = ("file", ["a/b.jpg", "a/b.png", "c"])
    assert image_names(3, row_names=called) == ["a/b.jpg.png", "a/b.png.png", "c.png"]
    with pytest.raises(UsageError, match="not a path within"):
        image_names(1, row_names=("file", ["a\0b"]))


@pytest.fixture(scope="module")
def texts(home):
    rows = [{"id": f"d{i}", "text": text} for i, text in enumerate(WORDS * 5)]
    (home / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    fit = ("--variant", "document", "--code", 2, "--hidden", "", "--epochs", 1, "--seed", 0, "-q")
    assert run("fit", home / "d.jsonl", *fit, "-o", home / "d.st") == 0
    return home


@pytest.mark.parametrize("command", ["decode", "reconstruct"])
def test_outputs_of_texts_have_a_header_of_words(command, texts, tmp_path, capsys):
    data, model = texts / "d.jsonl", texts / "d.st"
    if command == "decode":
        assert run("encode", model, data, "-o", tmp_path / "codes.csv") == 0
        data = tmp_path / "codes.csv"
    out = tmp_path / "r.csv"
    assert run(command, model, data, "-o", out) == 0
    first, *rows = cells(out)
    assert first == ["id_", "boat", "grape", "id", "red", "sea", "wine"]  # "id" is a word too
    assert [row[0] for row in rows] == [f"d{i}" for i in range(20)]
    capsys.readouterr()
    assert run("evaluate", model, f"{out}:id=id_", "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_rows"] == 20


def test_generated_texts_have_a_header_of_words(texts, tmp_path):
    assert run("generate", texts / "d.st", "-n", 3, "-o", tmp_path / "n.csv") == 0
    assert cells(tmp_path / "n.csv")[0] == ["boat", "grape", "id", "red", "sea", "wine"]


def texts_in(figure) -> list[str]:
    """Return every text of a figure, one per line."""
    texts = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return [line for text in texts for line in text.get_text().split("\n")]


@pytest.fixture
def drawn(monkeypatch):
    kept = []
    monkeypatch.setattr("narrows.figures.saving.save_figure", lambda f, _: kept.append(f))
    return kept


FIGURES = [
    ("anomalies {m} {x} --top 24", [0, 12, 23]),
    ("denoise {m} {x}", [0, 2, 21]),
    ("denoise {m} {x} --corrupt masking:0.2", [0, 2, 21]),
    ("inpaint {m} {x} --mask square:2 -q", [0, 2, 21]),
    ("reconstruct {m} {x}", [0, 2, 21]),
    ("generate {m} --perturb {x} -n 2", [0, 4, 20]),
    ("generate {m} --traverse {x} -n 3 --row 5", [5]),
    ("generate {m} --interpolate {x} -n 3", [0, 4, 20]),
    ("segment {seg} {x}", [0, 3, 21]),
]


@pytest.mark.parametrize(("command", "shown"), FIGURES, ids=[c for c, _ in FIGURES])
def test_figures_show_the_names_of_rows(command, shown, home, drawn, capsys):
    names = {"m": home / "images.st", "x": home / "images", "seg": home / "seg.st"}
    assert run(*command.format(**names).split(), "--figure", home / "f.png") == 0
    texts = "\n".join(texts_in(drawn[0]))
    if command.startswith("anomalies"):  # in the order of their errors, ten at most
        capsys.readouterr()
        assert run(*command.format(**names).split(), "--json") == 0
        shown = [row["row"] for row in json.loads(capsys.readouterr().out)["top"]][:10]
    assert shown and all(FILES[i].removesuffix(".png") in texts for i in shown)
    assert "row 0" not in texts


def test_rows_without_names_are_drawn_by_their_numbers(home, drawn):
    np.save(home / "x.npy", np.random.default_rng(0).integers(0, 256, (N, 16), dtype=np.uint8))
    assert run("reconstruct", home / "table.st", home / "x.npy", "--figure", home / "f.png") == 0
    assert {"row 0", "row 2", "row 21"} <= {*texts_in(drawn[0])}


@pytest.mark.parametrize("command", ["reconstruct", "denoise"])
def test_the_six_drawn_rows_of_a_table_are_spaced_evenly(command, home, tmp_path, drawn):
    data, small = f"{home / 't.csv'}:id=key", ("--hidden", "", "--code", 2, "--epochs", 1, "-q")
    assert run("fit", data, *small, "-o", tmp_path / "plain.st") == 0
    assert run(command, tmp_path / "plain.st", data, "--figure", tmp_path / "f.png") == 0
    assert {KEYS[i * N // 6] for i in range(6)} <= {*texts_in(drawn[0])}


def test_pairs_show_the_names_of_both_rows(home, tmp_path, drawn):
    data, other = f"{home / 't.csv'}:id=key", home / "images"
    pd.Series([i % 3 for i in range(N)]).to_csv(tmp_path / "y.csv", index=False, header=False)
    head = ("--task", "match", "--labels", tmp_path / "y.csv", "-q", "--seed", 0)
    assert run("head", home / "table.st", data, *head, "-o", tmp_path / "m.st") == 0
    arguments = ["match", tmp_path / "m.st", data, other, "-o", tmp_path / "p.csv"]
    assert run(*arguments, "--figure", tmp_path / "f.png") == 0
    first, *rows = cells(tmp_path / "p.csv")
    assert first == ["a", "b", "probability"]
    assert [row[:2] for row in rows] == [[key, file] for key, file in zip(KEYS, FILES, strict=True)]
    axes = {axis.get_title(): axis for axis in drawn[0].axes if axis.get_title()}
    under = [axis.get_xlabel() for axis in drawn[0].axes if axis.get_xlabel()]
    assert axes.keys() == {*KEYS}
    place = [*axes].index("key 7")
    chance = float(rows[7][2])
    assert under[place] == f"{FILES[7].removesuffix('.png')}\n{chance:.3f}"


def test_measures_are_rounded_in_tables_and_exact_in_json(home, tmp_path, capsys):
    table = pd.read_csv(home / "t.csv").assign(kind=["a", "b", "c", "a"] * 5 + ["b", "c", "b", ""])
    table.to_csv(tmp_path / "t.csv", index=False)
    data = f"{tmp_path / 't.csv'}:id=key,label=kind"
    head = ("--task", "classify", "--unknown", "", "--epochs", 1, "-q", "--seed", 0)
    assert run("head", home / "table.st", data, *head, "-o", tmp_path / "h.st") == 0
    capsys.readouterr()
    assert run("predict", tmp_path / "h.st", data, "--json") == 0
    whole = json.loads(capsys.readouterr().out)["accuracy"]
    assert whole == round(23 * whole) / 23 and len(repr(whole)) > 6
    assert run("predict", tmp_path / "h.st", data) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == ["rows: 24", f"accuracy: {whole:.4g}", "rows without label: 1"]


def test_inspect_rounds_the_training_record(home, capsys):
    assert run("inspect", home / "table.st") == 0
    facts = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert run("inspect", home / "table.st", "--json") == 0
    whole = json.loads(capsys.readouterr().out)["final_objective"]
    assert facts["final_objective"] == f"{whole:.6g}" != repr(whole)
