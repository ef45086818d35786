"""The SVMlight reader: rows and labels; errors name the line."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import scipy.sparse as sp
from reader_files import damages, saved
from sklearn.base import BaseEstimator
from sklearn.datasets import dump_svmlight_file

from narrows.data import SparseSource, read
from narrows.data.readers.labels import read_labels
from narrows.data.statistics import describe
from narrows.errors import InvalidData, ResourceError, UsageError
from narrows.estimators.inputs import fit_source, query_source

TEXT = "+1 1:0.5 3:-2 # the first\n\n# a remark\n-1 2:1e-3\r\n2.5\n"
DENSE = [[0.5, 0, -2], [0, 1e-3, 0], [0, 0, 0]]


def dense(source) -> np.ndarray:
    assert isinstance(source, SparseSource)
    return np.vstack([batch.to_dense().numpy() for batch in source.in_order(2)])


@pytest.mark.parametrize("suffix", ["svmlight", "libsvm", "SVMLIGHT", "svmlight.gz", "libsvm.gz"])
def test_rows_are_csr_of_float32(tmp_path, suffix):
    content = gzip.compress(TEXT.encode()) if "gz" in suffix else TEXT
    source = read(saved(tmp_path / f"x.{suffix}", content))
    rows = dense(source)
    assert rows.dtype == np.float32 and source.origin.endswith(suffix)
    np.testing.assert_array_equal(rows, np.float32(DENSE))


@pytest.mark.parametrize("zero_based", [True, False])
def test_files_written_by_scikit_learn_are_read(tmp_path, rng, zero_based):
    x = sp.random_array((30, 7), density=0.5, format="csr", rng=rng)
    y = rng.integers(0, 3, size=30)
    dump_svmlight_file(x, y, str(tmp_path / "x.svmlight"), zero_based=zero_based)
    np.testing.assert_allclose(dense(read(tmp_path / "x.svmlight")), x.toarray(), rtol=1e-6)
    labels = read_labels(tmp_path / "x.svmlight", n_rows=30)
    assert labels.dtype == np.int64 and labels.tolist() == y.tolist()


def test_a_byte_order_mark_is_not_part_of_a_label(tmp_path):
    path = saved(tmp_path / "x.svmlight", "\ufeff7 1:2\n")
    assert read_labels(path, n_rows=1).tolist() == [7]


@pytest.mark.parametrize(
    ("text", "labels"),
    [("+1 1:2\n-1 1:3\n", ["1", "-1"]), ("2.5 1:2\n1:3\n", ["2.5", ""]), ("1,2 1:2\n", None)],
)
def test_labels_are_strings_if_no_row_has_several(tmp_path, text, labels):
    kept = read(saved(tmp_path / "x.svmlight", text)).labels
    assert kept is None if labels is None else kept.tolist() == labels


def test_labels_that_are_not_whole_numbers_are_unchanged(tmp_path):
    path = saved(tmp_path / "x.libsvm", TEXT)
    assert read_labels(path, n_rows=3).tolist() == [1, -1, 2.5]


def test_several_labels_or_none_are_a_matrix(tmp_path):
    path = saved(tmp_path / "x.svmlight.gz", gzip.compress(b"10,2 1:1\n1:3 2:1\n2 2:1\n"))
    found = read_labels(path, n_rows=3)
    assert np.array_equal(found.toarray(), [[1, 1], [0, 0], [1, 0]])  # 2 before 10
    np.testing.assert_array_equal(dense(read(path)), [[1, 0], [3, 1], [0, 1]])


def test_a_group_is_ignored(tmp_path):
    path = saved(tmp_path / "x.svmlight", "3 qid:1 1:5\n2 qid:10 2:4\nqid:4 1:1\n")
    np.testing.assert_array_equal(dense(read(path)), [[5, 0], [0, 4], [1, 0]])
    assert read_labels(path, n_rows=3).toarray().tolist() == [[0, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("1 -3:1", "Invalid index -3"),
        ("1 5:1 3:1", "sorted and unique"),
        ("1 3:1 3:1", "sorted and unique"),
        ("1 2", "expected labels and then index:value.*, got '1 2'"),
        ("1 2:", "could not convert string to float"),
        ("1 2:x", "could not convert string to float"),
        ("1 2:3:4", "could not convert string to float"),
        ("1 x:3", "invalid literal for int"),
        ("1 2.0:3", "invalid literal for int"),
        ("1 1_0:3", "a number must not contain '_'"),
        ("1 4:1_0", "a number must not contain '_'"),
        ("1,,2 1:1", "could not convert string to float"),
        ("cat 1:1", "labels must be finite numbers"),
        ("nan 1:1", "labels must be finite numbers"),
        ("1e999 1:1", "got '1e999 1:1': labels must be finite numbers"),
        ("1,-1e999 1:1", "labels must be finite numbers"),
        ("1e 1:1", "could not convert string to float"),
        ("1 qid:x 1:1", "qid:NUMBER must occur once, after the labels"),
        ("1 qidle:3 1:1", "qid:NUMBER must occur once"),
        ("1 1:1 qid:3", "qid:NUMBER must occur once"),
        ("1 qid:1 qid:3", "qid:NUMBER must occur once"),
        ("1 slack:3 1:1", "invalid literal for int"),
        (b"1 1:1\x00 # 2", "could not convert string to float"),
        (b"1 1:\xff", "could not convert"),
        (f"1 {2**31}:1", "too large"),
        (f"1 {2**31}:1 1:1", "too large"),
        (f"1 {'9' * 5000}:1", "Exceeds the limit"),
    ],
)
def test_an_error_names_the_line(tmp_path, monkeypatch, bad, message):
    monkeypatch.setattr("narrows.data.memory.memory_limit", lambda: 2**40)
    bad = bad if isinstance(bad, bytes) else bad.encode()
    path = saved(tmp_path / "x.svmlight", b"1 1:1\n# none\n" + bad + b"\n2 1:1\n")
    with pytest.raises(InvalidData, match=rf"x\.svmlight, line 3: .*{message}") as error:
        read(path)
    assert str(error.value).count("line 3") == 1


@pytest.mark.parametrize("text", ["", "\n\n", "# only this\n"])
def test_a_file_without_rows_is_refused(tmp_path, text):
    with pytest.raises(InvalidData, match=r"x\.libsvm: no rows"):
        read(saved(tmp_path / "x.libsvm", text))


def test_rows_without_values_are_refused(tmp_path):
    with pytest.raises(InvalidData, match=r"x\.libsvm: no values"):
        read(saved(tmp_path / "x.libsvm", "1\n-1\n"))


def test_an_index_of_a_trillion_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(
        ResourceError, match=r"line 2: 1000000000000 columns: one number per column does not fit"
    ):
        read(saved(tmp_path / "x.svmlight", f"1 1:1\n1 2:1 {10**12}:1\n"))


def test_a_gzip_bomb_of_lines_is_capped(tmp_path, little_memory):
    with pytest.raises(ResourceError, match=r"line 7: 7 values in 7 rows need .* split the file"):
        read(saved(tmp_path / "x.svmlight.gz", gzip.compress(b"1 1:2\n" * 10_000)))


def test_a_gzip_bomb_of_one_line_is_capped(tmp_path, little_memory):
    line = b" ".join(b"%d:1" % i for i in range(100))
    with pytest.raises(ResourceError, match="line 1: 100 values in 1 rows need"):
        read(saved(tmp_path / "x.svmlight.gz", gzip.compress(line)))


def test_a_line_without_an_end_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.data.readers.lines.MAX_LINE", 1000)
    with pytest.raises(InvalidData, match="line 1: longer than 1000 bytes"):
        read(saved(tmp_path / "x.svmlight.gz", gzip.compress(b" " * 10**6)))


@pytest.mark.parametrize("damage", damages(bytes(20)))
def test_a_damaged_gzip_is_refused(tmp_path, rng, damage):
    text = "".join(f"1 1:{a!r} 2:{b!r}\n" for a, b in rng.normal(size=(50, 2)).tolist())
    broken = damages(gzip.compress(text.encode()))[damage]
    with pytest.raises(InvalidData, match=r"x\.svmlight\.gz: damaged gzip after line \d+"):
        read(saved(tmp_path / "x.svmlight.gz", broken))


@pytest.mark.parametrize("word", ["nan", "-inf", "1e999", "1e300"])
def test_a_value_that_is_not_finite_is_named(tmp_path, word):
    source = read(saved(tmp_path / "x.svmlight", f"1 1:1 3:2\n2 2:{word}\n"))
    with pytest.raises(InvalidData, match=r"x\.svmlight contains .* at row 1, column 1"):
        describe(source)


def test_n_features_adds_columns_that_do_not_occur(tmp_path):
    path = saved(tmp_path / "x.svmlight", TEXT)
    rows = dense(read(path, n_features=5, zero_based=False))
    np.testing.assert_array_equal(rows, np.pad(np.float32(DENSE), [(0, 0), (0, 2)]))


def test_an_index_beyond_n_features_is_refused(tmp_path):
    path = saved(tmp_path / "x.svmlight", TEXT)
    with pytest.raises(InvalidData, match="an index needs 3 columns, but n_features is 2"):
        read(path, n_features=2)


@pytest.mark.parametrize("wrong", [0, -1, 2.5, True, "3"])
def test_an_invalid_n_features_is_refused(tmp_path, wrong):
    with pytest.raises(UsageError, match="n_features"):
        read(saved(tmp_path / "x.svmlight", TEXT), n_features=wrong)


@pytest.mark.parametrize("name", ["x.npy", "folder"])
def test_n_features_is_refused_for_other_kinds(tmp_path, name):
    with pytest.raises(UsageError, match=r"n_features is only for \.svmlight and \.libsvm"):
        read(tmp_path / name, n_features=3)


def test_a_file_with_too_few_columns_is_refused_with_the_option_to_set(tmp_path):
    estimator = BaseEstimator()
    fit_source(estimator, read(saved(tmp_path / "a.libsvm", "1 1:2 4:1\n1 2:2\n")))
    path = saved(tmp_path / "b.libsvm", "1 1:2\n1 3:2\n")
    rule = r"b\.libsvm: has 3 .* .*b\.libsvm:features=4, in Python read\(path, n_features=4\)\."
    with pytest.raises(InvalidData, match=rule):
        query_source(estimator, read(path))
    query_source(estimator, read(path, n_features=4, zero_based=False))
    with pytest.raises(InvalidData, match=r"has 5 columns, the model was fitted to 4\.$"):
        query_source(estimator, read(saved(path, "1 5:1\n")))


HALF = "1 1:5 2:6\n2 2:7\n"
"""Neither the first nor the last column occurs, so whether indices start at 0 or 1 is unclear."""


@pytest.mark.parametrize(
    ("zero_based", "rows"),
    [(True, [[0, 5, 6, 0], [0, 0, 7, 0]]), (False, [[5, 6, 0, 0], [0, 7, 0, 0]])],
)
def test_zero_based_sets_the_first_index(tmp_path, zero_based, rows):
    path = saved(tmp_path / "x.svmlight", HALF)
    found = read(path, n_features=4, zero_based=zero_based)
    np.testing.assert_array_equal(dense(found), rows)
    assert read(path, zero_based=zero_based).n_features == 2 + zero_based


def test_an_unclear_first_index_causes_a_warning(tmp_path):
    path = saved(tmp_path / "x.svmlight", HALF)
    with pytest.warns(UserWarning, match="neither index 0 .* start at 1.*zero_based=True"):
        rows = dense(read(path, n_features=4))
    np.testing.assert_array_equal(rows, [[5, 6, 0, 0], [0, 7, 0, 0]])


@pytest.mark.parametrize(("text", "n_features"), [(HALF, 2), ("1 0:1 2:3\n", 5), (HALF, None)])
def test_a_clear_first_index_causes_no_warning(tmp_path, text, n_features):
    read(saved(tmp_path / "x.svmlight", text), n_features=n_features)


def test_an_index_beyond_the_columns_of_a_zero_based_file_is_refused(tmp_path):
    path = saved(tmp_path / "x.svmlight", HALF)
    with pytest.raises(InvalidData, match="an index needs 3 columns, but n_features is 2"):
        read(path, n_features=2, zero_based=True)


def test_an_index_0_is_refused_if_zero_based_is_false(tmp_path):
    path = saved(tmp_path / "x.svmlight", "1 1:2\n1 0:1\n")
    with pytest.raises(InvalidData, match="line 2: .*Invalid index 0"):
        read(path, zero_based=False)


def test_explicit_zeros_are_stored(tmp_path):
    assert read(saved(tmp_path / "x.svmlight", "1 2:0\n1 1:0\n")).n_features == 2


@pytest.mark.parametrize("wrong", [1, "yes"])
def test_an_invalid_zero_based_is_refused(tmp_path, wrong):
    with pytest.raises(UsageError, match="zero_based: must be True, False or None"):
        read(saved(tmp_path / "x.svmlight", HALF), zero_based=wrong)


def test_zero_based_is_refused_for_other_kinds(tmp_path):
    with pytest.raises(UsageError, match=r"zero_based is only for \.svmlight and \.libsvm"):
        read(tmp_path / "x.npy", zero_based=True)
