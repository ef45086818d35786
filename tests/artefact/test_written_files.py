"""Model and index files of earlier versions load and give the same answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from written_files import FOLDER, INDEXES, TEXTS, answers, hits

from narrows import Index, load
from narrows.artefact import Artefact, read_artefact, write_artefact
from narrows.errors import ModelFileError
from narrows.estimators.all_estimators import AUTOENCODERS, DETECTORS, HEADS

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
    assert {cls.__name__ for cls in (*AUTOENCODERS, *HEADS, *DETECTORS)} <= kept


@pytest.mark.parametrize("name", [name for name in KEPT if name != "texts"])
def test_older_model_files_give_the_same_answers(name, written):
    est = load(FOLDER / f"{name}.safetensors")
    rows = "images" if name in _IMAGES else "counts" if name in _COUNTS else "rows"
    assert type(est).__name__ == _RENAMED.get(name, name)
    np.testing.assert_allclose(answers(est, written[rows]), written[name], rtol=1e-4, atol=1e-5)


def test_older_text_model_files_give_the_same_codes(written):
    est = load(FOLDER / "texts.safetensors")
    np.testing.assert_array_equal(est.transform(TEXTS), written["texts"])


@pytest.mark.parametrize("kind", INDEXES)
def test_older_index_files_give_the_same_hits(kind, written):
    index = Index.load(FOLDER / f"{kind}.index")
    assert index.verify()["rows"] == 30
    assert hits(index, written[f"{kind}.codes"]) == written[f"{kind}.hits"].tolist()
    assert index.metadata("row 7") == {"i": 7}


@pytest.mark.parametrize(
    "name, fingerprint",
    [
        ("Autoencoder", "cd3d21da7eeb271daa8dfa008da071bde9bc376d23e0f28db40ca6f623816e4b"),
        ("SemanticHasher", "73c21704fba75fcfedda7fb56313ae0d9d35e5f7438c9f059e4f1edbc92ac5c1"),
        (
            "VectorQuantisedAutoencoder",
            "4b47b07da9f91bd740c92fae09d35004ce18fc442361e562a45c87a83963cb0a",
        ),
    ],
)
def test_older_model_files_match_their_indexes_fingerprint(name, fingerprint):
    assert load(FOLDER / f"{name}.safetensors").model_.fingerprint() == fingerprint


def with_balance(spec: dict[str, Any], where: str) -> dict[str, Any]:
    penalties = [{"name": "balance", "weight": 0.1}]
    added = {"balance": 0.05} if where == "balance" else {"penalties": penalties}
    return {**spec, "parameters": {**spec["parameters"], **added}}


@pytest.mark.parametrize("where", ["balance", "penalties"])
def test_a_model_trained_with_the_balance_penalty_is_refused(where, tmp_path):
    stored = read_artefact(FOLDER / "SemanticHasher.safetensors", kind="model")
    path = tmp_path / "hasher.safetensors"
    write_artefact(path, Artefact("model", with_balance(stored.spec, where), stored.tensors))
    with pytest.raises(ModelFileError, match="balance: the model was trained with this penalty"):
        load(path)
