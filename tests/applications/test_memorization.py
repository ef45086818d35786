"""Copies among generated rows: planted copies are found, and fresh rows are not copies."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from PIL import Image
from scipy.spatial.distance import cdist

from narrows import Autoencoder, DocumentAutoencoder
from narrows.applications.generation.memorization import (
    Memorization,
    measure_memorization,
)
from narrows.cli import run as cli
from narrows.data import DenseSource
from narrows.errors import InvalidData
from narrows.model.schema import Schema


def cloud(n: int, seed: int) -> np.ndarray:
    """Rows near a plane in ten dimensions, each with its own unit, (n, 10)."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 3)) @ np.random.default_rng(9).normal(size=(3, 10))
    return ((rows + 0.1 * rng.normal(size=rows.shape)) * np.arange(1, 11)).astype(np.float32)


@pytest.fixture(scope="module")
def train() -> np.ndarray:
    return cloud(1500, 0)


@pytest.fixture(scope="module")
def test() -> np.ndarray:
    return cloud(700, 1)


@pytest.fixture(scope="module")
def ae(train) -> Autoencoder:
    return Autoencoder(3, hidden=(16,), max_epochs=20, random_state=0).fit(train)


def scaled(ae: Autoencoder, rows: np.ndarray) -> np.ndarray:
    return ae.model_.scaling.forward(torch.from_numpy(rows)).numpy().astype(np.float64)


def test_distances_match_scipy_between_scaled_rows(ae, train, test):
    rows = cloud(50, 2)
    found = ae.check_memorization(rows, train, test)
    d = cdist(scaled(ae, rows), scaled(ae, train))
    np.testing.assert_array_equal(found.nearest, d.argmin(axis=1))
    np.testing.assert_allclose(found.distances, d.min(axis=1), rtol=1e-6)
    real = cdist(scaled(ae, test), scaled(ae, train)).min(axis=1)
    np.testing.assert_allclose(found.real_distances, real, rtol=1e-6)
    rebuilt = cdist(scaled(ae, ae.reconstruct(test)), scaled(ae, train)).min(axis=1)
    np.testing.assert_allclose(found.rebuilt_distances, rebuilt, rtol=1e-4)
    assert found.unit == "standard deviations"


def test_without_held_out_rows_training_rows_are_compared_with_the_others(ae, train):
    found = ae.check_memorization(train[:3], train)
    d = cdist(scaled(ae, train), scaled(ae, train))
    np.fill_diagonal(d, np.inf)
    np.testing.assert_allclose(found.real_distances, d.min(axis=1), rtol=1e-6)
    assert found.reference.startswith("training rows")


def test_planted_copies_are_found_by_number(ae, train, test):
    rows = ae.sample(100, random_state=0)
    rows[[3, 50, 77, 78, 99]] = train[[1400, 2, 7, 1030, 1499]]
    found = ae.check_memorization(rows, train, test)
    np.testing.assert_array_equal(found.nearest[[3, 50, 77, 78, 99]], [1400, 2, 7, 1030, 1499])
    assert (found.distances == 0).sum() == 5
    assert found.copies[[3, 50, 77, 78, 99]].all() and found.memorized
    assert "Copies: " in found.table() and "(training row 1400)" in found.table()


def test_near_copies_are_found(ae, train, test):
    rows = ae.sample(100, random_state=0)
    rows[:10] = train[:10] * 1.001
    assert ae.check_memorization(rows, train, test).copies[:10].all()


def test_reconstructed_fresh_rows_are_not_copies(ae, train, test):
    fresh = ae.reconstruct(cloud(2000, 3))
    found = ae.check_memorization(fresh, train, test)
    assert not found.memorized and 0 < found.copies.mean() < 0.03
    assert found.table().splitlines()[-1].startswith("No sign of copies: ")


@pytest.mark.parametrize("block", [1, 7, 100, 5000])
def test_the_size_of_a_block_changes_nothing(ae, train, test, block):
    rows = np.concatenate([ae.sample(30, random_state=0), train[1020:1030]])
    sources = DenseSource(train), DenseSource(test)
    in_blocks = measure_memorization(ae.model_, rows, *sources, block=block)
    whole = measure_memorization(ae.model_, rows, *sources)
    np.testing.assert_array_equal(in_blocks.nearest, whole.nearest)
    for name in ("distances", "real_distances", "rebuilt_distances"):
        np.testing.assert_allclose(getattr(in_blocks, name), getattr(whole, name), rtol=1e-9)


def test_the_first_of_equal_training_rows_is_named(ae, train):
    twice = np.concatenate([train, train])
    assert ae.check_memorization(train[40:45], twice).nearest.tolist() == [40, 41, 42, 43, 44]


def test_sparse_rows_give_the_same_result_as_dense_rows(rng):
    counts = rng.poisson(0.5, size=(300, 40)).astype(np.float32)
    counts[:, 0] += 1
    ae = DocumentAutoencoder(3, hidden=(8,), max_epochs=3, random_state=0).fit(sp.csr_array(counts))
    rows = ae.sample(20, random_state=0)
    sparse = ae.check_memorization(rows, sp.csr_array(counts), sp.csr_array(counts[:50]))
    dense = ae.check_memorization(rows, counts, counts[:50])
    np.testing.assert_array_equal(sparse.nearest, dense.nearest)
    np.testing.assert_allclose(sparse.distances, dense.distances, rtol=1e-5)


