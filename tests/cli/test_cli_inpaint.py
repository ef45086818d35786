"""narrows inpaint, and the experiment's script on a few images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from narrows import Autoencoder
from narrows.cli import run as cli
from narrows.data import DenseSource


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A model of the 8 x 8 digits, rows to fill in, and rows that it was fitted to."""
    from sklearn.datasets import load_digits

    folder = tmp_path_factory.mktemp("inpaint")
    x = (load_digits().data / 16).astype(np.float32)
    train = DenseSource(x[:1500])
    train.image_shape = (8, 8)
    ae = Autoencoder(12, hidden=(64,), max_epochs=60, random_state=0).fit(train)
    ae.save(folder / "m.safetensors")
    np.save(folder / "train.npy", x[:1500])
    np.save(folder / "x.npy", x[1500:1560])
    return folder


def inpaint(files: Path, *arguments: str) -> int:
    return cli(["inpaint", str(files / "m.safetensors"), str(files / "x.npy"), *arguments])


def test_known_values_are_written_unchanged(files, tmp_path):
    mask = np.zeros((8, 8), bool)
    mask[:4, :4] = True
    np.save(tmp_path / "mask.npy", mask)
    out = tmp_path / "filled.npy"
    assert inpaint(files, "--mask", str(tmp_path / "mask.npy"), "-o", str(out)) == 0
    filled, x = np.load(out), np.load(files / "x.npy")
    assert np.array_equal(filled[:, ~mask.ravel()], x[:, ~mask.ravel()])
    assert not np.array_equal(filled, x)


def test_the_table_includes_the_baselines(files, capsys):
    arguments = ["--mask", "missing:0.5", "--baselines", str(files / "train.npy"), "--json"]
    assert inpaint(files, *arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert [*found["errors"]] == [
        "autoencoder", "mean", "PCA-30, least squares", "PCA-30, conditional mean", "nearest row"
    ]  # fmt: skip
    assert found["errors"]["autoencoder"] < found["errors"]["mean"]
    assert found["n_hidden"] == pytest.approx(60 * 64 / 2, rel=0.1)


def test_the_error_is_over_hidden_values_only(files, tmp_path, capsys):
    out = tmp_path / "filled.npy"
    assert inpaint(files, "--mask", "quadrant", "-o", str(out), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    x, filled = np.load(files / "x.npy"), np.load(out)
    by_hand = np.square(filled - x).sum() / (60 * 16)
    assert found["errors"]["autoencoder"] == pytest.approx(by_hand, rel=1e-4)


def test_every_fill_is_drawn(files, tmp_path):
    picture = tmp_path / "p.png"
    arguments = ["--mask", "quadrant", "--baselines", str(files / "train.npy"), "-n", "4"]
    assert inpaint(files, *arguments, "--figure", str(picture)) == 0
    assert np.asarray(Image.open(picture)).std() > 20


def test_a_table_with_empty_cells_is_filled_in_by_any_net(files, tmp_path):
    x = np.load(files / "x.npy")
    x[:, ::3] = np.nan
    np.save(tmp_path / "holed.npy", x)
    out = tmp_path / "filled.csv"
    model = str(files / "m.safetensors")
    assert cli(["inpaint", model, str(tmp_path / "holed.npy"), "-o", str(out)]) == 0
    assert np.isfinite(np.loadtxt(out, delimiter=",")).all()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give at least one of --mask, -o and --figure: --mask FILE.npy, quadrant,"),
        (
            ["--baselines", "train.npy", "-o", "f.npy"],
            2,
            "--baselines are measured on hidden values",
        ),
        (["--mask", "circle:3"], 2, "mask: 'circle:3' is unknown"),
        (["--mask", "square:2.5"], 2, "mask: square: must be an integer >= 1 and <= 8, got 2.5"),
        (["--mask", "quadrant", "--method", "guess"], 2, "method: unknown name 'guess'"),
    ],
)
def test_invalid_uses_are_refused(files, arguments, code, message, capsys):
    assert inpaint(files, *arguments) == code
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("shape", ["4,8", "5,5", "8,8,3"])
@pytest.mark.parametrize("mask", ["missing:0.2", "square:2", "quadrant", "file"])
def test_an_image_shape_of_another_size_is_refused(mask, shape, files, tmp_path, capsys):
    np.save(tmp_path / "mask.npy", np.ones((4, 8), bool))
    mask = str(tmp_path / "mask.npy") if mask == "file" else mask
    assert inpaint(files, "--mask", mask, "--image-shape", shape) == 3
    assert "does not hold 64 features" in capsys.readouterr().err
    out = tmp_path / "filled.npy"
    assert inpaint(files, "-o", str(out), "--image-shape", shape) == 3
    assert not out.exists()


