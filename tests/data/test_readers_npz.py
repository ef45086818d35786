"""The .npz reader: archives of arrays, and SciPy's sparse matrices."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from reader_files import HEADER, ROWS, npy_bytes, rows_of, saved

from narrows.data import SparseSource, read
from narrows.errors import InvalidData, ResourceError


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def csr():
    return sp.random_array((6, 5), density=0.4, format="csr", rng=0, dtype=np.float32)


def test_npz_reads_x_among_others(tmp_path):
    np.savez(tmp_path / "x.npz", y=np.ones(4), X=ROWS, names=np.array(["a", "b"]))
    np.testing.assert_array_equal(rows_of(read(tmp_path / "x.npz")), ROWS)


def test_npz_with_several_arrays_and_no_x_lists_them(tmp_path):
    np.savez(tmp_path / "x.npz", a=ROWS, b=ROWS)
    with pytest.raises(InvalidData, match="several arrays and none named X; it holds a, b"):
        read(tmp_path / "x.npz")


def test_npz_of_objects_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", X=np.array([[1, None]], dtype=object))
    with pytest.raises(InvalidData, match=r"X\.npy: arrays of dtype object are not supported"):
        read(tmp_path / "x.npz")


def test_npz_larger_than_promised_is_refused(tmp_path):
    path = zipped(tmp_path / "x.npz", {"X.npy": npy_bytes() + bytes(10**6)})
    with pytest.raises(InvalidData, match=r"X\.npy promises \d+ bytes, but has 10\d+"):
        read(path)


def test_npz_that_claims_a_trillion_rows_is_refused(tmp_path):
    path = zipped(tmp_path / "x.npz", {"X.npy": npy_bytes({**HEADER, "shape": (10**12, 3)})})
    with pytest.raises(InvalidData, match="promises 12000000000"):
        read(path)


def test_npz_bomb_with_a_matching_header_is_refused(tmp_path, little_memory):
    body = npy_bytes({**HEADER, "shape": (1000, 3)}, bytes(12000))
    with pytest.raises(ResourceError, match="3000 x 1 values need"):
        read(zipped(tmp_path / "x.npz", {"X.npy": body}))


def test_npz_member_not_named_npy_is_never_decompressed(tmp_path):
    trap = npy_bytes({**HEADER, "shape": (10**11, 3)})
    path = zipped(tmp_path / "x.npz", {"X.npy": npy_bytes(), "X": trap})
    np.testing.assert_array_equal(rows_of(read(path)), ROWS)


def test_npz_without_any_array_is_refused(tmp_path):
    with pytest.raises(InvalidData, match="no array; it holds none"):
        read(zipped(tmp_path / "x.npz", {"X": b"text"}))


def test_npz_with_a_flipped_byte_is_refused(tmp_path, rng):
    np.savez_compressed(tmp_path / "x.npz", X=rng.normal(size=(50, 4)))
    whole = (tmp_path / "x.npz").read_bytes()
    for at in range(60, len(whole) - 200, 97):
        broken = whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]
        with pytest.raises(InvalidData, match=r"x\.npz"):
            read(saved(tmp_path / "x.npz", broken))


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("compressed", [True, False])
def test_npz_from_scipy_is_read_as_sparse(tmp_path, csr, kind, compressed):
    sp.save_npz(tmp_path / "x.npz", kind(csr), compressed=compressed)
    source = read(tmp_path / "x.npz")
    assert isinstance(source, SparseSource)
    got = np.vstack([batch.to_dense().numpy() for batch in source.in_order(4)])
    np.testing.assert_array_equal(got, csr.toarray())


@pytest.mark.parametrize("form", ["csc", "bsr"])
def test_npz_of_another_sparse_format_is_not_mistaken_for_csr(tmp_path, form):
    square = sp.csr_array(np.triu(np.ones((4, 4), np.float32)))
    sp.save_npz(tmp_path / "x.npz", square.asformat(form))
    with pytest.raises(InvalidData, match=r"not CSR; save matrix\.tocsr\(\)"):
        read(tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("indices", lambda m: m.indices + 5, "indices must be < 5"),
        ("indices", lambda m: m.indices - 5, "indices must be >= 0"),
        ("indices", lambda m: m.indices.astype(float), "indices must be signed integers"),
        ("indptr", lambda m: m.indptr[::-1].copy(), r"x\.npz"),
        ("indptr", lambda m: m.indptr[:-1], "index pointer size"),
        ("data", lambda m: m.data[:-1], "same size"),
        ("data", lambda m: m.data[:, None], "1-D"),
        ("shape", lambda m: np.array([6.0, np.inf]), "a sparse matrix of shape"),
        ("shape", lambda m: np.array(6), "a sparse matrix of shape"),
        ("shape", lambda m: np.array([6]), "a sparse matrix of shape"),
        ("shape", lambda m: np.array([6, -5]), "negative"),
    ],
)
def test_npz_with_a_malformed_csr_is_refused(tmp_path, csr, part, value, message):
    parts = {n: getattr(csr, n) for n in ("data", "indices", "indptr")}
    parts["shape"] = np.array(csr.shape)
    np.savez(tmp_path / "x.npz", **{**parts, part: value(csr)})
    with pytest.raises(InvalidData, match=message):
        read(tmp_path / "x.npz")


def test_npz_of_a_trillion_columns_is_refused(tmp_path, csr):
    csr.resize(6, 10**13)
    sp.save_npz(tmp_path / "x.npz", csr)
    with pytest.raises(ResourceError, match="10000000000000 columns"):
        read(tmp_path / "x.npz")
