"""Names of rows, from folders and id columns, through readers and commands."""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from narrows import Autoencoder, read
from narrows.cli import run as cli
from narrows.errors import InvalidData
from narrows.indexing.index import Index
from narrows.writers.tables import write_rows

SMALL = ("--code", 2, "--hidden", "", "--epochs", 1, "--seed", 0, "-q")
FILES = ["dark/00.png", 'dark/a, "b".png', *(f"light/{i:02}.png" for i in range(18))]


def run(*arguments: object) -> int:
    return cli([str(argument) for argument in arguments])


def cells(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images in folders and a table with ids, and a model and a head of each."""
    to = tmp_path_factory.mktemp("rows")
    for i, name in enumerate(FILES):
        (to / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), 12 * i, np.uint8)).save(to / "images" / name)
    x = np.random.default_rng(0).normal(size=(40, 3))
    table = pd.DataFrame(x, columns=list("abc")).assign(key=[f"k{i}" for i in range(40)])
    table["kind"] = ["x", "y"] * 20
    table.to_csv(to / "t.csv", index=False)
    table.to_parquet(to / "t.parquet")
    table.to_json(to / "t.jsonl", orient="records", lines=True)
    for data, name in ((to / "images", "i"), (f"{to / 't.csv'}:id=key,label=kind", "t")):
        assert run("fit", data, *SMALL, "-o", to / f"{name}.st") == 0
        assert run("head", to / f"{name}.st", data, "--task", "classify", "--epochs", 1, "--seed",
                   0, "-q", "-o", to / f"{name}.head") == 0  # fmt: skip
    return to


def data_and_names(folder: Path, name: str) -> tuple[object, str, list[str]]:
    """Return data, the header of their rows' names, and the names."""
    if name == "i":
        return folder / "images", "file", FILES
    return f"{folder / 't.csv'}:id=key,label=kind", "id", [f"k{i}" for i in range(40)]


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_a_table_names_its_rows(folder, suffix):
    source = read(folder / f"t.{suffix}", id="key", label="kind")
    assert source.ids is not None and source.ids.tolist() == [f"k{i}" for i in range(40)]
    assert source.labels is not None and source.labels[:2].tolist() == ["x", "y"]
    assert source.names == ["a", "b", "c"]
    assert read(folder / f"t.{suffix}", drop=["key", "kind"]).ids is None


@pytest.mark.parametrize("stream", [False, True])
def test_images_are_named_by_their_paths(folder, stream):
    source = read(folder / "images", stream=stream)
    assert source.ids is not None and source.ids.tolist() == FILES


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
@pytest.mark.parametrize(
    ("ids", "message"),
    [(["k", "l", "k"], "the id 'k' is repeated"), (["k", None, "m"], "column 'key': no id;")],
)
def test_missing_and_repeated_ids_are_refused(suffix, ids, message, tmp_path):
    table = pd.DataFrame({"a": [1.0, 2.0, 3.0], "key": ids})
    path = tmp_path / f"t.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else None
    table.to_parquet(path) if suffix == "parquet" else None
    table.to_json(path, orient="records", lines=True) if suffix == "jsonl" else None
    first = {"csv": 2, "jsonl": 1, "parquet": 0}[suffix]  # what the first row is counted as
    unit = "row" if suffix == "parquet" else "line"
    number = first + (1 if None in ids else 2)
    with pytest.raises(InvalidData, match=f"t.{suffix}, {unit} {number}.*{message}"):
        read(path, id="key")


@pytest.mark.parametrize("name", ["i", "t"])
def test_codes_predictions_and_errors_are_written_with_names(name, folder, tmp_path):
    data, header, names = data_and_names(folder, name)
    for command, model, width in (
        ("encode", "st", 2),
        ("predict", "head", 3),
        ("anomalies", "st", 3),
    ):
        out = tmp_path / f"{command}.csv"
        assert run(command, folder / f"{name}.{model}", data, "-o", out) == 0
        first, *rows = cells(out)
        assert first[0] == header and [row[0] for row in rows] == names
        assert {len(row) for row in rows} == {1 + width} and "" not in first
        assert run(command, folder / f"{name}.{model}", data, "-o", tmp_path / "o.npy") == 0
        numbers = np.load(tmp_path / "o.npy")
        np.testing.assert_allclose(np.array(rows)[:, -numbers.shape[1] :].astype(float), numbers,
                                   rtol=1e-6)  # fmt: skip


def test_a_layer_is_written_with_names(folder, tmp_path):
    out = tmp_path / "layer.csv"
    data, header, names = data_and_names(folder, "i")
    assert run("encode", folder / "i.st", data, "--layer", 0, "-o", out) == 0
    assert [row[0] for row in cells(out)] == [header, *names]


def test_rows_without_names_are_written_without_a_name_column(folder, tmp_path):
    data = f"{folder / 't.csv'}:drop=key,label=kind"
    for command, model in (("encode", "st"), ("predict", "head"), ("anomalies", "st")):
        out = tmp_path / f"{command}.csv"
        assert run(command, folder / f"t.{model}", data, "-o", out) == 0
        assert not {"file", "id"} & set(cells(out)[0])


def test_codes_with_names_are_decoded(folder, tmp_path):
    assert run("encode", folder / "i.st", folder / "images", "-o", tmp_path / "c.csv") == 0
    assert run("encode", folder / "i.st", folder / "images", "-o", tmp_path / "c.npy") == 0
    for suffix in ("csv", "npy"):
        codes, out = tmp_path / f"c.{suffix}", tmp_path / f"rows.{suffix}.npy"
        assert run("decode", folder / "i.st", codes, "-o", out) == 0
    rows = [np.load(tmp_path / f"rows.{suffix}.npy") for suffix in ("csv", "npy")]
    np.testing.assert_allclose(*rows, rtol=1e-6)
    codes = f"{tmp_path / 'c.csv'}:id=file"
    assert run("fit", codes, "--code", 1, *SMALL[2:], "-o", tmp_path / "m.st") == 0


@pytest.mark.parametrize("name", ["i", "t"])
def test_the_most_anomalous_rows_are_named(name, folder, capsys):
    data, header, names = data_and_names(folder, name)
    assert run("anomalies", folder / f"{name}.st", data, "--top", 3, "--json") == 0
    for row in json.loads(capsys.readouterr().out)["top"]:
        assert row[header] == names[row["row"]]
    assert run("anomalies", folder / f"{name}.st", data, "--top", 3) == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0].split()[:3] == ["row", header, "error"]
    first = table[1].removeprefix("*").split()[0]  # a star marks the rows that are flagged
    assert any(names[int(first)] in line for line in table)


