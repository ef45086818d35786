"""The paper's script end to end on a few images, and its distance against closed forms."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import papers
from narrows import load

EXPECTED = tomllib.loads((papers.PAPERS / "ghosh2020_generation/expected.toml").read_text())
frechet_distance = papers.module("ghosh2020_generation/features.py").frechet_distance


@pytest.fixture(scope="module")
def folder(data_folder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("generation")
    papers.table("ghosh2020-generation", folder)
    return folder


@pytest.fixture(scope="module")
def table(folder) -> dict:
    return json.loads((folder / "table.json").read_text())


def test_the_distance_of_two_normals_matches_the_closed_form(rng):
    """|m_a - m_b|^2 + sum of (s_a - s_b)^2 where the axes are the same."""
    e = rng.normal(size=(4000, 3))
    e = (e - e.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(e.T))).T
    a, b = e * [1, 2, 3] + [0, 0, 5], e * [2, 2, 0.5] + [1, 0, 0]
    assert frechet_distance(a, b) == pytest.approx(26 + 1 + 6.25)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    assert frechet_distance(a @ turn, b @ turn) == pytest.approx(33.25)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)


def test_the_distance_matches_scipys_matrix_root(rng):
    from scipy.linalg import sqrtm

    a, b = rng.normal(size=(2, 500, 4)) @ rng.normal(size=(2, 4, 4))
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    cross = np.trace(sqrtm(cov_a @ cov_b).real)
    theirs = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(cov_a + cov_b) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(theirs)


def test_the_table_compares_ours_with_the_published_numbers(table):
    names = [row["name"] for row in table["generation"]["rows"]]
    assert names == ["autoencoder", "regularized (RAE-L2)", "variational"]
    assert table["published"]["autoencoder"] == {"gaussian": 58.73, "mixture": 10.66}
    assert {*table["published"]} >= {*names}
    assert [*table["generation"]["rows"][2]][-3:] == ["prior", "gaussian", "mixture"]


def test_the_samples_are_not_copies(table):
    for row in table["generation"]["rows"]:
        assert row["copies"] < 0.05 and row["memorized"] is False, row["name"]


def test_fashion_mnist_has_the_same_table_without_published_numbers(data_folder, tmp_path):
    found = papers.table("ghosh2020-generation", tmp_path, preset="fashion-smoke")
    assert found["data"] == "Fashion-MNIST" and found["likelihood"] is None
    assert not found["published"]
    assert found["generation"]["feature_net_test_accuracy"] > 0.6  # a tenth by chance
    for row in found["generation"]["rows"]:
        assert row["reconstruction"] < row["mixture"], row["name"]


def test_the_feature_net_knows_digits(table):
    assert table["generation"]["feature_net_test_accuracy"] > 0.75


def test_samples_are_farther_from_the_test_images_than_reconstructions(table):
    for row in table["generation"]["rows"]:
        for density in {"prior", "gaussian", "mixture"} & {*row}:
            assert row["reconstruction"] < row[density] < 30, (row["name"], density)


def test_the_likelihood_beats_independent_bits_and_grows_with_more_codes(table):
    """Independent pixels with the images' own means cost 206 nats."""
    found = table["likelihood"]
    limit = EXPECTED["smoke"]["negative_log_likelihood_at_most"]
    assert 60 < found["negative_log_likelihood"] < min(found["bound_of_one_code"] - 2, limit)
    assert found["unit"] == "nats per sample"


def test_the_pictures_and_the_model_are_written(folder):
    with Image.open(folder / "samples.png") as picture:
        assert picture.height > 800  # eleven lines
    assert load(folder / "variational.safetensors").model_.variant == "variational"


def test_bits_are_drawn_once_with_the_gray_values_as_probabilities():
    binarized = papers.module("ghosh2020_generation/run.py").binarized
    images = np.tile(np.array([0, 51, 255], dtype=np.uint8), (20_000, 1))
    bits = binarized(images, 0)
    np.testing.assert_array_equal(bits, binarized(images, 0))
    assert set(np.unique(bits)) == {0, 1}
    np.testing.assert_allclose(bits.mean(axis=0), [0, 0.2, 1], atol=0.01)
