"""The CSV reader; errors name the line."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from reader_files import rows_of, saved

from narrows import read_documents
from narrows.data import read
from narrows.data.readers.labels import named_column, read_labels
from narrows.data.statistics import describe
from narrows.errors import InvalidData, ResourceError


def test_csv_column_names_come_from_the_header(tmp_path):
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
        ("a,a\n1,2\n", "line 1: a column name is repeated"),
        ('a,b\n"1,2\n3,4\n', 'line 2: the quote that opens at "1,2 does not end its cell'),
        ("a\n" + "1" * 200_000, "line 2: field larger than field limit"),
        ("a,b\n", "no rows below the first line, which is the header"),
        ("", "no rows: the file is empty"),
        ("1.0,#N/A,1.0\n1,2,3\n", "line 1: a column name is repeated; .*header=no"),
    ],
)
def test_csv_error_names_the_line(tmp_path, text, message):
    with pytest.raises(InvalidData, match=rf"x\.csv.*{message}"):
        read(saved(tmp_path / "x.csv", text))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,é\n".encode("latin1"), "line 2: not UTF-8"),
        ("a,b\n1,2".encode("utf-16-le"), "line 1, column|a number|not UTF-8"),
        (b"\xff\xfea", "begins like UTF-16, but is not"),
    ],
)
def test_csv_of_another_encoding_is_refused(tmp_path, content, message):
    with pytest.raises(InvalidData, match=message):
        read(saved(tmp_path / "x.csv", content))


def test_csv_in_utf16_with_a_byte_order_mark_is_read(tmp_path):
    saved(tmp_path / "x.csv", "höhe\tb\r\n1\t2\r\n3\t4\r\n".encode("utf-16"))
    source = read(tmp_path / "x.csv")
    assert source.names == ["höhe", "b"]
    np.testing.assert_array_equal(rows_of(source), [[1, 2], [3, 4]])
    saved(tmp_path / "y.csv", "a\nb\n".encode("utf-16"))
    assert read_labels(tmp_path / "y.csv", n_rows=2).tolist() == ["a", "b"]


@pytest.mark.parametrize("name", ["x.csv", "x.tsv", "x.jsonl", "x.svmlight"])
def test_gzip_without_the_suffix_gz_is_refused(tmp_path, name):
    path = saved(tmp_path / name, gzip.compress(b"1,2\n3,4\n"))
    with pytest.raises(InvalidData, match=rf"is compressed by gzip, .* rename it to {name}\.gz"):
        read(path)


@pytest.mark.parametrize("row", ['"5 inch,1\n', '"5 inch,1\n"6 inch",2\n', '"5" inch,1\n'])
def test_a_stray_quote_names_the_line_where_it_opens_and_swallows_no_row(tmp_path, row):
    path = saved(tmp_path / "x.csv", f'name,a\n"two\nlines",1\n{row}' + "pipe,2\n" * 30)
    message = r"x\.csv, line 4: the quote that opens at \"5.* inside of a text twice"
    with pytest.raises(InvalidData, match=message):
        read(path, label="name")
    with pytest.raises(InvalidData, match=message):
        list(read_documents(path, text="name"))
    with pytest.raises(InvalidData, match=message):
        named_column(path, "name")


def test_a_stray_quote_in_a_file_of_labels_names_its_line(tmp_path):
    path = saved(tmp_path / "y.csv", 'a\n\n"b\nc\n')
    with pytest.raises(InvalidData, match=r"y\.csv, line 3: the quote that opens"):
        read_labels(path, n_rows=4)


def test_a_quoted_cell_may_have_several_lines_and_quotes(tmp_path):
    path = saved(tmp_path / "x.csv", 'name,a\n"5"" pipe\nof steel",1\n6" pipe,2\n')
    source = read(path, label="name")
    assert source.labels.tolist() == ['5" pipe\nof steel', '6" pipe']


def test_the_separator_line_of_excel_is_used(tmp_path):
    source = read(saved(tmp_path / "x.csv", "sep=;\r\na;b\r\n1;2\r\n3;4\r\n"))
    assert source.names == ["a", "b"]
    assert source.lines.tolist() == [3, 4]
    assert read(saved(tmp_path / "x.csv", "sep=|\n1|2\n3|4\n")).n_features == 2
    assert read(saved(tmp_path / "x.csv", "sep=\n1\n2\n")).names == ["sep="]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_without_a_header_are_named(tmp_path, separator):
    path = saved(tmp_path / "x.csv", f"1,5{separator}2,5\n3,5{separator}4,5\n")
    with pytest.raises(InvalidData, match="line 1, column 0: .* Decimal commas are not read"):
        read(path)


@pytest.mark.parametrize("cell", ["1,000", "12,345,678", "-1,234.5"])
def test_thousands_separators_are_named(tmp_path, cell):
    path = saved(tmp_path / "x.csv", f'a,b\n1,"{cell}"\n')
    with pytest.raises(InvalidData, match="Thousands separators are not read: leave the commas"):
        read(path)


def test_true_and_false_are_numbers_as_in_parquet(tmp_path):
    source = read(saved(tmp_path / "x.csv", "a,b\nTRUE,1\nFalse,2\ntrue,\n"))
    np.testing.assert_array_equal(rows_of(source), [[1, 1], [0, 2], [1, np.nan]])
    assert read(saved(tmp_path / "y.csv", "TRUE,1\nFALSE,2\n")).n_rows == 2
    source = read(saved(tmp_path / "x.jsonl", '{"a": true, "b": 1}\n{"a": false, "b": null}\n'))
    np.testing.assert_array_equal(rows_of(source), [[1, 1], [0, np.nan]])


@pytest.mark.parametrize(
    ("word", "what"),
    [("nan", "NaN"), ("", "NaN"), ("NA", "NaN"), ("-inf", "infinity"), ("1e300", "too large")],
)
def test_csv_value_that_is_not_finite_is_named_by_line_and_column(tmp_path, word, what):
    source = read(saved(tmp_path / "x.csv", f"a,b\n1,2\n3,{word}\n"))
    with pytest.raises(InvalidData, match=rf"x\.csv contains .*{what}.* line 3, column 'b'"):
        describe(source)


def test_csv_larger_than_memory_is_refused(tmp_path, little_memory):
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
def test_a_first_row_that_only_seems_to_count_is_kept(tmp_path, text):
    source = read(saved(tmp_path / "x.csv", text))
    assert source.names is None
    assert source.n_rows == 2


def test_decimal_commas_are_named(tmp_path):
    (tmp_path / "x.csv").write_text("a;b\n1,5;2,25\n")
    with pytest.raises(InvalidData, match=r"got '1,5'\. Decimal commas are not read; write points"):
        read(tmp_path / "x.csv")
