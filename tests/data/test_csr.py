"""CSR matrices are checked, and never modified."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from source_rows import fitted, read_only, seeded

from narrows.data import SparseSource
from narrows.data.array_sources import sparse_rows
from narrows.data.csr import checked_csr, checked_sparse
from narrows.errors import InvalidData
from narrows.estimators.inputs import fit_source


def matrix(form="csr", **changes):
    made = sp.csr_array(np.array([[0, 1, 2], [3, 0, 0], [0, 4, 5], [6, 0, 0]], np.float32))
    made = made.asformat(form)
    for name, change in changes.items():
        setattr(made, name, change(getattr(made, name)))
    return made


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indices": lambda i: i + 10**8}, "indices must be < 3"),
        ({"indices": lambda i: i - 1}, "indices must be >= 0"),
        ({"indptr": lambda p: p + np.int32([0, 10**6, 0, 0, 0])}, "non-decreasing"),
        ({"indptr": lambda p: p[:-1]}, "index pointer size 4 should be 5"),
        ({"indptr": lambda p: p + 1}, "index pointer should start with 0"),
        ({"indptr": lambda p: p + np.int32([0, 0, 0, 0, 10**6])}, "should be less than"),
        ({"data": lambda d: d[:-1]}, "same size"),
        ({"indices": lambda i: i.astype(float)}, "indices must be signed integers, got float64"),
        ({"indices": lambda i: i.astype(np.uint64)}, "must be signed integers, got uint64"),
    ],
)
@pytest.mark.parametrize("door", [lambda X: fit_source(BaseEstimator(), X), SparseSource])
def test_a_malformed_csr_is_refused(door, changes, message):
    with pytest.raises(InvalidData, match=f"X: malformed CSR matrix: .*{message}"):
        door(matrix(**changes))


@pytest.mark.parametrize("form", ["csc", "bsr"])
def test_other_compressed_formats_are_checked_before_scipy_crashes_on_them(form):
    X = matrix(form)
    X.indices = X.indices + 10**8
    with pytest.raises(InvalidData, match=f"X: malformed {form.upper()} matrix"):
        checked_sparse(X)


def test_duplicates_are_summed():
    X = sp.csr_array((np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    np.testing.assert_array_equal(fitted(X), [[0, 2], [1, 0]])


def test_unsorted_indices_are_sorted():
    X = sp.csr_array((np.array([1.0, 2, 3]), np.array([1, 0, 1]), np.array([0, 2, 3])))
    source = fit_source(BaseEstimator(), X)
    assert next(source.in_order(2)).indices.tolist() == [0, 1, 1]


def test_a_stale_cached_property_is_not_trusted():
    X = sp.csr_array((np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    X.has_canonical_format = True
    assert checked_csr(X).data.tolist() == [2, 1]


def test_64_bit_indices_give_the_same_rows():
    wide = matrix(indices=lambda i: i.astype(np.int64), indptr=lambda p: p.astype(np.int64))
    np.testing.assert_array_equal(fitted(wide), matrix().toarray())


def test_explicit_zeros_give_the_same_rows():
    X = matrix()
    X.data[2] = 0
    np.testing.assert_array_equal(fitted(X), X.toarray())


def test_unused_capacity_is_not_trimmed():
    X = matrix(data=lambda d: np.r_[d, 7, 7], indices=lambda i: np.r_[i, np.int32([0, 99])])
    np.testing.assert_array_equal(fitted(X), matrix().toarray())
    assert len(X.data) == 8


def test_a_csr_matrix_is_never_modified():
    X = sp.csr_array((np.ones(3), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2))
    before = X.data.copy(), X.indices.copy(), X.indptr.copy()
    list(fit_source(BaseEstimator(), X).shuffled(1, generator=seeded()))
    for old, new in zip(before, (X.data, X.indices, X.indptr), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.filterwarnings("error")
def test_a_read_only_csr_is_read():
    X = matrix()
    X.data, X.indices, X.indptr = map(read_only, (X.data, X.indices, X.indptr))
    np.testing.assert_array_equal(sparse_rows(X).to_dense().numpy(), X.toarray())
    np.testing.assert_array_equal(fitted(X), X.toarray())
