"""A model file holds the complete model, to the bit, and no data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from artefact_files import small, take_apart

from narrows import Autoencoder, LinearAutoencoder, load
from narrows.artefact.file import Artefact, _parse, _to_bytes


@pytest.mark.parametrize("tied", [False, True])
def test_a_loaded_model_encodes_to_the_bit(model_rows: np.ndarray, path: Path, tied: bool) -> None:
    model = small(tied=tied).fit(model_rows)
    model.save(path)
    np.testing.assert_array_equal(load(path).transform(model_rows), model.transform(model_rows))


def test_a_loaded_model_decodes_to_the_bit(
    fitted_model: Autoencoder, model_rows: np.ndarray, path: Path
) -> None:
    fitted_model.save(path)
    np.testing.assert_array_equal(
        load(path).reconstruct(model_rows), fitted_model.reconstruct(model_rows)
    )


def test_a_loaded_model_keeps_its_arguments(fitted_model: Autoencoder, path: Path) -> None:
    fitted_model.save(path)
    assert load(path).get_params() == fitted_model.get_params()


def test_a_loaded_model_keeps_its_history(fitted_model: Autoencoder, path: Path) -> None:
    fitted_model.save(path)
    assert load(path).history_ == fitted_model.history_


def test_a_loaded_linear_model_keeps_its_certificate(model_rows: np.ndarray, path: Path) -> None:
    model = LinearAutoencoder(n_components=2, max_epochs=5, random_state=0).fit(model_rows)
    model.save(path)
    np.testing.assert_array_equal(load(path).components_, model.components_)


def test_a_loaded_model_can_be_saved_again_to_the_same_bytes(
    model_bytes: bytes, path: Path
) -> None:
    path.write_bytes(model_bytes)
    load(path).save(path)
    assert path.read_bytes() == model_bytes


def test_saving_twice_gives_the_same_bytes(
    fitted_model: Autoencoder, model_bytes: bytes, path: Path
) -> None:
    fitted_model.save(path)
    assert path.read_bytes() == model_bytes


@pytest.mark.parametrize("name", ["[{}, 10)", '"{}', "\\{}", "]{}", "\U0001f600{}", '"sha256": {}'])
def test_any_column_names_are_restored(path: Path, name: str) -> None:
    table = np.random.default_rng(0).normal(size=(20, 40))
    frame = pd.DataFrame(table, columns=[name.format(i) for i in range(40)])
    small().fit(frame).save(path)
    assert list(load(path).feature_names_in_) == list(frame.columns)


def test_every_dtype_that_is_written_is_read() -> None:
    kinds = [torch.float64, torch.float32, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
    tensors = {str(kind): torch.tensor([[0, 1], [1, 0]]).to(kind) for kind in kinds}
    tensors |= {"scalar": torch.tensor(3.0), "empty": torch.zeros(0, 5)}
    back = _parse(_to_bytes(Artefact("model", {}, tensors)), "model").tensors
    assert all(
        torch.equal(back[k], v) and back[k].dtype == v.dtype and back[k].shape == v.shape
        for k, v in tensors.items()
    )


def test_tied_weights_are_stored_once(model_rows: np.ndarray, path: Path) -> None:
    small(tied=True).fit(model_rows).save(path)
    names = [name for name in take_apart(path.read_bytes())[0] if name.startswith("net.")]
    assert sorted(name for name in names if "weights" in name) == [
        "net.encoder.weights.0",
        "net.encoder.weights.1",
    ]


def test_training_data_are_not_in_the_file(model_rows: np.ndarray, model_bytes: bytes) -> None:
    pairs = [
        row[i : i + 2].astype(kind) for row in model_rows for i in (0, 2) for kind in ("f4", "f8")
    ]
    assert not any(pair.tobytes() in model_bytes for pair in pairs)


def test_the_size_does_not_grow_with_the_rows(model_rows: np.ndarray, path: Path) -> None:
    """Except for the errors of held-out rows: 4 bytes for a tenth of the rows, up to a limit."""
    sizes = []
    for repeats in (10, 200):
        rows = np.random.default_rng(0).normal(size=(repeats * len(model_rows), 5))
        small().fit(rows).save(path)
        sizes.append(len(take_apart(path.read_bytes())[2]) - 4 * (len(rows) // 10))
    assert sizes[0] == sizes[1]