def test_another_image_shape_of_the_same_size_is_accepted(files, tmp_path, capsys):
    np.save(tmp_path / "mask.npy", np.ones((4, 16), bool))
    mask = str(tmp_path / "mask.npy")
    assert inpaint(files, "--mask", mask, "--image-shape", "4,16", "--json") == 0
    assert json.loads(capsys.readouterr().out)["n_hidden"] == 60 * 64


@pytest.mark.parametrize("mask", ["missing:0", "file"])
def test_a_mask_that_hides_nothing_measures_nothing(mask, files, tmp_path, capsys):
    np.save(tmp_path / "mask.npy", np.zeros(64, bool))
    mask = str(tmp_path / "mask.npy") if mask == "file" else mask
    assert inpaint(files, "--mask", mask) == 0
    assert "nothing is hidden" in capsys.readouterr().out
    assert inpaint(files, "--mask", mask, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n_hidden"] == 0 and found["errors"] == {"autoencoder": None}


def test_csv_files_hold_the_digits_of_float32_and_no_more(tmp_path):
    from narrows.writers.tables import write_rows

    rows = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32) * np.float32(1e3)
    rows[0] = 14.23, 1e-20, 3, -0.1
    assert write_rows(tmp_path / "r.csv", [rows[:20], rows[20:]], n_rows=50) == (50, 4)
    written = np.loadtxt(tmp_path / "r.csv", delimiter=",")
    assert np.array_equal(written.astype(np.float32), rows)
    assert (tmp_path / "r.csv").read_text().splitlines()[0] == "14.23,1e-20,3,-0.1"


def test_without_hidden_values_a_warning_names_the_options(files, tmp_path, capsys):
    x = np.load(files / "x.npy")
    out = tmp_path / "filled.npy"
    assert inpaint(files, "-o", str(out)) == 0
    error = capsys.readouterr().err
    assert "x.npy: nothing is hidden and no value is missing" in error
    assert "give --mask FILE.npy, quadrant, square:14 or missing:0.5" in error
    assert np.array_equal(np.load(out), x)
    x[-1, -1] = np.nan
    np.save(tmp_path / "holed.npy", x)
    model = str(files / "m.safetensors")
    assert cli(["inpaint", model, str(tmp_path / "holed.npy"), "-o", str(out)]) == 0
    assert "nothing is hidden" not in capsys.readouterr().err


def test_progress_is_on_stderr_unless_quiet(files, tmp_path, capsys):
    arguments = ["--mask", "quadrant", "--baselines", str(files / "train.npy"), "-n", "2"]
    arguments += ["-o", str(tmp_path / "f.npy"), "--figure", str(tmp_path / "f.png"), "--json"]
    assert inpaint(files, *arguments) == 0
    out, err = capsys.readouterr()
    assert err.splitlines() == [
        "fitting the baselines: 1500 rows",
        "filling in: 60 rows",
        "measuring: 60 rows",
        "drawing: 2 rows",
    ]
    assert inpaint(files, *arguments, "-q") == 0
    assert capsys.readouterr() == (out, "")


