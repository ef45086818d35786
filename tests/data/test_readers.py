"""Readers: the kind of a file decides how it is read; errors name the file."""

from __future__ import annotations

import os

import pytest
from reader_files import npy_bytes, saved

from narrows import read_documents
from narrows.cli._data import open_data
from narrows.data import read
from narrows.data.readers.labels import read_labels
from narrows.data.readers.masks import read_mask_file
from narrows.errors import InvalidData

KINDS = ["x.npy", "x.npz", "x.parquet", "x.csv", "x.jsonl", "x.idx", "x.svmlight"]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidData, match=r"absent\.npy: no such file or folder"):
        read(tmp_path / "absent.npy")


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(InvalidData, match=r"x\.h5: unknown kind of file '\.h5'; use \.npy"):
        read(saved(tmp_path / "x.h5", b""))


@pytest.mark.parametrize("read_it", [read, read_documents, lambda p: read_labels(p, n_rows=3)])
@pytest.mark.parametrize("name", ["x.xlsx", "X.XLS", "x.ods"])
def test_a_spreadsheet_is_refused_with_the_advice_to_save_it_as_csv(read_it, name, tmp_path):
    with pytest.raises(InvalidData, match="unknown kind of file.*; save the sheet as CSV"):
        read_it(saved(tmp_path / name, b"PK"))


def test_a_pipe_is_refused_without_blocking(tmp_path):
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(InvalidData, match="not a regular file"):
        read(tmp_path / "x.npy")


@pytest.mark.parametrize("name", [*KINDS, "x.txt", "x.csv.gz", "x.svmlight.gz"])
def test_no_reader_blocks_on_a_pipe(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)
    ask = (
        read,
        read_documents,
        lambda path: open_data(str(path)),
        lambda path: read_labels(path, n_rows=3),
        lambda path: read_labels(path, n_rows=3, column="a"),
        lambda path: read_mask_file(path, 3, (2, 2)),
    )
    for reader in ask:
        with pytest.raises(InvalidData, match="not a regular file|no such file of labels"):
            reader(path)


@pytest.mark.parametrize("name", KINDS)
def test_an_empty_file_is_refused_by_name(tmp_path, name):
    with pytest.raises(InvalidData, match=name):
        read(saved(tmp_path / name, b""))


@pytest.mark.parametrize("name", KINDS)
def test_random_bytes_are_refused_by_name(tmp_path, rng, name):
    with pytest.raises(InvalidData, match=name):
        read(saved(tmp_path / name, rng.bytes(1000)))


@pytest.mark.parametrize("name", ["UPPER.NPY", "a b;c.npy", "\u202egnp.npy", "x" * 200 + ".npy"])
def test_files_with_unusual_names_are_read(tmp_path, name):
    path = saved(tmp_path / name, npy_bytes())
    assert read(path).origin == str(path)
