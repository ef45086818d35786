"""Arrays of every kind give the same rows, or an error."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import BaseEstimator
from source_rows import ROWS, fitted, read_only, seeded

from narrows.data import DenseSource
from narrows.data.array_sources import array_source
from narrows.data.statistics import describe
from narrows.errors import InvalidData
from narrows.estimators.inputs import fit_source, query_source


def memory_map(array, folder):
    np.save(folder / "x.npy", array)
    return np.load(folder / "x.npy", mmap_mode="r")


def record_field(array):
    """A view whose strides are not multiples of the item size."""
    records = np.zeros(len(array), dtype=[("flag", "u1"), ("x", "f4", (array.shape[1],))])
    records["x"] = array
    return records["x"]


LAYOUTS = {
    "read-only": lambda a, _: read_only(a),
    "memory map": memory_map,
    "fortran": lambda a, _: np.asfortranarray(a),
    "backwards": lambda a, _: np.ascontiguousarray(a[::-1, ::-1])[::-1, ::-1],
    "every other": lambda a, _: np.repeat(np.repeat(a, 2, 0), 2, 1)[::2, ::2],
    "record field": lambda a, _: record_field(a),
    "big-endian": lambda a, _: a.astype(">f4"),
    "float64": lambda a, _: a.astype(np.float64),
    "object": lambda a, _: a.astype(object),
    "longdouble": lambda a, _: a.astype(np.longdouble),
    "tensor": lambda a, _: torch.tensor(a, requires_grad=True),
    "turned tensor": lambda a, _: torch.tensor(a.T.copy()).T,
    "csr": lambda a, _: sp.csr_array(a),
    "csc matrix": lambda a, _: sp.csc_matrix(a),
    "coo": lambda a, _: sp.coo_array(a),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_rows_and_is_not_modified(tmp_path, layout):
    X = LAYOUTS[layout](ROWS, tmp_path)
    np.testing.assert_array_equal(fitted(X), ROWS)
    after = X.toarray() if sp.issparse(X) else X.detach() if isinstance(X, torch.Tensor) else X
    np.testing.assert_array_equal(np.asarray(after, dtype=np.float32), ROWS)


@pytest.mark.parametrize("layout", ["read-only", "memory map", "backwards", "record field"])
def test_shuffling_does_not_write_to_the_input(tmp_path, layout):
    X = LAYOUTS[layout](ROWS, tmp_path)
    for batch in fit_source(BaseEstimator(), X).shuffled(10, generator=seeded()):
        batch.zero_()
    np.testing.assert_array_equal(X, ROWS)


@pytest.mark.parametrize("dtype", [np.bool_, np.int8, np.int64, np.uint16, np.float16])
def test_other_numbers_are_converted(dtype):
    X = np.array([[0, 1], [1, 0], [1, 1]], dtype=dtype)
    np.testing.assert_array_equal(fitted(X), X.astype(np.float32))


def test_bfloat16_tensors_are_converted():
    np.testing.assert_array_equal(fitted(torch.ones(3, 2, dtype=torch.bfloat16)), np.ones((3, 2)))


def test_bytes_are_images_and_stay_bytes():
    source = fit_source(BaseEstimator(), np.full((3, 2), 200, np.uint8))
    assert source.kind == "image"
    assert source._array.dtype == torch.uint8


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((0, 2)), r"Found array with 0 sample\(s\)"),
        (np.ones((1, 2)), r"Found array with 1 sample\(s\).* minimum of 2"),
        (np.ones((3, 0)), r"Found array with 0 feature\(s\)"),
        (np.ones(3), "Expected 2D array, got 1D array"),
        (np.ones((3, 2, 2, 2, 2)), "dim 5"),
        (np.ones((3, 2), complex), "Complex data not supported"),
        (np.array([["a", "b"], ["c", "d"]]), "could not convert string to float"),
        (sp.csr_array((0, 4)), r"0 sample\(s\)"),
        (sp.csr_array(np.ones(4)), "expected 2 axes"),
        (torch.ones(3, 2).to_sparse(), "layout torch.sparse_coo is not supported"),
        (DenseSource(np.ones((3, 0), np.float32)), r"0 feature\(s\)"),
        (DenseSource(np.ones((1, 3), np.float32)), r"1 sample\(s\)"),
    ],
    ids=lambda value: None,
)
def test_other_inputs_are_refused(X, message):
    with pytest.raises(ValueError, match=message):
        fit_source(BaseEstimator(), X)


DAYS = pd.date_range("2020-02-03", periods=4)
BESIDE = pd.DataFrame({"a": np.arange(4.0), "when": DAYS})


@pytest.mark.parametrize(
    ("X", "column", "value"),
    [
        (BESIDE, "'when'", "2020-02-03"),
        (BESIDE[["when"]], "'when'", "2020-02-03"),
        (BESIDE.assign(when=DAYS - DAYS[1]), "'when'", "-86400"),
        (BESIDE.assign(when=DAYS.tz_localize("UTC")), "'when'", "2020-02-03"),
        (BESIDE.astype(object), "'when'", "2020-02-03"),
        (BESIDE.assign(when=[None, *DAYS.date[1:]]), "'when'", "2020-02-04"),
        (BESIDE.assign(when=list(DAYS.to_numpy())).astype(object), "'when'", "2020-02-03"),
        (pa.Table.from_pandas(BESIDE), "'when'", "2020-02-03"),
        (pl.from_pandas(BESIDE), "'when'", "2020-02-03"),
        (DAYS.to_numpy()[:, None], "0", "2020-02-03"),
        ((DAYS - DAYS[0]).to_numpy()[:, None], "0", "0 "),
    ],
    ids=lambda value: None,
)
def test_dates_are_refused_by_column(X, column, value):
    rule = rf"X: column {column} holds '{value}.*' in row \d, a time; give numbers, .*drop"
    with pytest.raises(InvalidData, match=rule):
        fit_source(BaseEstimator(), X)


def test_texts_of_an_arrow_table_are_named():
    X = pa.table({"a": [1.0, 2, 3], "b": ["1", "2", "red"]})
    with pytest.raises(InvalidData, match="column 'b' holds 'red' in row 2"):
        fit_source(BaseEstimator(), X)


def with_value(value, kind=np.float64):
    X = np.ones((4, 3), dtype=kind)
    X[2, 1] = value
    return X


@pytest.mark.parametrize(
    ("X", "what"),
    [
        (with_value(np.nan), "NaN"),
        (with_value(-np.inf), "infinity"),
        (with_value(1e300), r"too large for dtype\('float32'\)"),
        (with_value(None, object), "NaN"),
        (with_value(1e300, object), r"too large for dtype\('float32'\)"),
        (with_value(np.longdouble("1e4000"), np.longdouble), "too large"),
        (with_value(np.inf, np.float16), "infinity"),
        (sp.csr_array(with_value(np.nan)), "NaN"),
        (sp.csr_array(with_value(1e300)), "too large"),
        (torch.tensor(with_value(np.nan)), "NaN"),
        (np.ma.masked_equal(with_value(5), 5), "NaN"),
    ],
    ids=lambda value: None,
)  # fmt: skip
def test_a_value_that_is_not_finite_is_named_by_row_and_column(X, what):
    with pytest.raises(InvalidData, match=rf"Input X contains .*{what}.* at row 2, column 1"):
        describe(fit_source(BaseEstimator(), X))


def test_a_value_is_named_by_its_row_in_the_whole_data():
    X = np.ones((40_000, 2), np.float32)
    X[33_333, 1] = np.nan
    with pytest.raises(InvalidData, match="at row 33333, column 1"):
        describe(array_source(X))


def test_a_sum_beyond_float32_is_accepted():
    assert describe(array_source(np.full((100, 2), 3e38))).high == pytest.approx(3e38)


def test_a_source_of_another_width_is_refused():
    estimator = BaseEstimator()
    fit_source(estimator, array_source(np.ones((3, 2))))
    with pytest.raises(InvalidData, match="X: has 3 columns, the model was fitted to 2[.]"):
        query_source(estimator, array_source(np.ones((3, 3))))


def test_a_source_with_columns_in_another_order_is_refused():
    estimator = BaseEstimator()
    sources = [array_source(np.ones((3, 2))) for _ in range(2)]
    sources[0].names, sources[1].names = ["a", "b"], ["b", "a"]
    fit_source(estimator, sources[0])
    with pytest.raises(InvalidData, match="column 0 is 'b', the model was fitted with 'a' there"):
        query_source(estimator, sources[1])
