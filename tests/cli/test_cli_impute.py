"""narrows impute: what it fills in, what it leaves alone, and what it refuses."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from narrows import Autoencoder
from narrows.cli import run as cli


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """90 rows: an id, a category with gaps, a boolean, measurements, and counts."""
    rng = np.random.default_rng(0)
    size = rng.standard_normal(90)
    numbers = {
        "height": 170 + 10 * size + rng.standard_normal(90),
        "weight": 70 + 12 * size + 2 * rng.standard_normal(90),
        "width": 40 + 5 * size + rng.standard_normal(90),
        "visits": np.round(40 + 20 * size + 4 * rng.standard_normal(90)),
    }
    frame = pd.DataFrame({name: np.round(column, 2) for name, column in numbers.items()})
    frame = frame.mask(rng.random(frame.shape) < 0.15)
    frame["visits"] = frame["visits"].astype("Int64")
    frame.insert(0, "key", [f"p{i:03}" for i in range(90)])
    frame.insert(2, "color", rng.choice(["red", "blue", None], 90))
    frame["member"] = rng.random(90) < 0.5
    return frame


NUMBERS = ["height", "weight", "width", "visits"]


@pytest.fixture
def files(frame, tmp_path) -> Path:
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "t.parquet")
    np.save(tmp_path / "t.npy", frame[NUMBERS].to_numpy(np.float32, na_value=np.nan))
    return tmp_path


def impute(data: Path | str, *arguments: object) -> int:
    return cli(["impute", str(data), *map(str, arguments), "-q"])


def check_filled(before: pd.DataFrame, after: pd.DataFrame) -> None:
    assert list(after.columns) == list(before.columns)
    for name in before:
        known = before[name].notna()
        assert (after[name][known] == before[name][known]).all(), name
        if name in NUMBERS:
            assert after[name].notna().all()
            assert after[name].between(before[name].min(), before[name].max()).all()
        else:
            assert after[name].isna().equals(before[name].isna())
    assert (after["visits"] == after["visits"].round()).all()


def test_a_csv_keeps_its_other_columns_and_the_text_of_known_cells(files, frame):
    assert impute(files / "t.csv", "-o", files / "out.csv") == 0
    check_filled(pd.read_csv(files / "t.csv"), pd.read_csv(files / "out.csv"))
    before = [line.split(",") for line in (files / "t.csv").read_text().splitlines()]
    after = [line.split(",") for line in (files / "out.csv").read_text().splitlines()]
    assert after[0] == before[0]
    for old, new in zip(before, after, strict=True):
        assert all(a == b for a, b in zip(old, new, strict=True) if a)
    at = before[0].index("visits")
    assert all(
        row[at].lstrip("-").isdecimal() for row in after[1:]
    )  # written as whole numbers, without .0


def test_a_parquet_file_keeps_its_types(files, frame):
    assert impute(files / "t.parquet", "-o", files / "out.parquet") == 0
    before, after = pd.read_parquet(files / "t.parquet"), pd.read_parquet(files / "out.parquet")
    check_filled(before, after)
    assert (after.dtypes == before.dtypes).all() and str(after["visits"].dtype) == "Int64"


def test_an_array_keeps_its_type_and_known_values(files):
    assert impute(files / "t.npy", "-o", files / "out.npy") == 0
    before, after = np.load(files / "t.npy"), np.load(files / "out.npy")
    assert after.dtype == before.dtype == np.float32
    known = ~np.isnan(before)
    assert np.array_equal(after[known], before[known]) and np.isfinite(after).all()


def test_the_separator_and_gzip_are_kept(files, frame):
    frame.to_csv(files / "t.csv.gz", index=False, sep=";")
    assert impute(files / "t.csv.gz", "-o", files / "out.csv.gz") == 0
    with gzip.open(files / "out.csv.gz", "rt") as file:
        assert file.readline().strip() == ";".join(frame.columns)
    check_filled(pd.read_csv(files / "t.csv"), pd.read_csv(files / "out.csv.gz", sep=";"))


def test_a_csv_without_a_header(files, frame):
    frame[NUMBERS].to_csv(files / "bare.csv", index=False, header=False)
    assert impute(files / "bare.csv", "-o", files / "out.csv") == 0
    assert pd.read_csv(files / "out.csv", header=None).shape == (90, 4)


def test_indicators_say_what_was_filled_in(files):
    assert impute(files / "t.csv", "-o", files / "out.csv", "--indicator") == 0
    before, after = pd.read_csv(files / "t.csv"), pd.read_csv(files / "out.csv")
    assert list(after.columns) == [*before.columns, *(f"{name}_missing" for name in NUMBERS)]
    for name in NUMBERS:
        assert (after[f"{name}_missing"] == before[name].isna()).all()


def test_named_columns_stay_as_they_are(files, capsys):
    named = f"{files / 't.csv'}:id=key,label=color,drop=width"
    assert impute(named, "-o", files / "out.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["columns"] == ["height", "weight", "visits"]
    assert found["left_as_they_are"] == ["key", "color", "width", "member"]
    before, after = pd.read_csv(files / "t.csv"), pd.read_csv(files / "out.csv")
    assert after["width"].equals(before["width"])
    assert found["filled"] == sum(int(before[n].isna().sum()) for n in found["columns"])
    assert found["method"] == "linear" and found["errors"]["mean"] > 0.5


def test_the_check_compares_on_cells_that_are_hidden(files, capsys):
    assert impute(files / "t.csv", "--check", "--json") == 0
    found = json.loads(capsys.readouterr().out)["check"]
    assert list(found["overall"]) == ["this command", "linear", "mean", "20-NN", "IterativeImputer"]
    assert found["overall"]["this command"] < 0.7 * found["overall"]["mean"]
    assert list(found["errors"]["mean"]) == NUMBERS
    assert found["n_hidden"] == pytest.approx(0.1 * 0.85 * 360, rel=0.5)
    assert impute(files / "t.csv", "--check") == 0
    shown = capsys.readouterr().out
    assert re.search(r"^visits +(\d\.\d{3} *){5}$", shown, re.MULTILINE)
    assert "RMSE of" in shown and "all columns" in shown


def test_a_seed_repeats_the_table(files):
    for name, seed in (("a", 1), ("b", 1)):
        assert impute(files / "t.csv", "-o", files / f"{name}.csv", "--seed", seed) == 0
    assert (files / "a.csv").read_bytes() == (files / "b.csv").read_bytes()


def test_a_model_fills_in_instead(files, frame, capsys):
    rows = frame[NUMBERS].astype(float)
    net = Autoencoder(2, hidden=(8,), max_epochs=5, random_state=0, corruption="missing")
    net.fit(rows).save(files / "m.safetensors")
    model = ("--model", files / "m.safetensors")
    assert impute(files / "t.csv", "-o", files / "out.csv", *model) == 0
    assert "by the given model" in capsys.readouterr().out
    check_filled(pd.read_csv(files / "t.csv"), pd.read_csv(files / "out.csv"))
    assert impute(f"{files / 't.csv'}:drop=width", "-o", files / "other.csv", *model) == 3
    assert "missing: 'width'" in capsys.readouterr().err


def test_a_table_without_missing_cells_is_copied_with_a_warning(files, frame, capsys):
    frame[["key", "height"]].dropna().to_csv(files / "full.csv", index=False)
    assert impute(files / "full.csv", "-o", files / "out.csv") == 0
    assert "no cell of a column of numbers is missing" in capsys.readouterr().err
    assert (files / "out.csv").read_text() == (files / "full.csv").read_text()


def test_a_column_without_a_known_cell_stays_empty_with_a_warning(files, frame, capsys):
    frame.assign(void=np.nan).to_csv(files / "void.csv", index=False)
    assert impute(files / "void.csv", "-o", files / "out.csv") == 0
    assert "'void': no cell is known, so the column stays empty" in capsys.readouterr().err
    after = pd.read_csv(files / "out.csv")
    assert after["void"].isna().all() and after["height"].notna().all()


@pytest.mark.parametrize(
    ("data", "arguments", "code", "message"),
    [
        ("t.csv", "", 2, "give -o FILE to write the filled table, --check to measure, or both"),
        ("t.csv", "-o t.csv", 2, "is the input"),
        ("t.csv", "-o t.npy", 2, "written in the format of DATA, .csv, got .npy"),
        ("t.csv", "-o old.csv", 2, "exists; choose another output path, or pass --replace"),
        ("t.csv", "-o no/out.csv", 5, "does not exist"),
        ("none.csv", "-o out.csv", 3, "no such file"),
        ("texts.csv", "-o out.csv", 3, "no column of numbers is left to fill in"),
        ("t.csv:drop=hight", "-o out.csv", 3, "no column 'hight'.*Did you mean 'height'"),
        ("t.csv:text=key", "-o out.csv", 2, "text has no effect here"),
        ("ragged.csv", "-o out.csv", 3, "line 3: expected 2 cells, got 3"),
        ("one.csv", "-o out.csv", 3, "has 1 row.* at least two rows"),
        ("cube.npy", "-o out.npy", 3, "a table of two dimensions"),
        ("x.json", "-o out.json", 3, "impute reads .csv, .tsv, .parquet and .npy"),
        (".", "-o out.csv", 3, "is a folder"),
    ],
)
def test_faults_are_explained(files, monkeypatch, capsys, data, arguments, code, message):
    monkeypatch.chdir(files)
    Path("old.csv").write_text("kept\n")
    Path("texts.csv").write_text("a,b\nx,y\n,z\n")
    Path("ragged.csv").write_text("a,b\n1,2\n1,2,3\n")
    Path("one.csv").write_text("a,b\n1,\n")
    Path("x.json").write_text("[]")
    np.save("cube.npy", np.ones((3, 2, 2)))
    assert impute(data, *arguments.split()) == code
    assert re.search(message, capsys.readouterr().err, re.DOTALL)
    assert Path("old.csv").read_text() == "kept\n" and not Path("out.csv").exists()


def test_an_existing_output_is_replaced_if_asked(files):
    (files / "out.csv").write_text("old")
    assert impute(files / "t.csv", "-o", files / "out.csv", "--replace") == 0
    assert len(pd.read_csv(files / "out.csv")) == 90
