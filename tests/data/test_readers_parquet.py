"""The Parquet reader: columns of numbers, in memory and streamed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reader_files import rows_of, saved

from narrows.data import read
from narrows.data.statistics import describe
from narrows.errors import InvalidData, ResourceError


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
def test_parquet_column_without_numbers_is_named(tmp_path, column):
    with pytest.raises(InvalidData, match="column 'b' holds .*, not numbers; leave .* by drop="):
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


def test_parquet_with_a_column_name_that_is_not_utf8_is_refused(tmp_path):
    path = parquet(tmp_path / "x.parquet", width=[1.0, 2.0])
    with pytest.raises(InvalidData, match=r"x\.parquet: not a Parquet file: 'utf-8' codec"):
        read(saved(path, path.read_bytes().replace(b"width", b"w\xe4dth")))


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
    from narrows.data.readers.parquet import _matrices, open_parquet

    path = parquet(tmp_path / "x.parquet", a=[1, 2, 3])
    for promised in (2, 4):
        with pytest.raises(InvalidData, match=f"promises {promised} rows"):
            list(_matrices(open_parquet(path), path, promised, ["a"]))


def test_an_index_that_pandas_writes_is_not_a_feature(tmp_path):
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [2.0, 4, 6, 9]})
    frame[frame.a != 2].to_parquet(tmp_path / "t.parquet")
    assert read(tmp_path / "t.parquet").names == ["a", "b"]
    assert list(read(tmp_path / "t.parquet", id="__index_level_0__").ids) == ["0", "2", "3"]


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (b'{"index_columns": ["number"]}', ["a", "b"]),
        (b'{"index_columns": ["a", "number"]}', ["b"]),
        (b'{"index_columns": [{"kind": "range", "name": null}]}', ["a", "b", "number"]),
        (b'{"index_columns": 3}', ["a", "b", "number"]),
        (b"[]", ["a", "b", "number"]),
        (b"\xff{", ["a", "b", "number"]),
        (b"[" * 100_000, ["a", "b", "number"]),
    ],
)
def test_a_named_index_that_pandas_writes_is_not_a_feature(tmp_path, spec, names):
    table = pa.table({"a": [1.0, 2.0], "b": [3.0, 4.0], "number": [7, 5]})
    pq.write_table(table.replace_schema_metadata({b"pandas": spec}), tmp_path / "t.parquet")
    source = read(tmp_path / "t.parquet")
    assert source.names == names
    assert source.n_features == len(names)
    assert read(tmp_path / "t.parquet", id="number").ids.tolist() == ["7", "5"]
