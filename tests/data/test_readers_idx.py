"""The IDX reader: images and rows, plain or gzipped."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from reader_files import damages, rows_of, saved

from narrows.data import read
from narrows.errors import InvalidData, ResourceError


def idx_bytes(shape, body, kind=8):
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body


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
        (idx_bytes((0, 28, 28), b""), "no rows, or rows without values"),
        (idx_bytes((5, 0, 28), b""), "no rows, or rows without values"),
        (idx_bytes((5,), bytes(5)), r"expected images or rows, got 1 axis \(labels\?\)"),
        (b"\0\0\x08\x03\0\0", "header cut short"),
        (b"\0\0\x07\x01", "not an IDX file"),
        (b"\x89PNG", "not an IDX file"),
    ],
)
def test_idx_with_a_wrong_header_is_refused(tmp_path, folded, content, message):
    name = "x.idx.gz" if folded else "x.idx"
    with pytest.raises(InvalidData, match=message):
        read(saved(tmp_path / name, gzip.compress(content) if folded else content))


def test_idx_gzip_bomb_is_read_up_to_the_promised_length(tmp_path):
    bomb = gzip.compress(idx_bytes((2, 3), bytes(50_000_000)))
    with pytest.raises(InvalidData, match="promises 6 bytes .* has more"):
        read(saved(tmp_path / "x.idx.gz", bomb))


def test_idx_gzip_bomb_with_a_matching_header_is_refused(tmp_path, little_memory):
    bomb = gzip.compress(idx_bytes((1000, 3), bytes(3000)))
    with pytest.raises(ResourceError, match="promises 3000 bytes; refused"):
        read(saved(tmp_path / "x.idx.gz", bomb))


@pytest.mark.parametrize("damage", damages(bytes(20)))
def test_idx_in_a_damaged_gzip_is_refused(tmp_path, rng, damage):
    whole = gzip.compress(idx_bytes((10, 100), rng.bytes(1000)))
    with pytest.raises(InvalidData, match=r"x\.idx\.gz: damaged gzip"):
        read(saved(tmp_path / "x.idx.gz", damages(whole)[damage]))
