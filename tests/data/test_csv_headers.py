"""Headers of numbers, trailing commas, and several problems of a file at once."""

from __future__ import annotations

import gzip
import warnings

import numpy as np
import pytest
from reader_files import rows_of, saved

from narrows import read, read_documents
from narrows.cli import run as cli
from narrows.data.readers.labels import named_column
from narrows.errors import HeaderWarning, InvalidData, UsageError

YEARS = "2019,2020,2021\n5.5,3.25,8\n1,7,2\n"
WAVES = ",".join(f"{400 + 2.5 * i}" for i in range(9)) + "\n"
SPECTRA = WAVES + ",".join("351972468") + "\n" + ",".join("918273645") + "\n"

HEADERS = {
    "years": (YEARS, ["2019", "2020", "2021"]),
    "bins": ("0,10,20,30\n3,9,1,2\n8,4,6,1\n", ["0", "10", "20", "30"]),
    "wavelengths": (SPECTRA, WAVES.strip().split(",")),
    "counted": ("1,2,3\n5,1,9\n3,3,1\n", ["1", "2", "3"]),
    "counted, with spaces": ("0, 1, 2\n5,1,9\n3,3,1\n", ["0", "1", "2"]),
    "behind row numbers": (",2019,2020,2021\n0,5,3,8\n1,1,7,2\n", ["2019", "2020", "2021"]),
}


@pytest.mark.parametrize(("text", "names"), HEADERS.values(), ids=HEADERS)
def test_a_first_line_of_rising_numbers_is_a_header_with_a_warning(tmp_path, text, names):
    with pytest.warns(HeaderWarning, match=r"x\.csv: the first line, .* header=no .* header=yes"):
        source = read(saved(tmp_path / "x.csv", text))
    assert source.names == names
    assert source.n_rows == 2


@pytest.mark.parametrize("kind", ["x.tsv", "x.csv.gz", "x.tsv.gz"])
def test_all_text_tables_may_have_headers_of_numbers(tmp_path, kind):
    text = YEARS.replace(",", "\t") if "tsv" in kind else YEARS
    path = tmp_path / kind
    path.write_bytes(gzip.compress(text.encode()) if kind.endswith("gz") else text.encode())
    with pytest.warns(HeaderWarning):
        assert read(path).names == ["2019", "2020", "2021"]


ROWS = {
    "two columns": "1,5\n3,2\n",
    "unequal steps": "1,5,7\n3,2,9\n",
    "small whole numbers": "2,4,6\n3,1,9\n1,8,2\n",
    "rows that rise too": "1,2,4,7,11,16,22,30\n0,1,2,3,4,5,6,7\n",
    "fractions": "0.5,1.0,1.5\n3,1,2\n",
    "not rising": "3,1,2\n1,2,3\n",
    "equal numbers": "2019,2020,2020\n5,3,8\n",
    "a single line": "2019,2020,2021\n",
    "a value missing": "2019,,2021\n5,3,8\n",
}


