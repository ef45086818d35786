"""The kind of files that a folder is read as."""

from __future__ import annotations

import gzip
import os
import socket

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from reader_files import rows_of

from narrows import read, read_documents
from narrows.cli import narrows as command
from narrows.cli._data import open_data
from narrows.data.readers.naming import parse_name
from narrows.errors import InvalidData, UsageError
from narrows.text import Documents, looks_like_documents


def filled(folder, **counts):
    """Make this many files of each suffix, with matching content."""
    folder.mkdir(exist_ok=True)
    for suffix, count in counts.items():
        for i in range(count):
            path = folder / f"{suffix}{i}.{suffix}"
            if suffix == "png":
                Image.new("L", (4, 3), 10 * i).save(path)
            elif suffix == "npy":
                np.save(path, np.eye(3, dtype=np.float32))
            elif suffix == "pdf":
                path.write_bytes(b"%PDF-1.7\n" + b"words " * 50)
            else:
                path.write_text(f"some words of file {i}")
    return folder


def says(reader, folder, *parts):
    with pytest.raises(InvalidData) as caught:
        reader(folder)
    for part in parts:
        assert part in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("reader", [read, read_documents, lambda path: open_data(str(path))])
@pytest.mark.parametrize(
    ("counts", "parts"),
    [
        ({"npy": 3}, ["holds 3 files of rows (.npy)", "Give one file, such as", "npy0.npy"]),
        ({"parquet": 2, "csv": 1}, ["3 files of rows (2 .parquet, 1 .csv)", "join them"]),
        ({"pdf": 2, "zip": 1}, ["holds 3 other files (2 .pdf, 1 .zip)", "convert"]),
        ({"png": 3, "txt": 8}, ["3 images (.png) and 8 texts (.txt)", ":kind=images", ":kind=tex"]),
        ({"txt": 2, "md": 1, "pdf": 1}, ["3 texts (2 .txt, 1 .md) and 1 other file (.pdf)"]),
        ({"png": 2, "csv": 1}, ["2 images (.png) and 1 file of rows (.csv)", "csv0.csv"]),
        ({"txt": 1, "npy": 1, "png": 1, "gz": 1}, ["1 image (.png), 1 text (.txt), 1 file of"]),
        ({}, ["no files in it"]),
    ],
)
def test_a_folder_of_several_kinds_is_refused(tmp_path, reader, counts, parts):
    says(reader, filled(tmp_path / "x", **counts), *parts)


def test_files_of_unknown_suffixes_are_inspected(tmp_path):
    folder = filled(tmp_path / "x", strange=2)
    assert [d.text for d in read_documents(folder)] == [f"some words of file {i}" for i in (0, 1)]
    (folder / "packed").write_bytes(gzip.compress(os.urandom(4000)))
    says(read_documents, folder, "2 texts (.strange) and 1 other file (no suffix)", "x/packed")


@pytest.mark.parametrize(
    "content",
    [
        b"%PDF-1.7 all of it is ASCII",
        gzip.compress(b"words " * 999),
        np.random.default_rng(0).normal(size=999).astype(np.float32).tobytes(),
        np.random.default_rng(0).bytes(5000).replace(b"\0", b"a"),
        b"\x93NUMPY\x01\0v\0{'descr'" + b" " * 4000,
    ],
    ids=["pdf", "gzip", "floats", "bytes without zero", "npy"],
)
def test_a_txt_file_that_is_not_text_is_refused(tmp_path, content):
    folder = filled(tmp_path / "x", txt=2)
    (folder / "z.txt").write_bytes(content)
    with pytest.raises(InvalidData, match=r"z\.txt: not text: "):
        list(read_documents(folder))
    with pytest.raises(InvalidData, match=r"z\.txt: not text: "):
        list(read_documents(folder, kind="texts"))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1251", "utf-16", "gb18030", "shift-jis"])
def test_texts_in_other_encodings_are_texts(tmp_path, encoding):
    words = {"cp1251": "слова и ещё слова", "gb18030": "一些文字", "shift-jis": "いくつかの言葉"}
    (tmp_path / "note").write_bytes((words.get(encoding, "déjà vu") * 20).encode(encoding))
    assert len(list(read_documents(tmp_path))) == 1


def test_kind_selects_the_files(tmp_path):
    folder = filled(tmp_path / "x", png=2, txt=3, npy=1, pdf=1)
    pictures = read(folder, kind="images")
    assert (pictures.n_rows, pictures.image_shape) == (2, (3, 4))
    np.testing.assert_array_equal(rows_of(read(f"{folder}:kind=images")), rows_of(pictures))
    assert rows_of(open_data(f"{folder}:kind=images"))[1, 0] == 10
    texts = read_documents(folder, kind="texts")
    assert [d.id for d in texts] == ["txt0.txt", "txt1.txt", "txt2.txt"]
    assert len(list(read_documents(f"{folder}:kind=texts"))) == 3
    assert isinstance(open_data(f"{folder}:kind=texts"), Documents)


