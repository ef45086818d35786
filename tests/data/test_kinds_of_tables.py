"""Text tables by suffix: .csv, .CSV, .tsv, and the same with .gz."""

from __future__ import annotations

import csv
import gzip
import json

import numpy as np
import pandas as pd
import pytest

from narrows import read
from narrows.cli import run as cli
from narrows.data.readers.kinds import kind_of
from narrows.data.readers.labels import read_labels
from narrows.text import read_documents
from narrows.writers.tables import write_rows, write_table

KINDS = ["csv", "CSV", "tsv", "TSV", "csv.gz", "CSV.GZ", "tsv.gz"]
SMALL = ("--code", 2, "--hidden", "", "--epochs", 1, "--seed", 0, "-q")
IDS = [f"k{i}" for i in range(24)]


def run(*arguments: object) -> int:
    return cli([str(argument) for argument in arguments])


def cells(path) -> list[list[str]]:
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with opened(path, "rt", newline="") as file:
        return list(csv.reader(file, delimiter="\t" if ".tsv" in path.name.lower() else ","))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model of a table with ids and labels, a classifier and a matcher on it."""
    to = tmp_path_factory.mktemp("kinds")
    x = np.random.default_rng(0).normal(size=(24, 3))
    table = pd.DataFrame(x, columns=["a, b", "b;c", "c"]).assign(key=IDS)
    table["kind"] = ["x", "y"] * 12
    for kind in KINDS:
        folded = "gzip" if kind.lower().endswith("gz") else None
        separator = "\t" if kind.lower().startswith("tsv") else ","
        table.to_csv(to / f"t.{kind}", index=False, sep=separator, compression=folded)
    data = f"{to / 't.csv'}:id=key,label=kind"
    assert run("fit", data, *SMALL, "-o", to / "m.st") == 0
    for task in ("classify", "match"):
        assert run("head", to / "m.st", data, "--task", task, "--epochs", 1, "--seed", 0, "-q",
                   "-o", to / task) == 0  # fmt: skip
    return to


@pytest.mark.parametrize(
    ("name", "kind"),
    [("T.CSV.GZ", ".csv"), ("x.npy.gz", ".gz"), ("t.gz", ".gz"), ("a.b.TSV", ".tsv"), ("t", "")],
)
def test_the_suffix_decides_the_kind(name, kind, tmp_path):
    assert kind_of(tmp_path / name) == kind


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_read(kind, made):
    data = read(made / f"t.{kind}", id="key", label="kind")
    assert data.names == ["a, b", "b;c", "c"]
    assert data.ids is not None and data.ids.tolist() == IDS
    labels = read_labels(made / f"t.{kind}", n_rows=24, column="kind")
    assert labels.tolist() == ["x", "y"] * 12
    assert [document.id for document in read_documents(made / f"t.{kind}", text="kind", id="key")]


@pytest.mark.parametrize("kind", [*KINDS, "txt", "TXT.GZ"])
def test_labels_are_read_from_every_kind(kind, tmp_path):
    path = tmp_path / f"y.{kind}"
    text = b"x\ny\nx\n"
    path.write_bytes(gzip.compress(text) if kind.lower().endswith("gz") else text)
    assert read_labels(path, n_rows=3).tolist() == ["x", "y", "x"]
    if kind.lower().endswith("gz"):
        path.write_bytes(gzip.compress(text)[:-9])
        with pytest.raises(ValueError, match="damaged gzip"):
            read_labels(path, n_rows=3)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_written_and_read_back_with_their_names(kind, made, tmp_path):
    data = f"{made / f't.{kind}'}:id=key,label=kind"
    codes, rows = tmp_path / f"c.{kind}", tmp_path / f"r.{kind}"
    assert run("encode", made / "m.st", data, "-o", codes) == 0
    assert run("decode", made / "m.st", codes, "-o", rows) == 0
    first, *lines = cells(rows)
    assert first == ["id", "a, b", "b;c", "c"]
    assert [line[0] for line in lines] == IDS
    assert read(rows, id="id").names == first[1:]
    straight = tmp_path / "r.NPY"
    assert run("reconstruct", made / "m.st", data, "-o", straight) == 0
    found = np.array([line[1:] for line in lines], dtype=np.float32)
    np.testing.assert_allclose(found, np.load(straight), rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_of_rows_writes_their_names(kind, made, tmp_path):
    data = f"{made / f't.{kind}'}:id=key,label=kind"
    for command, more, header in (
        ("predict classify", [data], ["id", "class", "p(x)", "p(y)"]),
        ("match match", [data, data], ["a", "b", "probability"]),
        ("anomalies m.st", [data], ["id", "error", "p_value", "flagged"]),
    ):
        name, model = command.split()
        out = tmp_path / f"{name}.{kind}"
        assert run(name, made / model, *more, "-o", out) == 0
        first, *lines = cells(out)
        assert (first, [line[0] for line in lines]) == (header, IDS)


@pytest.mark.parametrize("kind", KINDS)
def test_gzipped_output_is_deterministic(kind, tmp_path, monkeypatch):
    columns = {"a": np.array(["p", "q"]), "b": np.array([0.5, 1.0])}
    for name in ("one", "two"):
        write_table(tmp_path / f"{name}.{kind}", columns)
        monkeypatch.setattr("time.time", lambda: 1.0)
    assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    assert cells(tmp_path / f"one.{kind}") == [["a", "b"], ["p", "0.5"], ["q", "1"]]


def test_a_mask_may_have_the_suffix_npy_in_capitals(made, tmp_path, capsys):
    np.save(tmp_path / "mask", np.eye(24, 3, dtype=bool))
    (tmp_path / "mask.npy").rename(tmp_path / "mask.NPY")
    data = f"{made / 't.csv'}:id=key,label=kind"
    assert run("inpaint", made / "m.st", data, "--mask", tmp_path / "mask.NPY", "-q", "--json") == 0
    assert json.loads(capsys.readouterr().out)


def test_other_kinds_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"c\.txt: outputs are written as .*; got '\.txt'"):
        write_rows(tmp_path / "c.txt", [np.eye(2)], n_rows=2)
    with pytest.raises(ValueError, match="got no suffix"):
        write_rows(tmp_path / "c", [np.eye(2)], n_rows=2)
