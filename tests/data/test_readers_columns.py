"""Columns of tables that are not features: labels and dropped columns; folders as labels."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from narrows import read
from narrows.errors import HeaderWarning, InvalidData, ResourceError, UsageError

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
def test_other_columns_are_features_and_labels_are_separate(
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
def test_labels_of_whole_numbers_with_gaps_have_no_decimal_point(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    labels = read(write(tmp_path), label="grade", drop=("when", "kind")).labels
    assert labels is not None and labels.tolist()[1:2] == [""]
    assert [float(label) for label in labels[[0, 2]]] == [1, 3]


@WRITERS
def test_a_missing_column_is_named_with_the_nearest_name(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    with pytest.raises(InvalidData, match=r"no column 'kint'; it has a, kind.* mean 'kind'\?"):
        read(write(tmp_path), label="kint")


def test_drop_accepts_a_single_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="column kind: expected a number"):
        read(_csv(tmp_path), drop="when")


def test_a_table_without_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="no feature columns remain"):
        read(_csv(tmp_path), label="kind", drop=["a", "a.b", "when", "grade"])


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl"])
def test_a_table_without_column_names_refuses_named_columns(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("1,2\n3,4\n" if name == "t.csv" else "[1, 2]\n[3, 4]\n")
    with pytest.raises(InvalidData, match="have no names, so there is no column 'kind'"):
        read(path, label="kind")


def test_other_kinds_of_files_refuse_named_columns(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones((3, 2)))
    with pytest.raises(InvalidData, match=r"label, id and drop name columns of .csv"):
        read(tmp_path / "x.npy", label="kind")
    with pytest.raises(InvalidData, match=r"label, id and drop name columns of .csv"):
        read(tmp_path, drop=["kind"])


def test_a_repeated_name_in_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table([[1.0], [2.0]], names=["a", "a"]), tmp_path / "t.parquet")
    with pytest.raises(InvalidData, match="is repeated"):
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


def test_a_single_folder_or_an_image_outside_gives_no_labels(tmp_path: Path) -> None:
    _pictures(tmp_path, "cats/1.png", "cats/2.png")
    assert read(tmp_path).labels is None
    _pictures(tmp_path, "dogs/1.png", "3.png")
    assert read(tmp_path).labels is None


def test_labels_of_gaps_are_empty_in_every_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,kind\n1,nan\n2,3.0\n3,01\n4,\n")
    labels = read(tmp_path / "t.csv", label="kind").labels
    assert labels is not None and labels.tolist() == ["", "3", "01", ""]
    pd.DataFrame({"a": [1, 2], "kind": np.array([np.nan, 0.1], np.float32)}).to_parquet(
        tmp_path / "t.parquet"
    )
    labels = read(tmp_path / "t.parquet", label="kind").labels
    assert labels is not None and labels.tolist() == ["", "0.1"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [("[1]", "got list"), ('"\\ud800"', "not valid Unicode"), (f'"{"x" * 300}"', "300 characters")],
)
def test_invalid_labels_are_refused_with_their_line(
    cell: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"a": 1, "kind": "x"}}\n{{"a": 1, "kind": {cell}}}\n')
    with pytest.raises(InvalidData, match=f"t.jsonl, line 2, column 'kind': .*{message}"):
        read(tmp_path / "t.jsonl", label="kind")


def test_labels_that_do_not_fit_into_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.csv").write_text("a,kind\n" + "1,x\n" * 50 + f"1,{'y' * 200}\n")
    monkeypatch.setattr("narrows.data.readers.columns.memory_limit", lambda: 30_000)
    with pytest.raises(ResourceError, match="51 labels of up to 200 characters"):
        read(tmp_path / "t.csv", label="kind")


@pytest.mark.parametrize("arguments", [{"label": 3}, {"drop": [3]}, {"drop": 3}, {"label": ["a"]}])
def test_invalid_column_names_are_refused(arguments: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected (the name|names) of"):
        read(_csv(tmp_path), **arguments)  # type: ignore[arg-type]


def test_a_first_line_of_numbers_used_as_names_causes_a_warning(tmp_path: Path) -> None:
    (tmp_path / "iris.data.csv").write_text("5.1,3.5,setosa\n4.9,3.0,setosa\n")
    with pytest.warns(
        HeaderWarning, match=r"using 5.1, 3.5 as column names; pass header=yes to confirm"
    ):
        read(tmp_path / "iris.data.csv", label="setosa")


def test_svmlight_refuses_named_columns(tmp_path: Path) -> None:
    (tmp_path / "t.svmlight").write_text("1 1:0.5\n")
    with pytest.raises(InvalidData, match="leave them out"):
        read(tmp_path / "t.svmlight", drop="1")


def test_a_gzipped_csv_is_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write("a,kind\n1,x\n2,y\n")
    assert read(tmp_path / "t.csv.gz", label="kind").n_rows == 2


@pytest.mark.parametrize("argument", ["id", "label"])
@pytest.mark.parametrize("drop", ["kind", ("when", "kind")])
def test_a_column_that_is_both_label_and_dropped_is_refused(argument, drop, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"drop: must not name the column of {argument}, got 'ki"):
        read(_csv(tmp_path), **{argument: "kind"}, drop=drop)
