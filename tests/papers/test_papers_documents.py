"""The papers on documents, on few documents, and their baselines."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from papers import module, table


@pytest.fixture(scope="module")
def baselines() -> ModuleType:
    return module("salakhutdinov2007_semantic_hashing/baselines.py")


def test_codes_of_10_numbers_are_compared_with_lsa_and_tfidf(tmp_path):
    result = table("hinton2006-documents", tmp_path)
    rows = {row["retrieved"]: row for row in result["rows"]}
    assert "autoencoder, 10" in rows and any("50, smoothed" in name for name in rows)
    assert rows["autoencoder, 10"]["1"] > 0.8
    assert {"autoencoder", "PCA of log(1 + count)"} < set(result["maps"])
    for picture in ("retrieval.png", "maps.png"):
        with Image.open(tmp_path / picture) as image:
            assert image.size[0] > 300


def test_bits_are_compared_with_baselines(data_folder, tmp_path):
    rows = {
        row["method"]: row for row in table("salakhutdinov2007-semantic-hashing", tmp_path)["rows"]
    }
    assert {"TF-IDF", "LSA, sign", "ITQ", "random hyperplanes", "SemanticHasher"} < set(rows)
    assert rows["AMMI (published)"]["16 bits"] == 81.73
    for method in ("LSA, sign", "ITQ", "SemanticHasher"):
        assert 30 < rows[method]["16 bits"] <= 100


@pytest.mark.parametrize("name", ["LSA, sign", "ITQ", "random hyperplanes"])
def test_baselines_keep_near_rows_near(baselines, name):
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(5, 32))
    of = rng.integers(5, size=300)
    rows = centers[of] + 0.1 * rng.normal(size=(300, 32))
    train, test = (
        np.unpackbits(p, axis=1) for p in baselines.bits_of(name, rows[:200], rows[200:], 16, 0)
    )
    assert train.shape == (200, 16) and test.shape == (100, 16)
    distances = (test[:, None] != train[None]).sum(axis=2)
    assert np.mean(of[:200][distances.argmin(axis=1)] == of[200:]) > 0.95


def test_itq_has_a_smaller_quantization_error_than_signs(baselines):
    """Gong et al. (2013): the rotation makes |sign(v R) - v R|^2 smaller."""
    rng = np.random.default_rng(0)
    v = rng.normal(size=(500, 8)) * np.linspace(3, 0.3, 8)
    v -= v.mean(axis=0)

    def agreement(bits) -> float:
        """Return the objective of ITQ: the largest sum of v's products with the rotated bits."""
        return float(np.linalg.svd((2.0 * bits - 1).T @ v, compute_uv=False).sum())

    assert agreement(baselines.itq(v, v, 8, 0)[0]) > 1.02 * agreement(v > 0)
