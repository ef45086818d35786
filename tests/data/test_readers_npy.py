"""The .npy reader: numbers of every kind, and headers that are not trusted."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
from reader_files import HEADER, ROWS, npy_bytes, rows_of, saved

from narrows.data import read
from narrows.data.source import evenly_spaced_rows
from narrows.errors import InvalidData, ResourceError


@pytest.mark.parametrize("dtype", ["?", "u1", "<i8", ">i2", "<f2", ">f4", "<f8"])
def test_npy_of_every_number_is_read_as_float32(tmp_path, dtype):
    np.save(tmp_path / "x.npy", ROWS.astype(dtype))
    got = rows_of(read(tmp_path / "x.npy"))
    assert got.dtype == np.float32
    np.testing.assert_array_equal(got, ROWS.astype(dtype).astype(np.float32))


def test_npy_in_fortran_order_is_read(tmp_path):
    np.save(tmp_path / "x.npy", np.asfortranarray(ROWS))
    np.testing.assert_array_equal(rows_of(read(tmp_path / "x.npy", stream=True)), ROWS)


def test_npy_of_images_keeps_their_shape(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 4, 5, 3), np.uint8))
    source = read(tmp_path / "x.npy")
    assert (source.n_features, source.image_shape, source.kind) == (60, (4, 5, 3), "image")


@pytest.mark.parametrize("stream", [None, True, False])
def test_npy_that_promises_a_trillion_rows_is_refused_before_allocation(tmp_path, stream):
    path = saved(tmp_path / "x.npy", npy_bytes({**HEADER, "shape": (10**12, 3)}))
    with pytest.raises(InvalidData, match="promises 1000000000000 rows of 3 float32 .* has 1"):
        read(path, stream=stream)


def test_npy_with_extra_bytes_is_refused(tmp_path):
    with pytest.raises(InvalidData, match="promises 4 rows"):
        read(saved(tmp_path / "x.npy", npy_bytes() + b"\0\0\0\0"))


def test_npy_of_objects_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1, None]], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidData, match="dtype object are not supported"):
        read(tmp_path / "x.npy")


@pytest.mark.parametrize("array", [np.array([["a"]]), np.ones((2, 2), complex)])
def test_npy_of_other_dtypes_is_refused(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(InvalidData, match="are not supported; save numbers"):
        read(tmp_path / "x.npy")


def test_npy_of_one_axis_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.ones(3))
    with pytest.raises(InvalidData, match="expected rows of features"):
        read(tmp_path / "x.npy")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (10**12, 0)])
@pytest.mark.parametrize("stream", [None, True])
def test_npy_without_values_is_refused(tmp_path, shape, stream):
    path = saved(tmp_path / "x.npy", npy_bytes({**HEADER, "shape": shape}, b""))
    with pytest.raises(InvalidData, match="no rows, or rows without values"):
        read(path, stream=stream)


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "shape": [4, 3]},
        {**HEADER, "shape": (-4, -3)},
        {**HEADER, "shape": (True, 12)},
        {**HEADER, "shape": (4, 3) + (1,) * 80},
        {**HEADER, "shape": (4.0, 3)},
        {**HEADER, "fortran_order": "yes"},
        {**HEADER, "descr": None},
        {**HEADER, "descr": "<f99999999999999"},
        {**HEADER, "more": 1},
        {"shape": (4, 3)},
        b"[1, 2]",
        b"__import__('os').abort()",
        b"(" * 9000,
        b"-" * 9000 + b"1",
        b" " * 60000,
        b"{'descr': '<f4\0'}",
    ],
)
def test_npy_with_a_malformed_header_is_refused(tmp_path, header):
    with pytest.raises(InvalidData, match=r"x\.npy: not a \.npy file"):
        read(saved(tmp_path / "x.npy", npy_bytes(header)))


def test_npy_of_a_future_version_is_refused(tmp_path):
    with pytest.raises(InvalidData, match=r"version \(9, 9\)"):
        read(saved(tmp_path / "x.npy", npy_bytes(version=(9, 9))))


@pytest.mark.parametrize("length", range(0, 130, 7))
def test_npy_cut_short_anywhere_is_refused(tmp_path, length):
    buffer = io.BytesIO()
    np.save(buffer, ROWS)
    with pytest.raises(InvalidData, match=r"x\.npy"):
        read(saved(tmp_path / "x.npy", buffer.getvalue()[:length]))


def test_npy_too_big_for_memory_is_refused_in_fortran_order(tmp_path):
    header = {**HEADER, "fortran_order": True, "shape": (10**9, 1000)}
    path = saved(tmp_path / "x.npy", npy_bytes(header, b""))
    os.truncate(path, path.stat().st_size + 4 * 10**12)  # sparse: it uses no disk
    with pytest.raises(ResourceError, match="1000000000 x 1000 values need"):
        read(path)


def test_npy_too_big_for_memory_is_streamed_in_c_order(tmp_path):
    path = saved(tmp_path / "x.npy", npy_bytes({**HEADER, "shape": (10**7, 1000)}, b""))
    os.truncate(path, path.stat().st_size + 4 * 10**10)  # sparse: it uses no disk
    assert evenly_spaced_rows(read(path), 3).shape == (3, 1000)