def test_without_a_progress_bar_a_line_is_printed_every_few_seconds(capsys, monkeypatch):
    from narrows.cli import _progress

    clock = iter([0.0, 1.0, 6.0, 7.0, 12.0])
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(clock))
    with _progress.RowsProgress(False).counting(4096, "measuring") as passed:
        for _ in range(4):
            passed(1024)
    assert capsys.readouterr().err.splitlines() == [
        "measuring: 4096 rows",
        "measuring: 2048 of 4096 rows (6 s)",
    ]


def test_a_bar_is_shown_on_a_terminal(capsys, monkeypatch):
    from narrows.cli._progress import RowsProgress

    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with RowsProgress(False).counting(4096, "measuring") as passed:
        passed(4096)
    assert "4096/4096" in capsys.readouterr().err


@pytest.mark.parametrize("rows", ["itself", "a copy", "most of it"])
def test_baseline_rows_that_occur_in_the_data_give_a_warning(rows, files, tmp_path, capsys):
    x, train = np.load(files / "x.npy"), np.load(files / "train.npy")
    given = {"itself": x, "a copy": x[::-1], "most of it": np.concatenate([train, x[:40]])}[rows]
    np.save(tmp_path / "baselines.npy", given)
    path = files / "x.npy" if rows == "itself" else tmp_path / "baselines.npy"
    assert inpaint(files, "--mask", "quadrant", "--baselines", str(path), "--json") == 0
    out, err = capsys.readouterr()
    n = 40 if rows == "most of it" else 60
    assert f"contains {n} of the 60 rows of DATA. Their nearest row is the row itself" in err
    assert (json.loads(out)["errors"]["nearest row"] == 0) == (n == 60)


def test_distinct_baseline_rows_give_no_warning(files, capsys):
    baselines = str(files / "train.npy")
    assert inpaint(files, "--mask", "quadrant", "--baselines", baselines) == 0
    assert "Warning" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ((20, 63), "r.npy: baselines of 63 features, but the model was fitted to 64"),
        ((1, 64), "r.npy: baselines need at least two rows, got 1"),
    ],
)
def test_invalid_baselines_are_refused_by_name(rows, message, files, tmp_path, capsys):
    np.save(tmp_path / "r.npy", np.zeros(rows, np.float32))
    assert inpaint(files, "--mask", "quadrant", "--baselines", str(tmp_path / "r.npy")) == 3
    assert message in capsys.readouterr().err


def test_two_baseline_rows_are_enough(files, tmp_path, capsys):
    np.save(tmp_path / "r.npy", np.load(files / "train.npy")[:2])
    arguments = ["--mask", "quadrant", "--baselines", str(tmp_path / "r.npy"), "--json"]
    assert inpaint(files, *arguments) == 0
    assert all(
        np.isfinite(error) for error in json.loads(capsys.readouterr().out)["errors"].values()
    )


def test_rows_with_values_to_fill_in_are_drawn(files, tmp_path, monkeypatch):
    mask = np.zeros((60, 64), bool)
    mask[[7, 31, 55], :5] = True
    np.save(tmp_path / "mask.npy", mask)
    drawn = {}
    monkeypatch.setattr(
        "narrows.figures.inpainting.inpainting_figure",
        lambda _, shown, hidden, *, lines, **more: drawn.update(
            shown=shown, hidden=hidden, lines=lines
        ),
    )
    monkeypatch.setattr("narrows.figures.saving.save_figure", lambda *_: None)
    arguments = ["--mask", str(tmp_path / "mask.npy"), "--figure", str(tmp_path / "f.png")]
    assert inpaint(files, *arguments) == 0
    assert drawn["lines"] == ["row 7", "row 31", "row 55"]
    np.testing.assert_array_equal(drawn["shown"], np.load(files / "x.npy")[[7, 31, 55]])
    assert drawn["hidden"].sum() == 15