@pytest.mark.parametrize(
    ("near", "of_all", "verdict"), [(4, 0, False), (5, 0, True), (1, 1, False), (2, 2, True)]
)
def test_the_verdict_follows_the_binomial_test(near, of_all, verdict):
    """Of 100 samples 5 are below the first percentile by chance in 1 of 290 draws, 4 in 1 of 54; 2
    below all of 1,000 in 1 of 210, 1 in 1 of 10: binomial tails."""
    marks = np.arange(1.0, 1001.0)
    distances = np.r_[np.zeros(of_all), np.full(near - of_all, 5.0), np.full(100 - near, 500.0)]
    found = Memorization(distances, np.zeros(100), marks, marks, 1000, "held-out rows", "units")
    assert found.copies.sum() == near and found.memorized is verdict and found.expected == 1


def test_the_result_can_be_written_as_json(ae, train, test):
    found = ae.check_memorization(train[:5], train, test)
    values = json.loads(json.dumps(found.as_dict()))
    assert values["copies"] == [0, 1, 2, 3, 4] and values["nearest"] == [0, 1, 2, 3, 4]
    assert values["memorized"] is True and values["rebuilt"]["samples_nearer"]["1"] == 1.0


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((0, 10)), r"samples: expected 1 to 10000 rows, got shape \(0, 10\)"),
        (np.zeros(10), r"got shape \(10,\)"),
        (np.zeros((10_001, 10)), r"got shape \(10001, 10\)"),
        (np.zeros((2, 9)), "samples: has 9 features, the model has 10"),
        (np.full((2, 10), np.nan), "NaN|not finite"),
    ],
)
def test_an_error_names_invalid_samples(ae, train, samples, message):
    with pytest.raises(InvalidData, match=message):
        ae.check_memorization(samples, train)


def test_a_single_training_row_is_refused(ae, train):
    with pytest.raises(InvalidData, match="at least two training rows are needed, got 1"):
        ae.check_memorization(train[:3], train[:1])


# The command, and the sheet.


@pytest.fixture
def folder(tmp_path, ae, train, test):
    ae.save(tmp_path / "m")
    np.save(tmp_path / "train.npy", train)
    np.save(tmp_path / "test.npy", test)
    return tmp_path


def test_the_command_prints_the_check_and_draws_the_sheet(folder, capsys):
    check = ["--check", str(folder / "train.npy"), "--held-out", str(folder / "test.npy")]
    picture = ["--figure", str(folder / "f.png"), "--image-shape", "2,5"]
    assert cli(["generate", str(folder / "m"), "-n", "23", *check, *picture]) == 0
    printed = capsys.readouterr().out
    assert "held-out rows" in printed and "of 23 samples are nearer" in printed
    with Image.open(folder / "f.png") as image:
        assert image.width > 500 and len(set(image.convert("L").tobytes())) > 20


def test_the_check_runs_without_output_and_prints_json(folder, ae, train, capsys):
    assert cli(["generate", str(folder / "m"), "--check", str(folder / "train.npy"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["memorization"]
    expected = ae.check_memorization(ae.sample(100, random_state=0), train)
    assert found["n_samples"] == 100 and found["n_train"] == len(train)
    assert np.median(expected.distances) == pytest.approx(found["median"], rel=0.2)


def test_rows_that_are_not_images_are_drawn_as_profiles(folder):
    check = ["--check", str(folder / "train.npy"), "--figure", str(folder / "f.png")]
    assert cli(["generate", str(folder / "m"), *check]) == 0
    assert (folder / "f.png").stat().st_size > 5000


def test_held_out_rows_alone_are_refused(folder, capsys):
    held_out = ["--held-out", str(folder / "test.npy"), "-o", str(folder / "s.npy")]
    assert cli(["generate", str(folder / "m"), *held_out]) == 2
    assert "add --check with the training data" in capsys.readouterr().err


def pixels(figure) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def test_color_images_are_drawn_in_color_and_copies_in_a_frame(rng):
    from narrows.figures.generation import sheet_figure, walk_figure

    rows = rng.integers(0, 256, size=(40, 48), dtype=np.uint8)
    rows.reshape(40, 4, 4, 3)[..., 1:] = 0
    ae = Autoencoder(4, hidden=(8,), max_epochs=2, random_state=0).fit(rows)
    ae.model_.schema = Schema(48, "image", None, (4, 4, 3))
    red = rows[:12].astype(np.float32)
    found = pixels(walk_figure(ae.model_, red.reshape(3, 4, 48)))
    strong = (found[..., 0] > 100) & (found[..., 1] < 30)
    assert strong.mean() > 0.3
    samples = np.concatenate([red[:1], np.full((1, 48), 128, dtype=np.float32)])
    measured = ae.check_memorization(samples, rows, rows[::-1] // 2)
    assert measured.copies.tolist()[0] is True
    sheet = pixels(sheet_figure(ae.model_, samples, red[:2], measured))
    framed = (np.abs(sheet - [0xD5, 0x5E, 0x00]).sum(axis=2) < 12).any(axis=0)
    assert framed.any() and np.flatnonzero(framed).max() < 0.75 * sheet.shape[1]


@pytest.mark.parametrize("shape", [(0, 3, 10), (3, 10)])
def test_an_array_that_is_not_a_grid_is_refused(ae, shape):
    from narrows.figures.generation import walk_figure

    with pytest.raises(InvalidData, match="grid: must be lines x columns x features, got shape"):
        walk_figure(ae.model_, np.zeros(shape))