@pytest.mark.parametrize("name", ["i", "t"])
def test_an_index_knows_rows_by_their_names(name, folder, tmp_path, capsys):
    data, _, names = data_and_names(folder, name)
    assert run("index", folder / f"{name}.st", data, "-o", tmp_path / "x") == 0
    capsys.readouterr()
    assert run("search", tmp_path / "x", "--queries", data, "-k", 1, "--json") == 0
    printed = capsys.readouterr().out
    assert names[0] in printed and names[-1] in printed
    assert run("search", tmp_path / "x", data, "-k", 1) == 0
    assert [line[:-1] for line in capsys.readouterr().out.splitlines() if line.endswith(":")] == [
        *names
    ]
    assert run("search", tmp_path / "x", "--like", names[2], "-k", 2) == 0


def test_documents_have_the_same_names_as_in_their_index(tmp_path):
    texts = ["red wine and grapes", "a boat at sea", "wine of red grapes", "the sea, a boat"]
    (tmp_path / "texts").mkdir()
    for i, text in enumerate(texts):
        (tmp_path / "texts" / f"{i}.txt").write_text(text)
    rows = [{"id": f"d{i}", "text": text} for i, text in enumerate(texts)]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pd.DataFrame({"key": ["p", "q", "r", "s"], "body": texts}).to_csv(
        tmp_path / "d.csv", index=False
    )
    fit = ("--variant", "document", *SMALL, "--set", "min_df=1", "-o", tmp_path / "m.st")
    assert run("fit", tmp_path / "texts", *fit) == 0
    for data, names in (
        ("texts", ["file", "0.txt", "1.txt", "2.txt", "3.txt"]),
        ("d.jsonl", ["id", "d0", "d1", "d2", "d3"]),
        ("d.csv:id=key", ["id", "p", "q", "r", "s"]),  # and not a table of numbers
    ):
        assert run("encode", tmp_path / "m.st", tmp_path / data, "-o", tmp_path / "c.csv") == 0
        assert [row[0] for row in cells(tmp_path / "c.csv")] == names


def test_ids_are_written_unchanged(tmp_path):
    (tmp_path / "t.csv").write_text("key,a,b\n1.0,1,2\n1,2,3\n1.10,3,4\n-0.0,4,6\n")
    assert list(read(tmp_path / "t.csv", id="key").ids) == ["1.0", "1", "1.10", "-0.0"]
    (tmp_path / "n.csv").write_text("key,a,b\nx\0,1,2\nx,2,3\n")
    with pytest.raises(InvalidData, match="NUL"):
        read(tmp_path / "n.csv", id="key")


