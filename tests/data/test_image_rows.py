"""Every method returns images for images, and flat rows for flat rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import narrows
from narrows import load, read
from narrows.cli import narrows as command
from narrows.errors import ModelFileError

RNG = np.random.default_rng(0)
SHAPES = [(20, 5, 4), (20, 4, 4, 3), (20, 5, 4, 1)]


def fitted(X, **arguments):
    return narrows.Autoencoder(2, hidden=(4,), max_epochs=1, random_state=0, **arguments).fit(X)


def images(shape):
    return RNG.integers(0, 256, size=shape).astype(np.uint8)


def answers(ae, X):
    """Return what every method makes of rows, with the axes in front of a row's own."""
    flat = X.reshape(len(X), -1)
    hidden = np.arange(flat.shape[1]) < 3
    filled, std = ae.inpaint(X, hidden, return_std=True, n_draws=2)
    return {
        "reconstruct": (ae.reconstruct(X), (len(X),)),
        "denoise": (ae.denoise(X), (len(X),)),
        "inverse_transform": (ae.inverse_transform(ae.transform(X)), (len(X),)),
        "sample": (ae.sample(3, random_state=0), (3,)),
        "perturb": (ae.perturb(X, n_samples=2, random_state=0), (len(X), 2)),
        "traverse": (ae.traverse(X[:1], n_steps=3), (2, 3)),
        "interpolate": (ae.interpolate(X, X[::-1], 4), (len(X), 4)),
        "inpaint": (filled, (len(X),)),
        "std": (std, (len(X),)),
        "impute": (ae.impute(X), (len(X),)),
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_methods_return_images_for_images_also_after_loading(tmp_path, shape):
    X = images(shape)
    ae = fitted(X)
    ae.save(tmp_path / "m.safetensors")
    flat = fitted(X.reshape(len(X), -1))
    flat.save(tmp_path / "flat.safetensors")
    of_flat = answers(flat, X.reshape(len(X), -1))
    for model in (ae, load(tmp_path / "m.safetensors")):
        for name, (found, before) in answers(model, X).items():
            assert found.shape == (*before, *shape[1:]), name
            np.testing.assert_array_equal(found.reshape(*before, -1), of_flat[name][0], name)
        assert model.transform(X).shape == (len(X), 2)
        assert model.reconstruct(X.reshape(len(X), -1)).shape == shape  # by the shape of the fit
    for model in (flat, load(tmp_path / "flat.safetensors")):
        for name, (found, before) in answers(model, X).items():
            assert found.shape == (*before, X[0].size), name


def test_the_last_fit_decides_the_shape():
    X = images(SHAPES[0])
    ae = fitted(X)
    assert ae.fit(X.reshape(20, -1)).sample(2).shape == (2, 20)
    assert ae.fit(X).sample(2).shape == (2, 5, 4)


def test_partial_fit_keeps_the_shape():
    X = images(SHAPES[0])
    ae = narrows.Autoencoder(2, hidden=(4,)).partial_fit(X).partial_fit(X)
    assert ae.reconstruct(X).shape == X.shape


def test_a_convolutional_net_of_flat_rows_gives_flat_rows():
    X = images((20, 8, 8)).reshape(20, -1)
    ae = narrows.ConvolutionalAutoencoder(2, channels=(2,), max_epochs=1).fit(X)
    assert ae.reconstruct(X).shape == (20, 64)
    assert ae.fit(X.reshape(20, 8, 8)).reconstruct(X).shape == (20, 8, 8)


def test_samples_of_images_are_checked_against_images():
    X = images(SHAPES[1])
    ae = fitted(X)
    measured = ae.check_memorization(ae.sample(5, random_state=0), X)
    assert len(measured.distances) == 5


def test_a_detector_rebuilds_images():
    X = images(SHAPES[0])
    detector = narrows.AnomalyDetector(narrows.Autoencoder(2, hidden=(4,), max_epochs=1), n_folds=2)
    assert detector.fit(X).reconstruct(X).shape == X.shape


def test_an_imputer_returns_tables_even_if_its_net_was_fitted_to_images():
    X = images(SHAPES[0]).astype(np.float32)
    table = X.reshape(20, -1)
    table[3, 4] = np.nan
    imputer = narrows.CodeImputer(fitted(np.nan_to_num(X)))
    assert imputer.fit(table).transform(table).shape == (20, 20)


def test_methods_return_images_for_a_folder_of_images(tmp_path):
    for i in range(12):
        Image.fromarray(images((5, 4))).save(tmp_path / f"{i}.png")
    source = read(tmp_path)
    assert fitted(source).reconstruct(source).shape == (12, 5, 4)


def test_the_commands_write_and_draw_images(tmp_path):
    np.save(tmp_path / "x.npy", images((30, 8, 8)))
    model, data = str(tmp_path / "m.safetensors"), str(tmp_path / "x.npy")
    fitted(np.load(data)).save(model)
    for line in (
        ["generate", model, "-n", "3", "-o", "{out}.npy", "--figure", "{out}.png"],
        ["generate", model, "--perturb", data, "-o", "{out}.npy", "--figure", "{out}.png"],
        ["generate", model, "--traverse", data, "-o", "{out}.npy", "--figure", "{out}.png"],
        ["generate", model, "--interpolate", data, "-o", "{out}.npy", "--figure", "{out}.png"],
        ["anomalies", model, data, "--figure", "{out}.png"],
        ["reconstruct", model, data, "-o", "{out}/"],
        ["denoise", model, data, "-o", "{out}.npy"],
    ):
        out = str(tmp_path / "-".join(line[:1] + [w[2:] for w in line if w.startswith("--")]))
        done = CliRunner().invoke(command, [word.replace("{out}", out) for word in line])
        assert done.exit_code == 0, (line, done.output, done.exception)


def test_an_image_shape_of_another_size_is_refused(tmp_path):
    from narrows.artefact import read_artefact, write_artefact

    fitted(images(SHAPES[0])).save(tmp_path / "m.safetensors")
    whole = read_artefact(tmp_path / "m.safetensors", kind="model")
    for shape in ([5, 5], [-5, -4], ["5", 4], 20):
        spec = json.loads(json.dumps(whole.spec))
        spec["row_shape"] = shape
        write_artefact(tmp_path / "n.safetensors", type(whole)(whole.kind, spec, whole.tensors))
        with pytest.raises(ModelFileError):
            load(tmp_path / "n.safetensors")
    del spec["row_shape"]  # as in older files
    write_artefact(tmp_path / "n.safetensors", type(whole)(whole.kind, spec, whole.tensors))
    assert load(tmp_path / "n.safetensors").sample(2).shape == (2, 20)
