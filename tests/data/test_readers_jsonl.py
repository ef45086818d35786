"""The JSON Lines reader; errors name the line."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from reader_files import damages, rows_of, saved

from narrows.data import read
from narrows.data.statistics import describe
from narrows.errors import InvalidData, ResourceError


@pytest.mark.parametrize("suffix", ["jsonl", "ndjson", "jsonl.gz"])
def test_jsonl_of_objects_is_read_by_name(tmp_path, suffix):
    text = b'{"a": 1, "b": 2}\n\n{"b": 4, "a": 3}\n'
    path = saved(tmp_path / f"x.{suffix}", gzip.compress(text) if "gz" in suffix else text)
    assert read(path).names == ["a", "b"]
    np.testing.assert_array_equal(rows_of(read(path)), [[1, 2], [3, 4]])


def test_jsonl_of_arrays_is_read(tmp_path):
    path = saved(tmp_path / "x.jsonl", "\ufeff[1, 2]\r\n[3, 4.5]")
    np.testing.assert_array_equal(rows_of(read(path)), [[1, 2], [3, 4.5]])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{", "bad JSON"),
        ("[1, 2, 3]", "expected 2 numbers, got 3"),
        ("[]", "expected 2 numbers, got 0"),
        ("3", "expected an array"),
        ('{"a": 1, "b": 2}', "expected an array"),
        ('[1, "2"]', "item 1: expected a number, got '2'"),
        ('[1, "true"]', "item 1: expected a number, got 'true'"),
        ("[1, [2]]", "item 1: expected a number"),
        ("[1, 1" + "0" * 400 + "]", "a number too large for float64"),
        ("[1, " + "9" * 5000 + "]", "bad JSON: Exceeds the limit"),
        ("[" * 100_000, "bad JSON: maximum recursion depth"),
        (b"[1, \xff]", "bad JSON"),
        ("[1, 2] [3, 4]", "bad JSON"),
    ],
)
def test_jsonl_error_names_the_line(tmp_path, bad, message):
    bad = bad if isinstance(bad, bytes) else bad.encode()
    with pytest.raises(InvalidData, match=rf"x\.jsonl, line 3.*{message}"):
        read(saved(tmp_path / "x.jsonl", b"[1, 2]\n\n" + bad + b"\n"))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ('{"a": 1}', "keys differ"),
        ('{"a": 1, "c": 2}', "keys differ"),
        ('{"a": 1, "b": 2, "b": 3}', "a key is repeated"),
        ("[1, 2]", "expected an object"),
    ],
)
def test_jsonl_object_with_other_keys_is_refused(tmp_path, bad, message):
    with pytest.raises(InvalidData, match=f"line 2: .*{message}"):
        read(saved(tmp_path / "x.jsonl", f'{{"a": 1, "b": 2}}\n{bad}\n'))


@pytest.mark.parametrize("text", ["[]\n[]\n", "{}\n", "\n\n"])
def test_jsonl_without_numbers_is_refused(tmp_path, text):
    with pytest.raises(InvalidData, match="no rows|expected 0 numbers"):
        read(saved(tmp_path / "x.jsonl", text))


@pytest.mark.parametrize("damage", damages(bytes(20)))
def test_jsonl_in_a_damaged_gzip_is_refused(tmp_path, rng, damage):
    rows = "\n".join(json.dumps(row) for row in rng.normal(size=(50, 3)).tolist())
    broken = damages(gzip.compress(rows.encode()))[damage]
    with pytest.raises(InvalidData, match=r"x\.jsonl\.gz: damaged gzip after line \d+"):
        read(saved(tmp_path / "x.jsonl.gz", broken))


def test_jsonl_gzip_bomb_of_lines_is_limited(tmp_path, little_memory):
    with pytest.raises(ResourceError, match="values need"):
        read(saved(tmp_path / "x.jsonl.gz", gzip.compress(b"[1,2]\n" * 10_000)))


def test_jsonl_line_without_an_end_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.data.readers.lines.MAX_LINE", 1000)
    with pytest.raises(InvalidData, match="line 1: longer than 1000 bytes"):
        read(saved(tmp_path / "x.jsonl.gz", gzip.compress(b" " * 10**6)))


@pytest.mark.parametrize("word", ["null", "NaN", "-Infinity", "1e999", "1e300"])
def test_jsonl_value_that_is_not_finite_is_named(tmp_path, word):
    source = read(saved(tmp_path / "x.jsonl", f'{{"a": 1}}\n{{"a": {word}}}\n'))
    with pytest.raises(InvalidData, match=r"at line 2, column 'a'"):
        describe(source)


def test_a_word_in_a_column_of_numbers_is_named_by_line_key_and_value(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": 1, "b": 2}\n{"a": 3, "b": "many"}\n')
    with pytest.raises(InvalidData, match="t.jsonl, line 2, key 'b': expected a number, got 'man"):
        read(tmp_path / "t.jsonl")
