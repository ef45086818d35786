"""The reader of CSV: every error names its line."""

from __future__ import annotations

import numpy as np
import pytest
from reader_files import rows_of, saved

from narrows.data import read
from narrows.data.statistics import describe
from narrows.errors import InvalidData, ResourceError


def test_csv_takes_its_names_from_the_header(tmp_path):
    source = read(saved(tmp_path / "x.csv", "\ufeffwidth, height\n1,2\n\n3,4.5e0\n"))
    assert source.names == ["width", "height"]
    np.testing.assert_array_equal(rows_of(source), [[1, 2], [3, 4.5]])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_without_a_header_loses_no_row(tmp_path, separator):
    source = read(saved(tmp_path / "x.csv", f"1{separator}2\r\n3{separator}4"))
    assert source.names is None
    np.testing.assert_array_equal(rows_of(source), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3: expected 2 cells, got 1"),
        ("1,2\n3,4\n5,6,7\n", "line 3: expected 2 cells, got 3"),
        ("a,b\n1,2,3\n", "line 2: expected 2 cells, got 3"),
        ("a,b\n1,2\n3,x\n", "line 3, column b: expected a number, got 'x'"),
        ("1,2\n3,1_000\n", "line 2, column 1: expected a number, got '1_000'"),
        ("1,2\n3,4\0\n", "line 2, column 1: expected a number"),
        ("a;b\n1,5;2\n", "line 2, column a: expected a number, got '1,5'"),
        ("a,a\n1,2\n", "line 1: a column name stands twice"),
        ('a,b\n"1,2\n3,4\n', "line 3: expected 2 cells"),
        ("a\n" + "1" * 200_000, "line 2: field larger than field limit"),
        ("a,b\n", "no rows"),
    ],
)
def test_csv_error_names_the_line(tmp_path, text, message):
    with pytest.raises(InvalidData, match=rf"x\.csv.*{message}"):
        read(saved(tmp_path / "x.csv", text))


@pytest.mark.parametrize("content", ["a,b\n1,é\n".encode("latin1"), "a,b\n1,2".encode("utf-16")])
def test_csv_that_is_not_utf8_is_refused(tmp_path, content):
    with pytest.raises(InvalidData, match="not UTF-8"):
        read(saved(tmp_path / "x.csv", content))


@pytest.mark.parametrize(
    ("word", "what"),
    [("nan", "NaN"), ("", "NaN"), ("NA", "NaN"), ("-inf", "infinity"), ("1e300", "too large")],
)
def test_csv_value_that_is_not_finite_is_named_by_line_and_column(tmp_path, word, what):
    source = read(saved(tmp_path / "x.csv", f"a,b\n1,2\n3,{word}\n"))
    with pytest.raises(InvalidData, match=rf"x\.csv contains .*{what}.* line 3, column 'b'"):
        describe(source)


def test_csv_bigger_than_memory_is_refused(tmp_path, little_memory):
    with pytest.raises(ResourceError, match="values need"):
        read(saved(tmp_path / "x.csv", "1,2\n" * 100))


@pytest.mark.filterwarnings("ignore::narrows.errors.HeaderWarning")  # what it says of 0, 1, 2
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("0,1,2\n5,6,7\n", ["0", "1", "2"]),
        ("1,2,3\n5,6,7\n", ["1", "2", "3"]),
        (",0,1,2\n0,5,6,7\n", ["0", "1", "2"]),
        (",a,b,c\n0,5,6,7\n", ["a", "b", "c"]),
    ],
)
def test_csv_as_pandas_writes_it(tmp_path, text, names):
    source = read(saved(tmp_path / "x.csv", text))
    assert source.names == names
    np.testing.assert_array_equal(rows_of(source), [[5, 6, 7]])


@pytest.mark.parametrize("text", ["0,1\n5,6\n", "0,1,3\n5,6,7\n", "0.0,1.0,2.0\n5,6,7\n"])
def test_csv_whose_first_row_only_looks_like_counting_keeps_it(tmp_path, text):
    source = read(saved(tmp_path / "x.csv", text))
    assert source.names is None
    assert source.n_rows == 2


def test_decimal_commas_are_named(tmp_path):
    (tmp_path / "x.csv").write_text("a;b\n1,5;2,25\n")
    with pytest.raises(InvalidData, match=r"got '1,5'\. Decimal commas are not read; write points"):
        read(tmp_path / "x.csv")
