"""Streams: the same rows from a file as from memory, a block at a time."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from source_rows import ROWS, N, flat, seeded, split, streamed

from narrows.data import DenseSource, read, stream
from narrows.data.arrays import array_source
from narrows.data.statistics import describe
from narrows.errors import InvalidData


@pytest.fixture(params=("npy", "parquet"))
def stream_source(request, tmp_path, monkeypatch):
    return streamed(request.param, tmp_path, monkeypatch)


def test_evenly_reads_only_the_units_it_needs(stream_source, monkeypatch):
    read_units = []
    blocks = stream_source._blocks
    monkeypatch.setattr(stream_source, "_blocks", lambda u: read_units.append(u) or blocks(u))
    stream_source.evenly(3)
    assert len(read_units) == 3


@pytest.mark.parametrize("dtype", ["u1", "<i4", "<f2", ">f4", "<f8"])
def test_npy_streamed_equals_npy_in_memory(tmp_path, rng, dtype):
    path = tmp_path / "x.npy"
    np.save(path, rng.integers(0, 200, (50, 4, 5)).astype(dtype))
    pair = [read(path, stream=stream) for stream in (True, False)]
    assert isinstance(pair[0], stream.StreamSource) and isinstance(pair[1], DenseSource)
    assert torch.equal(*(torch.cat(list(s.in_order(7))) for s in pair))
    for field in ("n_rows", "n_features", "kind", "image_shape", "origin", "names"):
        assert getattr(pair[0], field) == getattr(pair[1], field)


def test_parquet_streamed_equals_parquet_in_memory(tmp_path, rng):
    path = tmp_path / "x.parquet"
    table = pa.table({"i": rng.integers(0, 9, 50), "f": rng.normal(size=50), "b": [True] * 50})
    pq.write_table(table, path, row_group_size=9)
    pair = [read(path, stream=stream) for stream in (True, False)]
    assert isinstance(pair[0], stream.StreamSource) and isinstance(pair[1], DenseSource)
    assert torch.equal(*(torch.cat(list(s.in_order(7))) for s in pair))
    for field in ("n_rows", "n_features", "kind", "image_shape", "origin", "names"):
        assert getattr(pair[0], field) == getattr(pair[1], field)


def test_statistics_of_a_stream_equal_those_from_memory(stream_source):
    streamed, memory = describe(stream_source), describe(array_source(ROWS))
    torch.testing.assert_close(streamed.mean, memory.mean)
    torch.testing.assert_close(streamed.variance, memory.variance)
    assert (streamed.low, streamed.high) == (memory.low, memory.high)


def test_a_file_that_shrinks_while_it_is_streamed_is_noticed(tmp_path, monkeypatch):
    source = streamed("npy", tmp_path, monkeypatch)
    path = tmp_path / "x.npy"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InvalidData, match=r"x\.npy: truncated at row 99"):
        list(source.in_order(10))


def test_an_empty_row_group_is_never_held_out(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"a": np.arange(6.0)})
    with pq.ParquetWriter(path, table.schema) as writer:
        for part in (table[:3], table[:0], table[:0], table[3:]):
            writer.write_table(part)
    source = read(path, stream=True)
    for seed in range(5):
        _, held_out = split(source, 0.5, generator=seeded(seed))
        assert held_out is not None and held_out.n_rows == 3


def test_a_row_wider_than_a_block_is_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 4)
    np.save(tmp_path / "x.npy", ROWS)
    assert sorted(flat(read(tmp_path / "x.npy", stream=True).shuffled(9, generator=seeded()))) == (
        list(range(N))
    )
