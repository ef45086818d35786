"""Streams give the rows of the in-memory source, block by block."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from source_rows import ROWS, N, flat, seeded, split, streamed

from narrows.data import DenseSource, read, stream
from narrows.data.array_sources import array_source
from narrows.data.readers import images
from narrows.data.source import evenly_spaced_rows
from narrows.data.statistics import describe
from narrows.errors import InvalidData


@pytest.fixture(params=("npy", "parquet"))
def stream_source(request, tmp_path, monkeypatch):
    return streamed(request.param, tmp_path, monkeypatch)


def test_evenly_reads_only_the_rows_it_returns(tmp_path, monkeypatch):
    table = streamed("parquet", tmp_path, monkeypatch)
    groups, whole = [], table._group
    monkeypatch.setattr(table, "_group", lambda *a: groups.append(a[0]) or whole(*a))
    evenly_spaced_rows(table, 3)
    assert len(groups) == 3
    array = streamed("npy", tmp_path, monkeypatch)
    rows, read_rows = [], array._read
    monkeypatch.setattr(array, "_read", lambda *a: rows.append(a[2] - a[1]) or read_rows(*a))
    evenly_spaced_rows(array, 3)
    assert rows == [1, 1, 1]


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


def test_a_file_that_shrinks_while_it_is_streamed_is_refused(tmp_path, monkeypatch):
    source = streamed("npy", tmp_path, monkeypatch)
    path = tmp_path / "x.npy"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InvalidData, match=r"x\.npy: truncated at row 99"):
        list(source.in_order(10))


def test_rows_are_held_out_of_one_row_group_among_empty_ones(tmp_path):
    path = tmp_path / "x.parquet"
    table = pa.table({"a": np.arange(40.0)})
    with pq.ParquetWriter(path, table.schema) as writer:
        for part in (table[:0], table[:30], table[:0], table[30:]):
            writer.write_table(part)
    source = read(path, stream=True)
    training, held_out = split(source, 0.25, generator=seeded())
    apart = flat(held_out.in_order(7))
    assert len(apart) == 10 and min(apart) < 30 <= max(apart)
    assert sorted(flat(training.shuffled(9, generator=seeded())) + apart) == list(range(40))
    assert flat([training.at(torch.tensor([0, 29]))]) == [
        flat(training.in_order(30))[i] for i in (0, 29)
    ]


@pytest.mark.parametrize("kind", ["npy", "parquet"])
@pytest.mark.parametrize("row_group_size", [5000, 700])
def test_batches_and_samples_of_a_sorted_file_come_from_all_over_it(
    tmp_path, monkeypatch, kind, row_group_size
):
    """Ten classes in order, in a file of many pools; every batch mixes them."""
    monkeypatch.setattr(stream, "BLOCK_BYTES", 4 * 64)  # blocks of 64 rows, pools of 512
    classes = np.repeat(np.arange(10.0), 500).astype(np.float32)[:, None]
    path = tmp_path / f"x.{kind}"
    if kind == "npy":
        np.save(path, classes)
    else:
        pq.write_table(pa.table({"a": classes[:, 0]}), path, row_group_size=row_group_size)
    source = read(path, stream=True)
    batches = [batch[:, 0] for batch in source.shuffled(100, generator=seeded())]
    counts = np.bincount(torch.cat(batches).int().numpy(), minlength=10)
    np.testing.assert_array_equal(counts, 500)
    assert min(len(batch.unique()) for batch in batches) >= 6
    assert max(float((batch == batch.mode().values).float().mean()) for batch in batches) < 0.4
    drawn = source.sample(200, generator=seeded())[:, 0]
    assert len(drawn) == 200 and len(drawn.unique()) == 10
    held_out = split(source, 0.1, generator=seeded())[1]
    apart = torch.cat(list(held_out.in_order(64)))[:, 0]
    assert np.bincount(apart.int().numpy(), minlength=10).min() > 20


def test_parts_of_row_groups_are_read_if_there_are_few(tmp_path, monkeypatch):
    source = streamed("parquet", tmp_path, monkeypatch)
    path = tmp_path / "one.parquet"
    pq.write_table(pa.table({name: ROWS[:, i] for i, name in enumerate("abc")}), path)
    one = read(path, stream=True)
    places = one._places(2)
    assert len(places) == 8 and all(start % 2 == 0 for _, start, _ in places)
    assert sorted(flat(one.shuffled(9, generator=seeded()))) == list(range(N))
    assert len(source._places(2)) == 10  # ten row groups need no parts


def test_a_small_part_is_read_once(tmp_path, monkeypatch):
    source = streamed("npy", tmp_path, monkeypatch)
    _, held_out = split(source, 0.1, generator=seeded())
    first = flat(held_out.in_order(4))
    (tmp_path / "x.npy").unlink()
    assert flat(held_out.in_order(3)) == first


def test_only_the_held_out_images_are_decoded(tmp_path, monkeypatch):
    from PIL import Image

    for i in range(20):
        Image.fromarray(np.full((2, 2), i, np.uint8)).save(tmp_path / f"{i:02}.png")
    source = read(tmp_path, stream=True)
    training, held_out = split(source, 0.2, generator=seeded())
    seen = []
    decoded = images.decode_images
    monkeypatch.setattr(images, "decode_images", lambda p, *a: seen.extend(p) or decoded(p, *a))
    apart = flat(held_out.in_order(3))
    assert len(seen) == len(apart) == 4 and apart == sorted(apart)
    mixed = flat(training.shuffled(5, generator=seeded()))
    assert sorted(mixed + apart) == list(range(20)) and mixed != sorted(mixed)
    assert flat([training.at(torch.tensor([3]))]) == [flat(training.in_order(16))[3]]


def test_a_row_wider_than_a_block_is_streamed(tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 4)
    np.save(tmp_path / "x.npy", ROWS)
    assert sorted(flat(read(tmp_path / "x.npy", stream=True).shuffled(9, generator=seeded()))) == (
        list(range(N))
    )
