"""Columns of tables that are no features: a label, and what is dropped; folders as labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from narrows import read
from narrows.errors import InvalidData

FRAME = pd.DataFrame(
    {
        "a": [1.0, 2.0, 3.0],
        "kind": ["x", " y", "x"],
        "a.b": [7.0, 8.0, 9.0],
        "when": ["2020", "2021", "2022"],
        "grade": [1.0, None, 3.0],
    }
)


def _csv(path: Path) -> Path:
    FRAME.to_csv(path / "t.csv", index=False)
    return path / "t.csv"


def _parquet(path: Path) -> Path:
    FRAME.to_parquet(path / "t.parquet")
    return path / "t.parquet"


def _jsonl(path: Path) -> Path:
    rows = FRAME.astype(object).where(FRAME.notna(), None).to_dict("records")
    (path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return path / "t.jsonl"


WRITERS = pytest.mark.parametrize("write", [_csv, _parquet, _jsonl])


@WRITERS
def test_features_are_the_other_columns_and_labels_stand_beside(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    source = read(write(tmp_path), label="kind", drop=("when", "grade"))
    assert source.names == ["a", "a.b"]
    np.testing.assert_array_equal(next(source.in_order(9)), [[1, 7], [2, 8], [3, 9]])
    assert source.labels is not None and source.labels.tolist() == ["x", "y", "x"]


def test_a_stream_of_a_table_reads_the_same_columns(tmp_path: Path) -> None:
    source = read(_parquet(tmp_path), label="kind", drop=["when", "grade", "a.b"], stream=True)
    assert source.names == ["a"]
    np.testing.assert_array_equal(next(source.in_order(9)), [[1], [2], [3]])
    assert source.labels is not None and source.labels.tolist() == ["x", "y", "x"]


@WRITERS
def test_labels_of_numbers_with_gaps_are_read_as_one_writes_them(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    labels = read(write(tmp_path), label="grade", drop=("when", "kind")).labels
    assert labels is not None and labels.tolist()[1:2] == [""]
    assert [float(label) for label in labels[[0, 2]]] == [1, 3]


@WRITERS
def test_a_column_that_is_not_there_is_named_with_the_nearest(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    with pytest.raises(InvalidData, match=r"no column 'kint'; it has a, kind.* mean 'kind'\?"):
        read(write(tmp_path), label="kint")


def test_one_name_to_drop_is_one_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="column kind: expected a number"):
        read(_csv(tmp_path), drop="when")


def test_a_table_of_no_feature_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="no column is left"):
        read(_csv(tmp_path), label="kind", drop=["a", "a.b", "when", "grade"])


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_table_without_names_has_no_columns_to_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("1,2\n3,4\n" if name == "t.csv" else "[1, 2]\n[3, 4]\n")
    with pytest.raises(InvalidData, match="have no names, asked for 'kind'"):
        read(path, label="kind")


def test_other_files_have_no_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 2)))
    with pytest.raises(InvalidData, match=r"label and drop name columns of .csv"):
        read(tmp_path / "x.npy", label="kind")
    with pytest.raises(InvalidData, match=r"label and drop name columns of .csv"):
        read(tmp_path, drop=["kind"])


def test_a_name_that_stands_twice_in_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([[1.0], [2.0]], names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(InvalidData, match="stands twice"):
        read(tmp_path / "t.parquet")


def _pictures(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4)).save(folder / name)


@pytest.mark.parametrize("stream", [False, True])
def test_folders_of_images_are_their_labels(stream: bool, tmp_path: Path) -> None:
    _pictures(tmp_path, "dogs/1.png", "cats/x/2.png", "cats/1.png")
    labels = read(tmp_path, stream=stream).labels
    assert labels is not None and labels.tolist() == ["cats", "cats", "dogs"]


def test_one_folder_or_an_image_outside_is_no_label(tmp_path: Path) -> None:
    _pictures(tmp_path, "cats/1.png", "cats/2.png")
    assert read(tmp_path).labels is None
    _pictures(tmp_path, "dogs/1.png", "3.png")
    assert read(tmp_path).labels is None