@pytest.mark.parametrize("text", ROWS.values(), ids=ROWS)
def test_ordinary_first_rows_are_not_headers(tmp_path, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = read(saved(tmp_path / "x.csv", text))
    assert source.names is None
    assert source.n_rows == text.count("\n")


@pytest.mark.parametrize("text", ["1,2,3\n", "0;1;2\n\n", '"0","1","2"\n'])
def test_a_single_counting_line_is_refused_with_the_option_to_set(tmp_path, text):
    path = saved(tmp_path / "x.csv", text)
    with pytest.raises(
        InvalidData, match=r"no rows: the first line, ., ., ., .* pass header=no if"
    ):
        read(path)
    assert read(path, header=False).n_rows == 1


@pytest.mark.parametrize("text", ["0,1\n0.5,1.5\n2.5,1e3\n", "0\n0.5\n1.5\n"])
def test_a_row_that_may_be_a_header_causes_a_warning(tmp_path, text):
    path = saved(tmp_path / "x.csv", text)
    with pytest.warns(HeaderWarning, match=r"read as data although .* pass header=yes if it names"):
        assert read(path).n_rows == 3
    assert read(path, header=True).n_rows == 2


@pytest.mark.parametrize("blank", ["", "  ", " \t ", "\N{NO-BREAK SPACE}"])
def test_blank_lines_are_skipped(tmp_path, blank):
    text = f"{blank}\n\na;b\n{blank}\n1;2\n{blank}\n3;4\n{blank}\n"
    source = read(saved(tmp_path / "x.csv", text))
    np.testing.assert_array_equal(rows_of(source), [[1, 2], [3, 4]])
    with pytest.raises(InvalidData, match="line 5"):
        read(saved(tmp_path / "x.csv", text.replace("1;2", "1;z")))
    source = read(saved(tmp_path / "y.csv", f'a\n1\n{blank}\n""\n2\n'))
    np.testing.assert_array_equal(rows_of(source), [[1], [np.nan], [2]])


def test_random_rows_are_hardly_ever_taken_for_a_header(tmp_path):
    rng = np.random.default_rng(0)
    for width in (3, 5, 8):
        for _ in range(20):
            rows = rng.integers(0, 1000, size=(5, width))
            np.savetxt(tmp_path / "x.csv", rows, delimiter=",", fmt="%d")
            assert read(tmp_path / "x.csv").n_rows == 5


def test_header_overrides_the_detection(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        saved(tmp_path / "x.csv", YEARS)
        assert read(tmp_path / "x.csv", header=False).n_rows == 3
        assert read(f"{tmp_path / 'x.csv'}:header=no").n_rows == 3
        assert read(f"{tmp_path / 'x.csv'}:header=yes").names == ["2019", "2020", "2021"]
        saved(tmp_path / "y.csv", "3,1\n2,9\n")
        assert read(tmp_path / "y.csv", header=True).names == ["3", "1"]
        saved(tmp_path / "z.csv", "2019,a\n2,9\n")
        assert read(f"{tmp_path / 'z.csv'}:header=yes,drop=2019").names == ["a"]


def test_header_no_reads_the_first_line_as_numbers(tmp_path):
    saved(tmp_path / "x.csv", "a,b\n1,2\n")
    with pytest.raises(InvalidData, match="line 1, column 0: expected a number, got 'a'"):
        read(tmp_path / "x.csv", header=False)


def test_header_is_refused_for_other_kinds(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 2)))
    with pytest.raises(UsageError, match="header= is only for .csv and .tsv"):
        read(f"{tmp_path / 'x.npy'}:header=no")
    saved(tmp_path / "x.csv", YEARS)
    with pytest.raises(UsageError, match="header=yes or header=no"):
        read(f"{tmp_path / 'x.csv'}:header=perhaps")


TRAILING = {
    "header and rows": "a,b,\n1,2,\n3,4,\n",
    "rows alone": "a,b\n1,2,\n3,4,\n",
    "the header alone": "a,b,\n1,2\n3,4\n",
    "several": "a,b,,\n1,2,,\n3,4,,\n",
    "spaces": "a,b, \n1,2, \n3,4,\n",
}


@pytest.mark.parametrize("text", TRAILING.values(), ids=TRAILING)
def test_a_trailing_comma_adds_no_column(tmp_path, text):
    source = read(saved(tmp_path / "x.csv", text))
    assert source.names == ["a", "b"]
    np.testing.assert_array_equal(rows_of(source), [[1, 2], [3, 4]])


def test_a_trailing_comma_without_a_header_adds_no_column(tmp_path):
    source = read(saved(tmp_path / "x.csv", "1,2,\n3,4,\n"))
    np.testing.assert_array_equal(rows_of(source), [[1, 2], [3, 4]])


def test_a_last_column_with_a_value_or_a_name_is_kept(tmp_path):
    many = "".join(f"{i},2,\n" for i in range(40))
    assert read(saved(tmp_path / "x.csv", f"a,b,\n{many}3,4,5\n")).n_features == 3
    assert read(saved(tmp_path / "x.csv", "a,b,c\n1,2,\n3,4,\n")).names == ["a", "b", "c"]
    assert read(saved(tmp_path / "x.csv", "1,2,\n3,4,5\n")).n_features == 3


def test_documents_and_labels_ignore_a_trailing_comma(tmp_path):
    saved(tmp_path / "d.csv", "text,label,\nred fox,a,\nblue hen,b,\n")
    documents = read_documents(tmp_path / "d.csv")
    assert [document.text for document in documents] == ["red fox", "blue hen"]
    assert read_documents(saved(tmp_path / "e.csv", "body,\none,\ntwo,\n")) is not None
    assert named_column(tmp_path / "d.csv", "label") == [["a"], ["b"]]


