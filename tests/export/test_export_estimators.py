"""Exports of estimators and heads in Python and on the command line, and refused exports."""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
import pytest
from onnx_files import answers, assert_same

from narrows import (
    Autoencoder,
    CodeClassifier,
    CodeMatcher,
    CodeRegressor,
    CodeSegmenter,
    ConvolutionalAutoencoder,
    DocumentAutoencoder,
    SemanticHasher,
    load,
)
from narrows.cli import run as cli
from narrows.cli.export import PART_NAMES
from narrows.errors import MissingExtra, ResourceError, UsageError
from narrows.export import onnx as export
from narrows.export.onnx import PARTS

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("operators_listed_once")


def test_a_loaded_autoencoders_export_matches_transform(digits, tmp_path):
    Autoencoder(5, hidden=(16,), max_epochs=2, random_state=0).fit(digits).save(tmp_path / "m")
    ae = load(tmp_path / "m")
    ae.export(tmp_path / "f.onnx")
    ae.export(tmp_path / "g.onnx", part="decoder")
    h = answers(tmp_path / "f.onnx", digits)
    assert_same(h, ae.transform(digits))
    assert_same(answers(tmp_path / "g.onnx", h), ae.inverse_transform(h))


def test_bytes_are_exported_unscaled(tmp_path):
    X = np.random.default_rng(0).integers(0, 256, (40, 16), dtype=np.uint8)
    ae = Autoencoder(3, hidden=(8,), max_epochs=2, random_state=0).fit(X)
    assert ae.model_.scaling.kind == "unit"
    ae.export(tmp_path / "m.onnx", part="reconstruct")
    outputs = answers(tmp_path / "m.onnx", X)
    assert_same(outputs, ae.reconstruct(X))
    assert outputs.max() > 1


TEXTS = ["strait water ship", "ship sails water", "bridge road car", "car road wheel"] * 5


@pytest.mark.parametrize("kind", [DocumentAutoencoder, SemanticHasher])
def test_texts_are_read_as_counts_of_the_words_in_the_metadata(tmp_path, kind):
    fitted = kind(3, hidden=(8,), max_epochs=3, random_state=0).fit(TEXTS)
    fitted.export(tmp_path / "m.onnx")
    metadata = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    words = json.loads(metadata["feature_names"])
    analyzer = fitted.vocabulary_.analyzer
    rows = np.array([[list(analyzer(text)).count(word) for word in words] for text in TEXTS])
    assert_same(answers(tmp_path / "m.onnx", rows), fitted.transform(TEXTS))


@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
def test_a_classifier_file_gives_probabilities(autoencoder, rows, classes, tmp_path, training):
    head = CodeClassifier(autoencoder, training=training, max_epochs=5, random_state=0)
    head.fit(rows, classes).export(tmp_path / "m.onnx")
    assert_same(answers(tmp_path / "m.onnx", rows), head.predict_proba(rows))
    metadata = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(metadata["classes"]) == ["a", "b", "c"]


def test_a_matcher_file_gives_vectors_and_their_odds(autoencoder, rows, classes, tmp_path):
    matcher = CodeMatcher(autoencoder, random_state=0).fit(rows, classes)
    matcher.export(tmp_path / "m.onnx")
    vectors = answers(tmp_path / "m.onnx", rows)
    assert_same(vectors, matcher.transform(rows))
    metadata = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    odds = json.loads(metadata["odds"])
    d = np.square(vectors[:-1].astype(float) - vectors[1:]).sum(axis=1)
    p = 1 / (1 + np.exp(odds["slope"] * d - odds["intercept"]))
    np.testing.assert_allclose(p, matcher.match_proba(rows[:-1], rows[1:]), atol=1e-4)


def test_a_segmenter_file_gives_probabilities_of_every_pixel(tmp_path):
    images = np.random.default_rng(0).random((30, 7, 6)).astype(np.float32)
    ae = ConvolutionalAutoencoder(3, channels=(4, 5), max_epochs=1, random_state=0).fit(images)
    segmenter = CodeSegmenter(ae, width=4, max_epochs=2, random_state=0).fit(images, images > 0.6)
    segmenter.export(tmp_path / "m.onnx")
    outputs = answers(tmp_path / "m.onnx", images.reshape(30, -1))
    assert_same(outputs, segmenter.predict_proba(images))


def test_a_head_on_an_inner_layer_reads_that_layer(autoencoder, rows, classes, tmp_path):
    head = CodeClassifier(autoencoder, layer=0, hidden=(6,), max_epochs=5, random_state=0)
    head.fit(rows, classes).export(tmp_path / "m.onnx")
    assert_same(answers(tmp_path / "m.onnx", rows), head.predict_proba(rows))


