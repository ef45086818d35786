"""Readers of texts: every kind of file gives the same documents; errors name the line."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reader_files import damages, saved
from text_files import DOCUMENTS, KINDS, as_csv, as_folder, as_jsonl, as_parquet

from narrows.errors import InvalidData, UsageError
from narrows.text import Document, looks_like_documents, read_documents


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_texts_and_ids(tmp_path, kind):
    documents = read_documents(KINDS[kind](tmp_path / f"x.{kind}"))
    assert [(d.id, d.text) for d in documents] == [(d.id, d.text) for d in DOCUMENTS]
    assert list(documents) == list(documents)
    assert documents.origin == str(tmp_path / f"x.{kind}")
    assert documents.labeled


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_lists_of_labels_are_kept(tmp_path, kind):
    assert list(read_documents(KINDS[kind](tmp_path / f"x.{kind}"))) == DOCUMENTS


def test_a_csv_cell_is_one_label_and_an_empty_cell_is_none(tmp_path):
    documents = read_documents(as_csv(tmp_path / "x.csv"))
    assert [d.labels for d in documents] == [("sea",), (), ("sky",)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_looks_like_documents(tmp_path, kind):
    assert looks_like_documents(KINDS[kind](tmp_path / f"x.{kind}"))


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_columns_are_chosen_by_name(tmp_path, kind):
    rows = [{"a": "x", "b": "one", "c": "y"}, {"a": "z", "b": "two", "c": ""}]
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "csv":
        saved(path, "a,b,c\nx,one,y\nz,two,\n")
    else:
        saved(path, "\n".join(map(json.dumps, rows)))
    documents = list(read_documents(path, text="b", id="a", label="c"))
    assert documents == [Document("x", "one", ("y",)), Document("z", "two")]
    with pytest.raises(InvalidData, match=r"no column 'textt'; it has a, b, c"):
        read_documents(path, text="textt")
    with pytest.raises(
        InvalidData, match="cannot tell which column is the text.*Name it with text="
    ):
        read_documents(path)


def test_the_only_string_is_the_text(tmp_path):
    path = saved(tmp_path / "x.jsonl", '{"id": 7, "body": "some words", "topics": ["a"], "n": 1}')
    assert list(read_documents(path)) == [Document("7", "some words", ("a",))]


@pytest.mark.parametrize("name", ["label", "labels", "topics", "category", "categories", "group"])
def test_usual_names_of_labels_are_found(tmp_path, name):
    path = saved(tmp_path / "x.jsonl", json.dumps({"text": "a", name: ["x", 2, "x"]}))
    documents = read_documents(path)
    assert documents.labeled
    assert next(iter(documents)).labels == ("x", "2")


def test_documents_without_ids_are_numbered(tmp_path):
    documents = read_documents(saved(tmp_path / "x.csv", "text\na\nb\n"))
    assert not documents.labeled
    assert [d.id for d in documents] == ["0", "1"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"id": 2}', "'text' must be a string, got None"),
        ('{"id": 2, "text": null}', "'text' must be a string, got None"),
        ('{"id": 2, "text": ["b"]}', "'text' must be a string"),
        ('{"text": "b"}', "'id' must be a string or a whole number"),
        ('{"id": "", "text": "b"}', "'id' must be a string or a whole number"),
        ('{"id": 1.5, "text": "b"}', "'id' must be a string or a whole number"),
        ('{"id": true, "text": "b"}', "'id' must be a string or a whole number"),
        ('{"id": 1, "text": "b"}', "the id '1' is repeated; ids must be distinct"),
        ('{"id": "1", "text": "b"}', "the id '1' is repeated"),
        ('{"id": 2, "text": "b", "label": {"a": 1}}', "'label' must be a label or a list"),
        ('{"id": 2, "text": "b", "label": [1.5]}', "'label' must be a label or a list"),
        ('{"id": 2, "text": "b", "label": [["a"]]}', "'label' must be a label or a list"),
        ('{"id": 2, "text": "b", "text": "c"}', "bad JSON: a key is repeated"),
        ('["b"]', "expected an object"),
        ("text", "bad JSON"),
        (b'{"id": 2, "text": "caf\xe9"}', "bad JSON: 'utf-8' codec can't decode"),
        ("[" * 100_000, "bad JSON: maximum recursion depth"),
    ],
)
def test_jsonl_error_names_the_line(tmp_path, bad, message):
    bad = bad if isinstance(bad, bytes) else bad.encode()
    first = b'{"id": 1, "text": "a", "label": "l"}\n\n'
    documents = read_documents(saved(tmp_path / "x.jsonl", first + bad + b"\n"))
    with pytest.raises(InvalidData, match=rf"x\.jsonl, line 3.*{message}"):
        list(documents)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"2,b\n", "line 4: expected 3 cells, got 2"),
        (b"2,b,l,m\n", "line 4: expected 3 cells, got 4"),
        (b",b,l\n", "line 4: 'id' must be a string"),
        (b"1,b,l\n", "line 4: the id '1' is repeated"),
        (b'2,"b,l\n3,c,l\n', "line 4: the quote that opens .*unexpected end of data"),
        (b'2,"b"c,l\n', "line 4: the quote that opens .*',' expected after '\"'"),
        (b"2,caf\xe9,l\n", "line 4: not UTF-8: .*; convert the file to UTF-8 first"),
        (b"2," + b"x" * 10_000_001 + b",l\n", r"line 4: field larger than field limit \(10000000"),
    ],
)
def test_csv_error_names_the_line(tmp_path, bad, message):
    path = saved(tmp_path / "x.csv", b'id,text,label\n1,"a\nb",l\n' + bad)
    with pytest.raises(InvalidData, match=rf"x\.csv, {message}"):
        list(read_documents(path))


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "no header"),
        (b"\n\n", "no header"),
        (b"text,text\n", "line 1: a column name is repeated"),
        (b"\xfft\0", "line 1: not UTF-8"),
        (b"\xff\xfet", "begins like UTF-16"),
    ],
)
def test_csv_without_a_valid_header_is_refused(tmp_path, header, message):
    with pytest.raises(InvalidData, match=message):
        read_documents(saved(tmp_path / "x.csv", header))


def test_csv_reads_long_documents_and_restores_pythons_limit(tmp_path):
    import csv

    before = csv.field_size_limit()
    long = "word " * 100_000
    documents = read_documents(saved(tmp_path / "x.csv", f"text,n\n{long},1\n"))
    assert next(documents.texts()) == long
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_of_any_separator_with_a_byte_order_mark(tmp_path, separator):
    text = f"\ufefftext{separator} id\r\nsome words{separator}x\r\n"
    assert list(read_documents(saved(tmp_path / "x.csv", text))) == [Document("x", "some words")]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"text": ["a", "b", None]}, "row 2: 'text' must be a string, got None"),
        ({"text": ["a", "b", "c"], "id": ["x", "y", "x"]}, "row 2: the id 'x' is repeated"),
        ({"text": ["a", "b", "c"], "id": [1, 2, None]}, "row 2: 'id' must be"),
        ({"text": ["a", "b", "c"], "label": [0.5, 1.5, 2.5]}, "row 0: 'label' must be"),
        ({"text": [1, 2, 3]}, "column 'text' holds int64, not strings"),
        ({"text": [b"a", b"b", b"c"]}, "column 'text' holds binary, not strings"),
        ({"n": [1, 2, 3]}, "cannot tell which column is the text"),
        ({"text": pa.array([], pa.string())}, "no documents"),
    ],
)
def test_parquet_error_names_the_row(tmp_path, columns, message):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(columns), path)
    with pytest.raises(InvalidData, match=rf"x\.parquet.*{message}"):
        list(read_documents(path))


def test_parquet_of_dictionaries_and_large_strings_is_read(tmp_path):
    path = tmp_path / "x.parquet"
    text = pa.array(["a b", "c d", "a b"], pa.large_string())
    label = pa.array(["u", "v", "u"]).dictionary_encode()
    pq.write_table(pa.table({"text": text, "label": label, "n": [1, 2, 3]}), path)
    assert [(d.text, d.labels) for d in read_documents(path)] == [
        ("a b", ("u",)),
        ("c d", ("v",)),
        ("a b", ("u",)),
    ]


def test_parquet_with_damaged_pages_is_refused(tmp_path):
    documents = [Document(str(i), f"text {i * i}") for i in range(2)]
    path = as_parquet(tmp_path / "x.parquet", documents, compression="none")
    whole = path.read_bytes()
    at = whole.index(b"text 0") + 3
    saved(path, whole[:at] + b"\xff" + whole[at + 1 :])
    with pytest.raises(InvalidData, match=r"x\.parquet: damaged Parquet data|'utf-8'"):
        list(read_documents(path))


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path):
    names = ["b/2", "b/10", "a/z/1", "a.txt", "a/b", "c"]
    folder = as_folder(tmp_path / "x", [Document(name, name) for name in names])
    found = [d.id for d in read_documents(folder)]
    in_order = sorted(p for p in folder.rglob("*") if p.is_file())
    assert found == [p.relative_to(folder).as_posix() for p in in_order]


def test_a_folder_has_the_labels_of_load_files(tmp_path):
    from sklearn.datasets import load_files

    names = ["sky/1.txt", "sky/2.txt", "sea/1.txt"]
    folder = as_folder(tmp_path / "x", [Document(name, f"text of {name}") for name in names])
    bunch = load_files(folder, encoding="utf-8", shuffle=False)
    theirs = [(t, (bunch.target_names[c],)) for t, c in zip(bunch.data, bunch.target, strict=True)]
    assert [(d.text, d.labels) for d in read_documents(folder)] == theirs


def test_a_flat_folder_has_no_labels(tmp_path):
    documents = read_documents(as_folder(tmp_path / "x", [Document("1.txt", "one")]))
    assert not documents.labeled
    assert next(iter(documents)).labels == ()


def test_a_folder_skips_hidden_files(tmp_path):
    folder = as_folder(tmp_path / "x", [Document("a", "text"), Document(".b", "no")])
    as_folder(folder / ".git", [Document("c", "no")])
    assert [d.id for d in read_documents(folder)] == ["a"]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xef\xbb\xbfabc", "abc"),
        ("abc é".encode("utf-16"), "abc é"),
        (b"\xfe\xff" + "abc".encode("utf-16-be"), "abc"),
        (b"caf\xe9 au lait", "caf\ufffd au lait"),
        (b"a\0b" + b"c" * 200, "a\ufffdb" + "c" * 200),
        (b"a\r\nb", "a\r\nb"),
        (b"", ""),
    ],
)
def test_a_file_is_decoded_as_documented(tmp_path, content, text):
    folder = tmp_path / "x"
    folder.mkdir()
    saved(folder / "a", content)
    assert next(read_documents(folder).texts()) == text


@pytest.mark.parametrize("content", [bytes(100), b"PK\3\4" + bytes(8), "abc".encode("utf-16-le")])
def test_a_file_that_is_not_text_is_refused_by_name(tmp_path, content):
    (tmp_path / "x").mkdir()
    saved(tmp_path / "x" / "a.txt", content)
    why = r"\d+ of its first \d+ bytes are zero|a zip archive"
    with pytest.raises(InvalidData, match=rf"a\.txt: not text: ({why})"):
        list(read_documents(tmp_path / "x"))


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(InvalidData, match="no text files"):
        read_documents(tmp_path)


def test_a_folder_refuses_named_columns(tmp_path):
    with pytest.raises(UsageError, match="a folder has no columns; leave out text"):
        read_documents(as_folder(tmp_path / "x"), text="body")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.jsonl", r"absent\.jsonl: no such file or folder"),
        ("", "the name of the data is empty"),
    ],
)
def test_a_missing_path_is_named(tmp_path, name, message):
    with pytest.raises(InvalidData, match=message):
        read_documents(tmp_path / name if name else "")


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(InvalidData, match=r"unknown kind of file '\.pdf'; texts are read from"):
        read_documents(saved(tmp_path / "x.pdf", b""))


def test_a_pipe_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "x.jsonl")
    with pytest.raises(InvalidData, match="not a regular file"):
        read_documents(tmp_path / "x.jsonl")


@pytest.mark.parametrize("damage", damages(bytes(20)))
@pytest.mark.parametrize("kind", ["jsonl.gz", "csv.gz"])
def test_a_damaged_gzip_is_refused(tmp_path, rng, damage, kind):
    many = [Document(str(i), rng.bytes(30).hex()) for i in range(50)]
    path = KINDS[kind](tmp_path / f"x.{kind}", many)
    saved(path, damages(path.read_bytes())[damage])
    with pytest.raises(InvalidData, match="damaged gzip"):
        list(read_documents(path))


def test_a_repeated_id_is_found_among_many(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.data.readers.ids._LEAST", 4)
    for length in range(90, 100):  # wherever the last look was
        names = [str(i) for i in range(length)]
        for again in ("0", "50", names[-1]):
            path = as_jsonl(tmp_path / "x.jsonl", [Document(n, "t") for n in [*names, again]])
            with pytest.raises(InvalidData, match=f"line {length + 1}: .*id.* is repeated"):
                list(read_documents(path))


def test_any_number_of_distinct_ids_is_accepted(monkeypatch):
    from narrows.data.readers.ids import DistinctIds

    monkeypatch.setattr("narrows.data.readers.ids._LEAST", 4)
    seen = DistinctIds("x", "line")
    for number in range(1000):
        seen.add(f"id {number}", number)
    seen.finish()
    assert len(seen._sorted) == 1000
    assert (np.diff(seen._sorted) > 0).all()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", b"[1, 2]\n"),
        ("x.jsonl", b'{"a": 1}\n'),
        ("x.jsonl", b"\xff\n"),
        ("x.jsonl", b""),
        ("x.csv", b"a,b\n1,2\n"),
        ("x.csv", b"\xff"),
        ("x.csv", b""),
        ("x.parquet", b"PAR1"),
        ("x.npy", b""),
        ("absent/x", None),
        ("folder/a.png", b""),
    ],
)
def test_numbers_images_and_nonsense_do_not_look_like_documents(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.parent.mkdir(exist_ok=True)
        saved(path, content)
    assert not looks_like_documents(path.parent if "folder" in name else path)


def test_reuters_is_read_with_its_topics(data_folder):
    documents = list(read_documents(data_folder / "reuters21578" / "docs.jsonl.gz"))
    assert len(documents) == 21_578
    earn = sum("earn" in d.labels for d in documents)
    assert earn > 2877 + 1087  # those of the ModApte split, and more outside it


def test_hidden_images_do_not_make_a_folder_of_images(tmp_path):
    (tmp_path / ".thumbnails").mkdir()
    (tmp_path / ".thumbnails" / "a.png").write_bytes(b"")
    (tmp_path / "a.txt").write_text("words")
    assert looks_like_documents(tmp_path)
