"""Readers: every kind of file gives its rows, and every broken file an error that names it."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import zipfile
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import torch
from PIL import Image

from narrows.data import SparseSource, read
from narrows.data.readers import _limits, idx, npy
from narrows.data.statistics import describe
from narrows.errors import InvalidData, ResourceError

ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)
VALUES = ROWS.tobytes()
HEADER = {"descr": "<f4", "fortran_order": False, "shape": (4, 3)}


def rows_of(source, batch_size=3):
    return torch.cat(list(source.in_order(batch_size))).numpy()


def saved(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def npy_bytes(header=HEADER, body=VALUES, version=(1, 0)):
    text = header if isinstance(header, bytes) else repr(header).encode()
    length = len(text).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + text + body


def idx_bytes(shape, body, kind=8):
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def little_memory(monkeypatch):
    """A machine that holds 1,000 bytes."""
    for module in (_limits, idx, npy):
        monkeypatch.setattr(module, "memory_limit", lambda: 1000)


@pytest.fixture
def csr():
    return sp.random_array((6, 5), density=0.4, format="csr", rng=0, dtype=np.float32)


# --- the door


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InvalidData, match=r"absent\.npy: no such file or folder"):
        read(tmp_path / "absent.npy")


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(InvalidData, match=r"x\.xls: unknown kind of file '\.xls'; use \.npy"):
        read(saved(tmp_path / "x.xls", b""))


def test_a_pipe_is_not_waited_on(tmp_path):
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(InvalidData, match="not a regular file"):
        read(tmp_path / "x.npy")


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.parquet", "x.csv", "x.jsonl", "x.idx"])
def test_an_empty_file_is_refused_by_name(tmp_path, name):
    with pytest.raises(InvalidData, match=name):
        read(saved(tmp_path / name, b""))


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.parquet", "x.csv", "x.jsonl", "x.idx"])
def test_random_bytes_are_refused_by_name(tmp_path, rng, name):
    with pytest.raises(InvalidData, match=name):
        read(saved(tmp_path / name, rng.bytes(1000)))


@pytest.mark.parametrize("name", ["UPPER.NPY", "a b;c.npy", "\u202egnp.npy", "x" * 200 + ".npy"])
def test_strange_names_are_read(tmp_path, name):
    path = saved(tmp_path / name, npy_bytes())
    assert read(path).origin == str(path)


# --- .npy


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
def test_npy_that_claims_a_trillion_rows_is_refused_by_arithmetic(tmp_path, stream):
    path = saved(tmp_path / "x.npy", npy_bytes({**HEADER, "shape": (10**12, 3)}))
    with pytest.raises(InvalidData, match="promises 1000000000000 rows of 3 float32 .* has 1"):
        read(path, stream=stream)


def test_npy_with_rows_left_over_is_refused(tmp_path):
    with pytest.raises(InvalidData, match="promises 4 rows"):
        read(saved(tmp_path / "x.npy", npy_bytes() + b"\0\0\0\0"))


def test_npy_of_objects_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[1, None]], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidData, match="dtype object are not read"):
        read(tmp_path / "x.npy")


@pytest.mark.parametrize("array", [np.array([["a"]]), np.ones((2, 2), complex)])
def test_npy_of_other_things_is_refused(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(InvalidData, match="are not read; save numbers"):
        read(tmp_path / "x.npy")


def test_npy_of_one_axis_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.ones(3))
    with pytest.raises(InvalidData, match="expected rows of features"):
        read(tmp_path / "x.npy")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (10**12, 0)])
@pytest.mark.parametrize("stream", [None, True])
def test_npy_without_values_is_refused(tmp_path, shape, stream):
    path = saved(tmp_path / "x.npy", npy_bytes({**HEADER, "shape": shape}, b""))
    with pytest.raises(InvalidData, match="no rows, or rows of nothing"):
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
def test_npy_with_a_crooked_header_is_refused(tmp_path, header):
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
    os.truncate(path, path.stat().st_size + 4 * 10**12)  # sparse: it takes no room
    with pytest.raises(ResourceError, match="1000000000 x 1000 values need"):
        read(path)


def test_npy_too_big_for_memory_is_streamed_in_c_order(tmp_path):
    path = saved(tmp_path / "x.npy", npy_bytes({**HEADER, "shape": (10**7, 1000)}, b""))
    os.truncate(path, path.stat().st_size + 4 * 10**10)  # sparse: it takes no room
    assert read(path).evenly(3).shape == (3, 1000)


# --- .npz


def test_npz_reads_x_among_others(tmp_path):
    np.savez(tmp_path / "x.npz", y=np.ones(4), X=ROWS, names=np.array(["a", "b"]))
    np.testing.assert_array_equal(rows_of(read(tmp_path / "x.npz")), ROWS)


def test_npz_with_several_arrays_and_no_x_lists_them(tmp_path):
    np.savez(tmp_path / "x.npz", a=ROWS, b=ROWS)
    with pytest.raises(InvalidData, match="several arrays and none named X; it holds a, b"):
        read(tmp_path / "x.npz")


def test_npz_of_objects_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", X=np.array([[1, None]], dtype=object))
    with pytest.raises(InvalidData, match=r"X\.npy: arrays of dtype object are not read"):
        read(tmp_path / "x.npz")


def test_npz_that_unfolds_to_more_than_promised_is_refused(tmp_path):
    path = zipped(tmp_path / "x.npz", {"X.npy": npy_bytes() + bytes(10**6)})
    with pytest.raises(InvalidData, match=r"X\.npy promises \d+ bytes and holds 10\d+"):
        read(path)


def test_npz_that_claims_a_trillion_rows_is_refused(tmp_path):
    path = zipped(tmp_path / "x.npz", {"X.npy": npy_bytes({**HEADER, "shape": (10**12, 3)})})
    with pytest.raises(InvalidData, match="promises 12000000000"):
        read(path)


def test_npz_bomb_that_keeps_its_promise_is_refused(tmp_path, little_memory):
    body = npy_bytes({**HEADER, "shape": (1000, 3)}, bytes(12000))
    with pytest.raises(ResourceError, match="3000 x 1 values need"):
        read(zipped(tmp_path / "x.npz", {"X.npy": body}))


def test_npz_member_not_named_npy_is_never_unfolded(tmp_path):
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


# --- IDX


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "x.idx", "x.idx.gz", "x-ubyte.GZ"])
def test_idx_is_read_plain_or_gzipped(tmp_path, name):
    content = idx_bytes((2, 2, 3), bytes(range(12)))
    path = saved(tmp_path / name, gzip.compress(content) if "gz" in name.lower() else content)
    source = read(path)
    assert (source.image_shape, source.kind) == ((2, 3), "image")
    np.testing.assert_array_equal(rows_of(source), np.arange(12).reshape(2, 6))


def test_idx_of_big_endian_floats_is_read(tmp_path):
    path = saved(tmp_path / "x.idx", idx_bytes((1, 2), struct.pack(">2f", 1.5, -2), kind=13))
    np.testing.assert_array_equal(rows_of(read(path)), [[1.5, -2]])


@pytest.mark.parametrize("folded", [False, True])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes((2, 3), bytes(5)), "promises 6 bytes of .2, 3., the file has 5"),
        (idx_bytes((2, 3), bytes(7)), "promises 6 bytes of .2, 3., the file has more"),
        (idx_bytes((2**32 - 1,) * 4, b""), "has room for"),
        (idx_bytes((2**30,), bytes(3)), "has room for"),
        (idx_bytes((1,) * 100, b"a"), "100 axes"),
        (idx_bytes((0, 28, 28), b""), "no rows, or rows of nothing"),
        (idx_bytes((5, 0, 28), b""), "no rows, or rows of nothing"),
        (idx_bytes((5,), bytes(5)), r"expected images or rows, got 1 axis \(labels\?\)"),
        (b"\0\0\x08\x03\0\0", "header cut short"),
        (b"\0\0\x07\x01", "not an IDX file"),
        (b"\x89PNG", "not an IDX file"),
    ],
)
def test_idx_whose_header_disagrees_is_refused(tmp_path, folded, content, message):
    name = "x.idx.gz" if folded else "x.idx"
    with pytest.raises(InvalidData, match=message):
        read(saved(tmp_path / name, gzip.compress(content) if folded else content))


def test_idx_gzip_bomb_is_read_no_further_than_promised(tmp_path):
    bomb = gzip.compress(idx_bytes((2, 3), bytes(50_000_000)))
    with pytest.raises(InvalidData, match="promises 6 bytes .* has more"):
        read(saved(tmp_path / "x.idx.gz", bomb))


def test_idx_gzip_bomb_that_keeps_its_promise_is_refused(tmp_path, little_memory):
    bomb = gzip.compress(idx_bytes((1000, 3), bytes(3000)))
    with pytest.raises(ResourceError, match="promises 3000 bytes; refused"):
        read(saved(tmp_path / "x.idx.gz", bomb))


def damages(whole):
    flipped = whole[:14] + bytes([whole[14] ^ 255]) + whole[15:]
    wrong_sum = whole[:-8] + bytes(4) + whole[-4:]
    return {
        "truncated": whole[:-12],
        "head only": whole[:5],
        "flipped": flipped,
        "checksum": wrong_sum,
        "trailing": whole + b"junk",
        "plain": b"[1, 2]\n",
    }


@pytest.mark.parametrize("damage", damages(bytes(20)))
def test_idx_in_a_damaged_gzip_is_refused(tmp_path, rng, damage):
    whole = gzip.compress(idx_bytes((10, 100), rng.bytes(1000)))
    with pytest.raises(InvalidData, match=r"x\.idx\.gz: damaged gzip"):
        read(saved(tmp_path / "x.idx.gz", damages(whole)[damage]))


# --- CSV


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
def test_csv_value_that_is_not_finite_is_named_by_row_and_column(tmp_path, word, what):
    source = read(saved(tmp_path / "x.csv", f"a,b\n1,2\n3,{word}\n"))
    with pytest.raises(InvalidData, match=rf"x\.csv contains .*{what}.* row 1, column 1 \('b'\)"):
        describe(source)


def test_csv_bigger_than_memory_is_refused(tmp_path, little_memory):
    with pytest.raises(ResourceError, match="values need"):
        read(saved(tmp_path / "x.csv", "1,2\n" * 100))


# --- JSON Lines


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
        ("[1, true]", "item 1: expected a number, got True"),
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
        ('{"a": 1, "b": 2, "b": 3}', "a key stands twice"),
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


def test_jsonl_gzip_bomb_of_lines_is_capped(tmp_path, little_memory):
    with pytest.raises(ResourceError, match="values need"):
        read(saved(tmp_path / "x.jsonl.gz", gzip.compress(b"[1,2]\n" * 10_000)))


def test_jsonl_line_without_end_is_capped(tmp_path, monkeypatch):
    monkeypatch.setattr("narrows.data.readers.jsonl._MAX_LINE", 1000)
    with pytest.raises(InvalidData, match="line 1: longer than 1000 bytes"):
        read(saved(tmp_path / "x.jsonl.gz", gzip.compress(b" " * 10**6)))


@pytest.mark.parametrize("word", ["null", "NaN", "-Infinity", "1e999", "1e300"])
def test_jsonl_value_that_is_not_finite_is_named(tmp_path, word):
    source = read(saved(tmp_path / "x.jsonl", f'{{"a": 1}}\n{{"a": {word}}}\n'))
    with pytest.raises(InvalidData, match=r"at row 1, column 0 \('a'\)"):
        describe(source)


# --- Parquet


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def test_parquet_is_read_with_names(tmp_path):
    path = parquet(tmp_path / "x.parquet", a=[1, 2, 3], b=[0.5, 1.5, 2.5], c=[True, False, True])
    assert read(path).names == ["a", "b", "c"]
    np.testing.assert_array_equal(rows_of(read(path)), [[1, 0.5, 1], [2, 1.5, 0], [3, 2.5, 1]])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("column", [[1, 2, None], [1.0, 2.0, None], [True, False, None]])
def test_parquet_null_is_named_by_row_and_column(tmp_path, column, stream):
    path = parquet(tmp_path / "x.parquet", a=[1, 2, 3], b=column)
    with pytest.raises(InvalidData, match=r"contains NaN at row 2, column 1 \('b'\)"):
        describe(read(path, stream=stream))


@pytest.mark.parametrize("stream", [False, True])
def test_parquet_1e300_is_found_after_the_cast(tmp_path, stream):
    path = parquet(tmp_path / "x.parquet", a=[1.0, 2.0, 1e300])
    with pytest.raises(InvalidData, match=r"too large for dtype\('float32'\) at row 2, column 0"):
        describe(read(path, stream=stream))


@pytest.mark.parametrize("column", [["x"], [[1]], [{"k": 1}], [b"x"]])
def test_parquet_column_of_other_things_is_named(tmp_path, column):
    with pytest.raises(InvalidData, match="column 'b' holds .*, not numbers; drop it first"):
        read(parquet(tmp_path / "x.parquet", a=[1], b=column))


@pytest.mark.parametrize("stream", [None, True])
def test_parquet_without_rows_is_refused(tmp_path, stream):
    with pytest.raises(InvalidData, match="no rows"):
        read(parquet(tmp_path / "x.parquet", a=pa.array([], pa.float32())), stream=stream)


@pytest.mark.parametrize("stream", [None, True])
def test_parquet_cut_short_is_refused(tmp_path, stream):
    path = parquet(tmp_path / "x.parquet", a=[1.0, 2.0])
    with pytest.raises(InvalidData, match="not a Parquet file"):
        read(saved(path, path.read_bytes()[:-20]), stream=stream)


@pytest.mark.parametrize("stream", [False, True])
def test_parquet_with_damaged_pages_is_refused(tmp_path, stream):
    path = parquet(tmp_path / "x.parquet", a=np.random.default_rng(0).normal(size=1000))
    whole = path.read_bytes()
    with pytest.raises(InvalidData, match=r"x\.parquet: damaged Parquet data"):
        rows_of(read(saved(path, whole[:10] + b"\xff" * 30 + whole[40:]), stream=stream))


def test_parquet_bomb_is_refused_by_rows_times_width(tmp_path, little_memory):
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"a": np.zeros(10**6, np.float32)}), path)
    assert path.stat().st_size < 5000
    with pytest.raises(ResourceError, match="1000000 x 1 values need"):
        read(path, stream=False)


def test_parquet_with_other_rows_than_promised_is_refused(tmp_path):
    from narrows.data.readers.parquet import _matrices, _open

    path = parquet(tmp_path / "x.parquet", a=[1, 2, 3])
    for promised in (2, 4):
        with pytest.raises(InvalidData, match=f"promises {promised} rows"):
            list(_matrices(_open(path), path, promised))


# --- folders of images


def image(folder, name, mode="RGB", size=(4, 3), colour=None, **options):
    picture = Image.new(mode, size, colour if colour is not None else 0)
    picture.save(folder / name, **options)
    return folder


def test_images_are_read_in_the_order_of_their_names(tmp_path):
    for name, colour in (("b.png", 20), ("a.bmp", 10), ("c.JPG", 30)):
        image(tmp_path, name, "L", colour=colour)
    source = read(tmp_path)
    assert (source.image_shape, source.kind) == ((3, 4), "image")
    np.testing.assert_array_equal(rows_of(source)[:, 0], [10, 20, 30])


def test_one_colour_image_makes_the_grey_ones_three_channels(tmp_path):
    image(tmp_path, "a.png", "L", colour=7)
    image(tmp_path, "b.png", "RGB", colour=(1, 2, 3))
    source = read(tmp_path)
    assert source.image_shape == (3, 4, 3)
    np.testing.assert_array_equal(rows_of(source)[:, :3], [[7, 7, 7], [1, 2, 3]])


def test_cmyk_becomes_rgb(tmp_path):
    image(tmp_path, "a.tif", "CMYK", colour=(255, 0, 0, 0))
    np.testing.assert_array_equal(rows_of(read(tmp_path))[0, :3], [0, 255, 255])


def test_16_bit_grey_is_divided_by_256(tmp_path):
    image(tmp_path, "a.png", "I;16", colour=0xAB12)
    np.testing.assert_array_equal(rows_of(read(tmp_path)), np.full((1, 12), 0xAB))


def test_transparency_is_laid_over_white(tmp_path):
    image(tmp_path, "a.png", "RGBA", colour=(0, 0, 0, 0))
    image(tmp_path, "b.png", "LA", colour=(0, 255))
    np.testing.assert_array_equal(rows_of(read(tmp_path))[:, 0], [255, 0])


def test_exif_rotation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    image(tmp_path, "a.jpg", size=(4, 3), exif=exif)
    assert read(tmp_path).image_shape == (4, 3, 3)


def test_palette_and_one_bit_images_are_read(tmp_path):
    image(tmp_path, "a.gif", "P")
    image(tmp_path, "b.png", "1", colour=1)
    np.testing.assert_array_equal(rows_of(read(tmp_path))[:, 0], [0, 255])


@pytest.mark.parametrize("suffix", ["gif", "png", "tif"])
def test_animated_images_are_refused(tmp_path, suffix):
    frames = [Image.new("L", (4, 3), colour) for colour in (0, 100)]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(InvalidData, match=rf"a\.{suffix}: animated; save one frame"):
        read(tmp_path)


def test_mixed_sizes_are_refused_by_name(tmp_path):
    image(tmp_path, "a.png", size=(4, 3))
    image(tmp_path, "b.png", size=(3, 4))
    with pytest.raises(InvalidData, match=r"b\.png: 3 x 4 pixels, but a\.png has 4 x 3; resize"):
        read(tmp_path)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_of_no_agreed_range_are_refused(tmp_path, mode):
    image(tmp_path, "a.tif", mode, colour=70_000)
    with pytest.raises(
        InvalidData, match=r"a\.tif.*(no range that is agreed on|more than 16 bits)"
    ):
        read(tmp_path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "bmp"])
def test_truncated_images_are_refused(tmp_path, rng, suffix):
    Image.fromarray(rng.integers(0, 256, (20, 20), np.uint8)).save(tmp_path / f"a.{suffix}")
    whole = (tmp_path / f"a.{suffix}").read_bytes()
    for part in (0.0, 0.3, 0.6, 0.9):
        saved(tmp_path / f"a.{suffix}", whole[: int(len(whole) * part)])
        with pytest.raises(InvalidData, match=rf"a\.{suffix}: cannot be read as an image"):
            read(tmp_path)


def png(width, height):
    """A PNG of that size that holds a single line of pixels."""

    def chunk(name, body):
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(width + 1))
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


@pytest.mark.parametrize("size", [(30_000, 30_000), (6_000, 6_000), (0, 5), (5, 0)])
def test_images_of_size_zero_or_gigantic_are_refused(tmp_path, size):
    saved(tmp_path / "a.png", png(*size))
    with pytest.raises(InvalidData, match=r"a\.png"):
        read(tmp_path)


def test_a_folder_of_more_images_than_memory_is_refused(tmp_path, little_memory):
    for i in range(5):
        image(tmp_path, f"{i}.png", "L", size=(20, 20))
    with pytest.raises(ResourceError, match="5 x 400 values"):
        read(tmp_path)


def test_a_folder_without_images_says_so(tmp_path):
    with pytest.raises(InvalidData, match="no image files"):
        read(tmp_path)


def test_a_text_named_like_an_image_is_refused(tmp_path):
    saved(tmp_path / "<script>.png", b"hello")
    with pytest.raises(InvalidData, match=r"<script>\.png: cannot be read as an image"):
        read(tmp_path)
