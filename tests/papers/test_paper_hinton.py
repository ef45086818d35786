"""The paper's script end to end on a few images, and the published baseline on all of them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from PIL import Image

from narrows import load
from narrows.data import DenseSource
from narrows.data.datasets import load_images
from narrows.data.scaling import fit_scaling
from narrows.data.statistics import describe
from narrows.model.baseline import fit_baseline
from papers import PAPERS, table

EXPECTED = tomllib.loads((PAPERS / "hinton2006_digits/expected.toml").read_text())


@pytest.fixture(scope="module")
def folder(data_folder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("digits")
    table("hinton2006-digits", folder)
    return folder


def test_the_table_compares_ours_with_the_published_numbers(folder):
    found = json.loads((folder / "table.json").read_text())
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["PCA, 30 numbers"]["published_test"] == 13.87
    assert rows["logistic PCA, 30 numbers"]["published_test"] == 8.01
    assert rows["deep autoencoder, 30 numbers"]["published_test"] == 3.00
    assert all(row["test"] > 0 and row["train"] > 0 for row in rows.values())


def test_the_model_has_the_architecture_of_the_lecture(folder):
    net = load(folder / "model.safetensors").model_
    assert net.variant == "tied"
    widths = [tuple(weight.shape) for weight in net.objective.encoder.weights]
    assert widths == [(784, 1000), (1000, 500), (500, 250), (250, 30)]
    assert len(list(net.objective.decoder.parameters())) == 4  # biases alone


def test_the_picture_has_three_rows_of_ten(folder):
    with Image.open(folder / "digits.png") as picture:
        assert picture.width > 3 * picture.height


def test_pca_has_the_published_error(data_folder):
    train, _, test, _ = load_images("mnist")
    source = DenseSource(train)
    scaling = fit_scaling("unit", source, describe(source))
    baseline = fit_baseline(source, scaling, 30, seed=0)
    assert baseline is not None
    error = float(baseline.error(scaling.forward(DenseSource(test)._slice(0, 10_000))).mean())
    assert error == pytest.approx(EXPECTED["pca"]["test"], abs=EXPECTED["pca"]["tolerance"])
