"""Model and index files that earlier versions wrote load, and answer as they did."""

from __future__ import annotations

import numpy as np
import pytest
from written_files import FOLDER, INDEXES, TEXTS, answers, hits

from narrows import Index, load
from narrows.estimators import ALL, DETECTORS, HEADS

_IMAGES = ("Autoencoder", "CodeSegmenter", "ConvolutionalAutoencoder")
_COUNTS = ("DocumentAutoencoder", "SemanticHasher")
_RENAMED = {"VectorQuantisedAutoencoder": "VectorQuantizedAutoencoder"}
KEPT = sorted(path.stem for path in FOLDER.glob("*.safetensors"))


@pytest.fixture(scope="module")
def written() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "answers.npz") as file:
        return dict(file)


def test_every_estimator_has_a_file():
    kept = {_RENAMED.get(name, name) for name in KEPT}
    assert {cls.__name__ for cls in (*ALL, *HEADS, *DETECTORS)} <= kept


@pytest.mark.parametrize("name", [name for name in KEPT if name != "texts"])
def test_a_model_answers_as_it_did(name, written):
    est = load(FOLDER / f"{name}.safetensors")
    rows = "images" if name in _IMAGES else "counts" if name in _COUNTS else "rows"
    assert type(est).__name__ == _RENAMED.get(name, name)
    np.testing.assert_allclose(answers(est, written[rows]), written[name], rtol=1e-4, atol=1e-5)


def test_a_model_of_texts_answers_as_it_did(written):
    est = load(FOLDER / "texts.safetensors")
    np.testing.assert_array_equal(est.transform(TEXTS), written["texts"])


@pytest.mark.parametrize("kind", INDEXES)
def test_an_index_finds_what_it_found(kind, written):
    index = Index.load(FOLDER / f"{kind}.index")
    assert index.verify()["rows"] == 30
    assert hits(index, written[f"{kind}.codes"]) == written[f"{kind}.hits"].tolist()
    assert index.metadata("row 7") == {"i": 7}
