"""Labels from files of every kind; errors name file and line."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from narrows.data.readers.labels import label_matrix, read_labels
from narrows.errors import InvalidData

SEVERAL = np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]])


def dense(labels) -> np.ndarray:
    return labels.toarray() if sp.issparse(labels) else labels


@pytest.mark.parametrize("values", [[3, 1, 2], [True, False, True], ["a", "b", "a"], [0.5, 1, 2]])
def test_one_label_a_row_from_npy(tmp_path, values):
    np.save(tmp_path / "y.npy", values)
    found = read_labels(tmp_path / "y.npy", n_rows=3)
    assert found.tolist() == values


def test_several_labels_a_row_from_npy(tmp_path):
    np.save(tmp_path / "y.npy", SEVERAL)
    found = read_labels(tmp_path / "y.npy", n_rows=3)
    assert sp.issparse(found) and np.array_equal(found.toarray(), SEVERAL)


@pytest.mark.parametrize("sparse", [True, False])
def test_several_labels_a_row_from_npz(tmp_path, sparse):
    if sparse:
        sp.save_npz(tmp_path / "y.npz", sp.csr_array(SEVERAL))
    else:
        np.savez(tmp_path / "y.npz", SEVERAL)
    found = read_labels(tmp_path / "y.npz", n_rows=3)
    assert sp.issparse(found) and np.array_equal(found.toarray(), SEVERAL)


@pytest.mark.parametrize("suffix", ["txt", "csv"])
def test_one_label_a_line(tmp_path, suffix):
    (tmp_path / f"y.{suffix}").write_text("\ufeffearn\nmoney fx \r\nearn\n")
    found = read_labels(tmp_path / f"y.{suffix}", n_rows=3)
    assert found.tolist() == ["earn", "money fx", "earn"]


@pytest.mark.parametrize("suffix", ["txt", "csv"])
def test_several_labels_or_none_per_line(tmp_path, suffix):
    (tmp_path / f"y.{suffix}").write_text("b; a\n\nc;;c")
    found = read_labels(tmp_path / f"y.{suffix}", n_rows=3)
    assert np.array_equal(found.toarray(), SEVERAL)


@pytest.mark.parametrize("suffix", ["txt", "csv"])
@pytest.mark.parametrize("header, labels", [
    ("species", ["a", "b", "a"]), ("grade", ["1.5", "-2", "1e3"]), ("y", ["1", "?", "2"]),
    ("0", ["a", "b", "a"]),
])  # fmt: skip
def test_an_extra_first_line_unlike_the_others_is_a_header(tmp_path, suffix, header, labels):
    (tmp_path / f"y.{suffix}").write_text("\n".join([header, *labels]) + "\n")
    with pytest.warns(UserWarning, match=f"the first line, '{header}', was read as a header"):
        assert read_labels(tmp_path / f"y.{suffix}", n_rows=3).tolist() == labels


@pytest.mark.parametrize(
    ("first", "labels", "unknown"),
    [("?", ["a", "b", "a"], "?"), ("-1", ["a", "b", "a"], "-1"), ("nan", ["1.5", "2", "3"], None)],
)
def test_the_label_for_unknown_or_nan_is_not_a_header(tmp_path, first, labels, unknown):
    (tmp_path / "y.txt").write_text("\n".join([first, *labels]) + "\n")
    with pytest.raises(InvalidData, match="labels of 4 rows"):
        read_labels(tmp_path / "y.txt", n_rows=3, unknown=unknown)


def test_a_header_above_one_label_too_few_is_refused(tmp_path):
    (tmp_path / "y.csv").write_text("grade\n1\n2\n")
    with pytest.raises(InvalidData, match="'grade', is not a number, but all others are"):
        read_labels(tmp_path / "y.csv", n_rows=3)
    assert read_labels(tmp_path / "y.csv", n_rows=3, unknown="grade").tolist() == [
        "grade",
        "1",
        "2",
    ]


def test_a_blank_line_of_a_named_column_is_a_row_without_a_label(tmp_path):
    (tmp_path / "y.csv").write_text("grade\na\n\nb\n")
    with pytest.raises(InvalidData, match="labels of 3 rows, but the data have 2"):
        read_labels(tmp_path / "y.csv", n_rows=2, column="grade")


def test_a_first_line_is_not_a_header_if_there_are_as_many_lines_as_rows(tmp_path):
    (tmp_path / "y.csv").write_text("species\na\nb\n")
    assert read_labels(tmp_path / "y.csv", n_rows=3).tolist() == ["species", "a", "b"]


def test_files_with_several_labels_per_line_may_have_a_header(tmp_path):
    (tmp_path / "y.csv").write_text("topics\nb;a\na\nc\n")
    expected = [[1, 1, 0], [1, 0, 0], [0, 0, 1]]
    with pytest.warns(UserWarning, match="'topics', was read as a header"):
        assert read_labels(tmp_path / "y.csv", n_rows=3).toarray().tolist() == expected


def test_a_column_is_read_by_name(tmp_path):
    (tmp_path / "y.csv").write_text(',grade,"kind"\n0,1.5,a\n1,2, b;c \n2,,a\n')
    (tmp_path / "y.tsv").write_text("grade\tkind\n1.5\ta\n2\tb\n\n3\ta\n")
    kinds = read_labels(tmp_path / "y.csv", n_rows=3, column="kind")
    assert kinds.tolist() == ["a", "b;c", "a"]
    grades = read_labels(tmp_path / "y.csv", n_rows=3, column="grade")
    assert grades.toarray().tolist() == [[1, 0], [0, 1], [0, 0]]  # the last has no label
    assert read_labels(tmp_path / "y.tsv", n_rows=3, column="kind").tolist() == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("y.csv", "grade,kind\n1,a\n", "label: unknown name 'kinds'.*Did you mean 'kind'"),
        ("y.csv", "kinds,kinds\n1,a\n", "y.csv: the column 'kinds' is repeated"),
        ("y.csv", "kinds,b\n1,a\n2\n", "y.csv, line 3: expected 2 cells, got 1"),
        ("y.csv", "kinds,b\n1,a\n", "labels of 1 rows, but the data have 3"),
        ("y.csv", "", "unknown name 'kinds'"),
        ("y.txt", "kinds\na\n", "y.txt: a column of labels is read from .csv and .tsv"),
    ],
)
def test_a_column_that_cannot_be_read_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidData, match=message):
        read_labels(tmp_path / name, n_rows=3, column="kinds")


def test_quotes_in_csv_hold_commas(tmp_path):
    (tmp_path / "y.csv").write_text('"a, b;c"\n"x"\n')
    assert read_labels(tmp_path / "y.csv", n_rows=2).shape == (2, 3)


def test_a_label_matrix_names_its_columns():
    matrix, names = label_matrix([["b", "a", "b"], [], ["c"]])
    assert names == ["a", "b", "c"] and np.array_equal(matrix.toarray(), SEVERAL)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("y.txt", b"a\nb\n", r"y.txt: labels of 2 rows, but the data have 3 rows\.$"),
        ("y.txt", b"a\na\nb\nc\n", "labels of 4 rows.*first line is a header"),
        ("y.txt", b"0\n1\n2\n1\n", "labels of 4 rows.*first line is a header"),
        ("y.txt", b"0\nx\n?\n1\n", "labels of 4 rows.*first line is a header"),
        ("y.txt", b"name\na\nb\n\n", "labels of 4 rows.*first line is a header"),
        ("y.txt", b"name;a\nb\nc\nd\n", "labels of 4 rows.*first line is a header"),
        ("y.txt", b"a\n\xff\n", "y.txt: not UTF-8"),
        ("y.csv", b"a\nb,c\n", "y.csv, line 2: expected one cell.*got 2.*y.csv:label=COLUMN"),
        ("y.csv", b'a\n"b" c\n', "y.csv, line 2: the quote that opens"),
        ("y.npy", b"a\nb\n", "y.npy: not a .npy file"),
        ("y.npz", b"a\nb\n", "y.npz: not an .npz archive"),
        ("y.json", b"[]", "unknown kind of file '.json'; labels are read from .npy"),
        ("y.txt", None, "y.txt: no such file of labels"),
    ],
)
def test_errors_name_the_file_and_the_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidData, match=message):
        read_labels(tmp_path / name, n_rows=3)


def test_an_npy_header_that_promises_more_than_the_file_has_is_refused(tmp_path):
    with open(tmp_path / "y.npy", "wb") as file:
        header = {"descr": "<i8", "fortran_order": False, "shape": (10**12,)}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(InvalidData, match="not a .npy file"):
        read_labels(tmp_path / "y.npy", n_rows=3)


def test_objects_are_not_unpickled(tmp_path):
    np.save(tmp_path / "y.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidData, match="not a .npy file of numbers or strings"):
        read_labels(tmp_path / "y.npy", n_rows=2)


def test_labels_with_three_axes_are_refused(tmp_path):
    np.save(tmp_path / "y.npy", np.zeros((2, 2, 2)))
    with pytest.raises(InvalidData, match=r"got float64 of shape \(2, 2, 2\)"):
        read_labels(tmp_path / "y.npy", n_rows=2)


def test_labels_of_one_axis_from_idx(tmp_path):
    path = tmp_path / "labels-idx1-ubyte"
    path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 9]))
    assert read_labels(path, n_rows=3).tolist() == [5, 0, 9]
    path.write_bytes(bytes([0, 0, 8, 2, 0, 0, 0, 1, 0, 0, 0, 3, 5, 0, 9]))
    with pytest.raises(InvalidData, match=r"expected labels \(n_rows,\), got \(1, 3\)"):
        read_labels(path, n_rows=1)