def test_several_errors_of_a_file_are_listed_at_once(tmp_path):
    text = "a,b\n1,x\n2\n3,4\n5,y\n"
    with pytest.raises(InvalidData) as found:
        read(saved(tmp_path / "x.csv", text))
    lines = str(found.value).splitlines()
    for part, line in zip(["'x'", "got 1", "'y'"], lines, strict=True):
        assert part in line
    with pytest.raises(InvalidData, match="line 7.*There may be more"):
        read(saved(tmp_path / "x.csv", "a\n1\n" + "x\n" * 50))


@pytest.mark.filterwarnings("default")
def test_the_command_line_prints_the_warning_about_a_header(tmp_path, capsys):
    rng = np.random.default_rng(0)
    lines = [",".join(f"{v:.3f}" for v in row) for row in rng.normal(size=(30, 3))]
    saved(tmp_path / "x.csv", "\n".join(["2019,2020,2021", *lines]))
    fit = ["-o", str(tmp_path / "m"), "-k", "1", "--epochs", "1", "-q"]
    assert cli(["fit", str(tmp_path / "x.csv"), *fit]) == 0
    assert capsys.readouterr().err.count("was read as a header") == 1
    assert cli(["fit", f"{tmp_path / 'x.csv'}:header=no", *fit]) == 0
    assert "header" not in capsys.readouterr().err


@pytest.mark.parametrize("first", ["1.0,#N/A,3", "5,x,3,2", "0,1,2,3,y"])
def test_a_first_line_that_is_nearly_all_numbers_is_a_header_with_a_warning(tmp_path, first):
    row = ",".join("1" for _ in first.split(","))
    path = saved(tmp_path / "x.csv", f"{first}\n{row}\n{row}\n")
    with pytest.warns(
        HeaderWarning, match=r"read as a header because '.*' is not a number; pass hea"
    ):
        assert read(path).n_rows == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(path, header=True).n_rows == 2
    with pytest.raises(InvalidData, match="line 1, column .: expected a number"):
        read(path, header=False)


@pytest.mark.parametrize("first", ["a,2020", "a,b,2020,2021", "name,,", "x,NA,3"])
def test_a_first_line_with_enough_names_is_a_header_without_a_warning(tmp_path, first):
    row = ",".join("1" for _ in first.split(","))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(saved(tmp_path / "x.csv", f"{first}\n{row}\n{row}\n")).n_rows == 2


UNNAMED = {
    "counted from 0": (",a,b\n0,1,2\n1,3,4\n", ["a", "b"], None),
    "shuffled": (",a,b\n17,1,2\n4,3,4\n9,5,6\n", ["a", "b"], "first column has no name"),
    "one row": (",a\n17,1\n", ["a"], "first column has no name"),
    "twice a number": (",a\n17,1\n17,2\n", ["column 0", "a"], None),
    "fractions": (",a\n0.5,1\n17,2\n", ["column 0", "a"], None),
    "a value missing": (",a\n3,1\n,2\n", ["column 0", "a"], None),
    "elsewhere": ("a,,b\n1,17,2\n3,4,5\n", ["a", "column 1", "b"], None),
    "empty in the middle": ("a,,b\n1,,2\n3,,5\n", ["a", "b"], None),
    "empty and trailing": ("a,,b,\n1,,2,\n3,,5,\n", ["a", "b"], None),
    "two with values": ("a,,\n1,2,3\n4,2,3\n", ["a", "column 1", "column 2"], None),
}


@pytest.mark.parametrize(("text", "names", "warning"), UNNAMED.values(), ids=UNNAMED)
def test_columns_without_a_name_are_named_and_may_warn(tmp_path, text, names, warning):
    path = saved(tmp_path / "x.csv", text)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        source = read(path)
    assert source.names == names
    assert source.n_features == len(names)
    assert [warning in str(w.message) for w in found] == ([] if warning is None else [True])


def test_a_column_without_a_name_is_dropped_by_its_position(tmp_path):
    path = saved(tmp_path / "x.csv", "a,,b\n1,x,2\n3,y,5\n")
    with pytest.raises(
        InvalidData,
        match="line 2, column 1: .* got 'x'; the column, which has no name",
    ):
        read(path)
    assert read(f"{path}:drop=column 1").names == ["a", "b"]
    assert read(f"{path}:label=column 1").labels.tolist() == ["x", "y"]
    assert read(saved(tmp_path / "y.csv", ",a\n17,1\n4,2\n"), drop=["column 0"]).names == ["a"]
    with pytest.raises(InvalidData, match="no column 'c'; it has a, column 1, b"):
        read(path, drop=["c"])