def test_kind_is_checked(tmp_path):
    folder = filled(tmp_path / "x", npy=1)
    with pytest.raises(InvalidData, match="no image files"):
        read(folder, kind="images")
    with pytest.raises(InvalidData, match="no text files"):
        read_documents(folder, kind="texts")
    for reader in (read, read_documents, open_data):
        with pytest.raises(UsageError, match=r"unknown name 'image'.*Did you mean 'images'"):
            reader(f"{folder}:kind=image")
    with pytest.raises(UsageError, match="kind= is only for folders"):
        read(f"{folder / 'npy0.npy'}:kind=images")
    with pytest.raises(UsageError, match="kind: is given as an argument and in"):
        read(f"{folder}:kind=images", kind="images")


def test_each_reader_refers_to_the_other(tmp_path):
    texts = filled(tmp_path / "t", txt=1)
    says(read, texts, "no image files", "narrows.read_documents")
    says(read, f"{texts}:kind=texts", "kind=texts asks for texts", "narrows.read_documents")
    for folder in (texts, filled(tmp_path / "i", png=1)):
        with pytest.raises(UsageError, match="member= (is only for .npz|is for numbers)"):
            open_data(f"{folder}:member=x")
    says(read_documents, filled(tmp_path / "i", png=1), "no text files", "with narrows.read")


def test_a_colon_instead_of_a_comma_is_pointed_out(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n1,2\n")
    with pytest.raises(UsageError, match=r"a comma separates .*t\.csv:label=y,kind=images\.$"):
        parse_name(f"{tmp_path / 't.csv'}:label=y:kind=images")
    assert parse_name(f"{tmp_path / 't.csv'}:label=a:b=c")[1] == {
        "label": "a:b=c"
    }  # no key of ours


def test_files_of_operating_systems_are_skipped(tmp_path):
    folder = filled(tmp_path / "x", png=2)
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (folder / name).write_bytes(bytes(99))
    assert read(folder).n_rows == 2


def test_a_mixed_folder_does_not_look_like_documents(tmp_path):
    assert looks_like_documents(filled(tmp_path / "t", txt=1))
    assert not looks_like_documents(filled(tmp_path / "m", txt=1, pdf=1))


def test_the_command_describes_a_mixed_folder_and_reads_the_chosen_kind(tmp_path):
    folder, model = filled(tmp_path / "x", png=12, txt=2), str(tmp_path / "m.safetensors")
    small = ["--code", "2", "--hidden", "4", "--epochs", "1", "-q", "-o", model]
    refused = CliRunner().invoke(command, ["fit", str(folder), *small])
    assert isinstance(refused.exception, InvalidData)
    assert "12 images (.png) and 2 texts (.txt)" in str(refused.exception)
    fitted = CliRunner().invoke(command, ["fit", f"{folder}:kind=images", *small])
    assert fitted.exit_code == 0, fitted.output
    images = str(tmp_path / "out") + "/"
    arguments = ["reconstruct", model, f"{folder}:kind=images", "-o", images]
    written = CliRunner().invoke(command, arguments)
    assert written.exit_code == 0, written.output
    assert len(list((tmp_path / "out").glob("png*.png"))) == 12


@pytest.mark.parametrize("kind", [None, "images", "texts"])
@pytest.mark.parametrize("entry", ["pipe", "socket", "device", "loop", "nothing", "back", "twice"])
def test_no_reader_blocks_or_loops(tmp_path, monkeypatch, kind, entry):
    folder = filled(tmp_path / "x", txt=1)
    inner = folder / "inner"
    filled(inner, txt=1)
    path = inner / "z.png"
    if entry == "pipe":
        os.mkfifo(path)
    elif entry == "socket":
        monkeypatch.chdir(inner)  # their paths are short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind("z.png")
    elif entry == "twice":
        filled(tmp_path / "elsewhere", txt=1)
        (inner / "a").symlink_to(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        to = {"device": "/dev/zero", "loop": "z.png", "nothing": "gone", "back": folder}[entry]
        path.symlink_to(to)
    whole = str(folder) if kind is None else f"{folder}:kind={kind}"
    for reader in (open_data, read_documents if kind == "texts" else read):
        with pytest.raises(InvalidData, match=r"inner/z\.png: (a|is the same folder as)"):
            list(reader(whole)) if kind == "texts" else reader(whole)