def test_names_with_line_breaks_are_restored(tmp_path):
    names = ["a\rb", "c\nd", 'e"f', "g,h"]
    write_rows(
        tmp_path / "c.csv", [np.eye(4)], n_rows=4, names=list("abcd"), row_names=("file", names)
    )
    assert list(read(tmp_path / "c.csv", id="file").ids) == names


def test_a_repeated_id_far_apart_is_refused(tmp_path):
    ids = [*range(66_000), 7]
    (tmp_path / "t.csv").write_text("key,a\n" + "".join(f"{i},1\n" for i in ids))
    with pytest.raises(InvalidData, match="is repeated"):
        read(tmp_path / "t.csv", id="key")


@pytest.fixture
def stream(tmp_path) -> Any:
    """A streamed Parquet file of 50 rows in groups of 8, named by numbers of another order."""
    keys = [f"row {7 * i % 50}" for i in range(50)]
    table = pa.table({"key": keys, "a": np.arange(50.0), "b": np.arange(50.0) % 7})
    pq.write_table(table, tmp_path / "t.parquet", row_group_size=8)
    return read(tmp_path / "t.parquet", id="key", stream=True)


def test_names_of_a_stream_are_not_kept_in_memory(stream):
    names = [f"row {7 * i % 50}" for i in range(50)]
    assert (len(stream.ids), [*stream.ids]) == (50, names)
    assert (stream.ids[0], stream.ids[-1], stream.ids[23]) == (names[0], names[-1], names[23])
    assert stream.ids[5:20].tolist() == names[5:20]
    assert stream.ids[np.array([40, 3, 3])].tolist() == [names[40], names[3], names[3]]
    assert stream[[2, 9, 30]].ids.tolist() == [names[2], names[9], names[30]]
    with pytest.raises(IndexError):
        stream.ids[50]
    assert [*pickle.loads(pickle.dumps(stream)).ids] == names


def test_names_of_a_stream_are_read_row_group_by_row_group(stream, monkeypatch):
    groups = []
    read_groups = stream.ids._read
    monkeypatch.setattr(
        stream.ids, "_read", lambda wanted: groups.append([*wanted]) or read_groups(wanted)
    )
    assert stream.ids[[9, 10, 49]].tolist() == ["row 13", "row 20", "row 43"]
    assert groups == [[1], [6]]


@pytest.mark.parametrize(
    ("keys", "message"),
    [(["a", "b", "a"], "row 2: the id 'a' is repeated"), (["a", None, "b"], "row 1, .*: no id")],
)
def test_missing_and_repeated_names_of_a_stream_are_refused(keys, message, tmp_path):
    pq.write_table(pa.table({"key": keys, "a": [1.0, 2.0, 3.0]}), tmp_path / "t.parquet")
    with pytest.raises(InvalidData, match=message):
        read(tmp_path / "t.parquet", id="key", stream=True)


def test_codes_of_a_stream_are_written_with_its_names(stream, tmp_path, monkeypatch):
    Autoencoder(1, hidden=(), max_epochs=1, random_state=0).fit(stream).save(tmp_path / "m")
    monkeypatch.setattr("narrows.data.memory.STREAM_BYTES", 0)
    assert (
        run("encode", tmp_path / "m", f"{tmp_path / 't.parquet'}:id=key", "-o", tmp_path / "z.csv")
        == 0
    )
    lines = (tmp_path / "z.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["id", *stream.ids]


def test_rows_without_names_are_numbered_after_the_largest_number_ever_used(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.normal(size=(12, 4)))
    np.save(tmp_path / "y.npy", rng.normal(size=(3, 4)))
    Autoencoder(2, hidden=(8,), max_epochs=1, random_state=0).fit(np.load(tmp_path / "x.npy")).save(
        tmp_path / "m"
    )
    index = tmp_path / "i"
    make = ["index", str(tmp_path / "m"), str(tmp_path / "x.npy"), "-o", str(index)]
    assert cli(make) == 0
    assert cli(["index", "-o", str(index), "--delete", "11", "--delete", "10"]) == 0
    assert run("index", tmp_path / "m", tmp_path / "y.npy", "-o", index, "--add") == 0
    assert Index.load(index).names == [*map(str, range(10)), "12", "13", "14"]