def test_a_regressor_file_gives_y_in_its_units(autoencoder, rows, values, tmp_path):
    y = 1e7 + values  # in float32, such a y has no decimals
    head = CodeRegressor(autoencoder, max_epochs=5, random_state=0).fit(rows, y)
    head.export(tmp_path / "m.onnx")
    outputs = answers(tmp_path / "m.onnx", rows)
    assert outputs.dtype == np.float64 and outputs.shape == y.shape
    np.testing.assert_allclose(outputs, head.predict(rows), rtol=0, atol=1e-5 * y.std())


def test_a_regressor_file_gives_several_targets_with_their_names(
    autoencoder, rows, values, tmp_path
):
    y = pd.DataFrame({"far": 1e7 + values, "near": -values})
    head = CodeRegressor(autoencoder, max_epochs=2, random_state=0).fit(rows, y)
    head.export(tmp_path / "m.onnx")
    outputs = answers(tmp_path / "m.onnx", rows)
    assert outputs.dtype == np.float64 and outputs.shape == y.shape
    np.testing.assert_allclose(outputs, head.predict(rows), rtol=0, atol=1e-5 * values.std())
    metadata = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert metadata["target_names"] == '["far", "near"]'


def test_a_heads_autoencoder_is_exported_by_part(autoencoder, rows, classes, tmp_path):
    head = CodeClassifier(autoencoder, training="fine_tuned", max_epochs=5, random_state=0)
    head.fit(rows, classes).export(tmp_path / "m.onnx", part="encoder")
    assert_same(answers(tmp_path / "m.onnx", rows), head.autoencoder_.transform(rows))
    assert "classes" not in {p.key for p in onnx.load(tmp_path / "m.onnx").metadata_props}


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("encode", "part: unknown name 'encode'.*Did you mean 'encoder'"),
        ("head", "'head' needs a head on a code, such as a classifier, but this is an autoencoder"),
    ],
)
def test_an_unknown_part_is_refused(fitted_model, tmp_path, part, message):
    with pytest.raises(UsageError, match=message):
        fitted_model.export(tmp_path / "m.onnx", part=part)
    assert not list(tmp_path.iterdir())


def test_weights_too_large_for_an_onnx_file_are_refused(fitted_model, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_LARGEST", 100)
    with pytest.raises(
        UsageError, match=r"'encoder' has [\d,]+ bytes of weights.*limited to 2 GiB"
    ):
        fitted_model.export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named_with_the_install_line(
    fitted_model, tmp_path, monkeypatch, package
):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"{package} is not .*pip install 'narrows\[onnx\]'"):
        fitted_model.export(tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())


def test_an_older_file_stays_intact_if_the_export_fails(fitted_model, tmp_path, monkeypatch):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")

    def fail(*arguments, **more):
        raise onnx.checker.ValidationError("broken")

    monkeypatch.setattr(onnx.checker, "check_model", fail)
    with pytest.raises(onnx.checker.ValidationError):
        fitted_model.export(path)
    assert path.read_bytes() == b"before" and [p.name for p in tmp_path.iterdir()] == ["m.onnx"]


def test_a_missing_folder_is_named(fitted_model, tmp_path):
    with pytest.raises(ResourceError, match="no_such.*cannot be written"):
        fitted_model.export(tmp_path / "no_such" / "m.onnx")


def test_the_command_writes_the_given_part(fitted_model, model_rows, tmp_path, capsys):
    fitted_model.save(tmp_path / "m")
    arguments = ["export", str(tmp_path / "m"), "-o", str(tmp_path / "g.onnx")]
    assert cli([*arguments, "--part", "decoder", "--json"]) == 0
    out, err = capsys.readouterr()
    size = (tmp_path / "g.onnx").stat().st_size
    assert json.loads(out) == {
        "output": str(tmp_path / "g.onnx"), "part": "decoder", "bytes": size,
    }  # fmt: skip
    assert err == ""
    h = fitted_model.transform(model_rows)
    assert_same(answers(tmp_path / "g.onnx", h), fitted_model.inverse_transform(h))


def test_the_command_exports_a_head_by_default(autoencoder, rows, classes, tmp_path, capsys):
    head = CodeClassifier(autoencoder, max_epochs=5, random_state=0).fit(rows, classes)
    head.save(tmp_path / "m")
    assert cli(["export", str(tmp_path / "m"), "-o", str(tmp_path / "m.onnx")]) == 0
    assert "m.onnx: head, " in capsys.readouterr().out
    assert_same(answers(tmp_path / "m.onnx", rows), head.predict_proba(rows))


def test_the_command_does_not_overwrite_the_model(fitted_model, tmp_path, capsys):
    fitted_model.save(tmp_path / "m")
    assert cli(["export", str(tmp_path / "m"), "-o", str(tmp_path / "m")]) == 2
    assert "is the input" in capsys.readouterr().err
    load(tmp_path / "m")


def test_the_command_offers_all_parts():
    assert set(PART_NAMES) == {*PARTS, "head"}
