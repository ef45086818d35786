"""Rows with missing values in every method and command: results are finite."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from narrows import (
    AnomalyDetector,
    Autoencoder,
    CodeClassifier,
    CodeMatcher,
    CodeRegressor,
    CodeSegmenter,
    ConvolutionalAutoencoder,
    DocumentAutoencoder,
    Missing,
    SemanticHasher,
    load,
)
from narrows.cli import run as cli

FILL = 0.5
SMALL = {"n_components": 3, "hidden": (8,), "max_epochs": 2, "random_state": 0,
         "corruption": Missing(0.2, fill=FILL), "scale": "standard"}  # fmt: skip


@pytest.fixture(scope="module")
def holed() -> np.ndarray:
    """A table near two dimensions with a sixth of it missing, (60, 6)."""
    rng = np.random.default_rng(0)
    whole = 3 + rng.normal(size=(60, 2)) @ rng.normal(size=(2, 6))
    return np.where(rng.random(whole.shape) < 1 / 6, np.nan, whole).astype(np.float32)


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.arange(60) % 2


@pytest.fixture(scope="module")
def net(holed) -> Autoencoder:
    return Autoencoder(**SMALL).fit(holed)


@pytest.fixture(scope="module")
def hasher(holed) -> SemanticHasher:
    return SemanticHasher(8, hidden=(8,), max_epochs=2, random_state=0,
                          corruption=SMALL["corruption"], scale="standard").fit(holed)  # fmt: skip


def filled(net, rows: np.ndarray) -> np.ndarray:
    """The rows with missing values replaced by the corruption's fill."""
    scaling = net.model_.scaling
    return np.where(np.isnan(rows), (scaling.shift + FILL * scaling.scale).numpy(), rows)


def head_of(net, holed, y, kind=CodeClassifier, **settings):
    return kind(net, random_state=0, **{"max_epochs": 2, **settings}).fit(holed, y)


OF_THE_CODE = {
    "transform": lambda net, x: net.transform(x),
    "the code of features": lambda net, x: net.features(x),
    "a layer of features": lambda net, x: net.features(x, layer=0),
    "reconstruct": lambda net, x: net.reconstruct(x),
    "perturb": lambda net, x: net.perturb(x, n_samples=2, random_state=0),
    "traverse": lambda net, x: net.traverse(x[3], n_steps=3),
    "interpolate": lambda net, x: net.interpolate(x[:5], x[5:10], n_steps=3),
}


@pytest.mark.parametrize("answer", OF_THE_CODE.values(), ids=OF_THE_CODE)
@pytest.mark.parametrize("kind", ["net", "hasher"])
def test_methods_on_codes_fill_in_missing_values(request, holed, kind, answer):
    fitted = request.getfixturevalue(kind)
    found = answer(fitted, holed)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, answer(fitted, filled(fitted, holed)), rtol=1e-4, atol=1e-5)


def test_features_equal_the_code_of_transform(net, hasher, holed):
    np.testing.assert_array_equal(net.features(holed), net.transform(holed))
    np.testing.assert_array_equal(hasher.features(holed), hasher.transform(holed))


OF_ROWS = {
    "score_samples": lambda net, x: net.score_samples(x),
    "score": lambda net, x: net.score(x),
    "denoise": lambda net, x: net.denoise(x),
    "impute": lambda net, x: net.impute(x),
    "inpaint": lambda net, x: net.inpaint(x, np.arange(6) == 2),
    "p_values": lambda net, x: net.p_values(x),
    "p_values of other rows": lambda net, x: net.p_values(x[:9], x[9:]),
    "anomaly_contributions": lambda net, x: net.anomaly_contributions(x),
    "evaluate": lambda net, x: numbers_of(net.evaluate(x)),
    "inspect": lambda net, x: numbers_of(net.inspect(x)),
    "check_memorization": lambda net, x: net.check_memorization(net.sample(4), x).distances,
    "partial_fit": lambda net, x: Autoencoder(**SMALL).partial_fit(x).partial_fit(x).transform(x),
}


@pytest.mark.parametrize("answer", OF_ROWS.values(), ids=OF_ROWS)
def test_every_method_on_rows_returns_finite_numbers(net, holed, answer):
    assert np.isfinite(answer(net, holed)).all()


def numbers_of(record) -> list[float]:
    return [v for v in vars(record).values() if isinstance(v, float)]


def test_rows_with_missing_values_are_indexed_and_searched(hasher, holed):
    whole = filled(hasher, holed)
    index = hasher.make_index(holed, rerank=True)
    for hits in (hasher.search(index, holed[:9], 5, rerank=True), hasher.search(index, holed[:9])):
        assert np.isfinite([hit.distance for hit in sum(hits, [])]).all()
    assert hasher.search(index, holed[:9], 5) == hasher.search(index, whole[:9], 5)


HEADS = {
    "classifier": lambda net, x, y: head_of(net, x, y).predict_proba,
    "of a layer": lambda net, x, y: head_of(net, x, y, layer=0).predict_proba,
    "fine-tuned": lambda net, x, y: head_of(net, x, y, training="fine_tuned").predict_proba,
    "joint": lambda net, x, y: head_of(net, x, y, training="joint").predict_proba,
    "dropout": lambda net, x, y: (
        head_of(net, x, y, training="fine_tuned", dropout=0.2).predict_proba
    ),
    "regressor": lambda net, x, y: head_of(net, x, y, CodeRegressor).predict,
    "matcher": lambda net, x, y: (
        head_of(net, x[:24], y[:24], CodeMatcher, calibration_folds=2).transform
    ),
}


@pytest.mark.parametrize("made", HEADS.values(), ids=HEADS)
def test_every_head_reads_the_code_of_a_row_with_missing_values(net, holed, y, made):
    answer = made(net, holed, y)
    assert np.isfinite(answer(holed)).all()
    if made is HEADS["classifier"]:
        np.testing.assert_allclose(answer(holed), answer(filled(net, holed)), rtol=1e-4, atol=1e-5)


def test_a_segmenter_reads_images_with_missing_pixels():
    rng = np.random.default_rng(0)
    images = rng.random((12, 8, 8)).astype(np.float32)
    masks = (images > 0.5).astype(int)
    images[rng.random(images.shape) < 0.1] = np.nan
    net = ConvolutionalAutoencoder(2, channels=(4,), max_epochs=1, random_state=0,
                                   corruption="missing").fit(images)  # fmt: skip
    np.testing.assert_array_equal(net.features(images), net.transform(images))
    head = CodeSegmenter(net, max_epochs=1, random_state=0).fit(images, masks)
    assert np.isfinite(head.predict_proba(images)).all()


def test_a_detector_scores_rows_with_missing_values(net, holed):
    detector = AnomalyDetector(Autoencoder(**SMALL), n_folds=2, random_state=0).fit(holed)
    for answer in (detector.score_samples(holed), detector.anomaly_contributions(holed)):
        assert np.isfinite(answer).all()


@pytest.mark.parametrize("pretrain", ["denoising", "rbm"])
def test_pretrained_layers_never_see_a_missing_value(holed, pretrain):
    counts = np.floor(np.abs(holed))
    net = DocumentAutoencoder(2, hidden=(4,), max_epochs=1, random_state=0, corruption="missing",
                              pretrain=pretrain, n_neighbors=0, activation="sigmoid")  # fmt: skip
    net.fit(counts)
    epochs = net.model_.record["pretraining"]
    assert np.isfinite([epoch["objective"] for layer in epochs for epoch in layer]).all()
    assert np.isfinite(net.features(counts, layer=0)).all()


# The same through the command line.


@pytest.fixture(scope="module")
def files(holed, net, hasher, y, tmp_path_factory) -> Path:
    """A folder with the rows as .csv (empty cells), labels and fitted models."""
    folder = tmp_path_factory.mktemp("missing")
    names = ",".join(f"f{i}" for i in range(6))
    lines = [",".join("" if np.isnan(v) else repr(float(v)) for v in row) for row in holed]
    (folder / "x.csv").write_text("\n".join([names, *lines]))
    (folder / "y.csv").write_text("\n".join(map(str, y)))
    net.save(folder / "net")
    hasher.save(folder / "hasher")
    return folder


def ran(folder: Path, line: str, capsys) -> str:
    words = [str(folder / word[1:]) if word[0] == "@" else word for word in line.split()]
    assert cli(words) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("encode @net @x.csv -o @o.npy", lambda net, x: net.transform(x)),
        ("encode @net @x.csv --layer 0 -o @o.npy", lambda net, x: net.features(x, layer=0)),
        ("encode @hasher @x.csv -o @o.npy", lambda net, x: net.transform(x)),
        ("reconstruct @net @x.csv -o @o.npy", lambda net, x: net.reconstruct(x)),
        ("denoise @net @x.csv -o @o.npy", lambda net, x: net.denoise(x)),
        ("generate @net --perturb @x.csv --rows 5 -n 2 -o @o.npy", None),
        ("generate @net --interpolate @x.csv --rows 5 -o @o.npy", None),
        ("inpaint @net @x.csv --mask missing:0.2 -o @o.npy", None),
        ("anomalies @net @x.csv -o @o.npy", None),
    ],
)
def test_every_command_that_writes_rows_writes_numbers(files, capsys, holed, line, answer):
    ran(files, line, capsys)
    found = np.load(files / "o.npy")
    assert np.isfinite(found).all()
    if answer is not None:
        fitted = load(files / line.split()[1][1:])
        np.testing.assert_allclose(found, answer(fitted, holed), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("line", ["evaluate @net @x.csv --json", "inspect @net @x.csv --json"])
def test_every_command_that_measures_prints_numbers(files, capsys, line):
    found = json.loads(ran(files, line, capsys), parse_constant=pytest.fail)
    assert all(np.isfinite(v) for v in found.values() if isinstance(v, float))


@pytest.mark.parametrize("model", ["net", "hasher"])
def test_an_index_of_a_file_with_empty_cells_finds_each_row(files, capsys, model):
    ran(files, f"index @{model} @x.csv -o @{model}.index --replace", capsys)
    out = ran(files, f"search @{model}.index --queries @x.csv -k 1 --json", capsys)
    found = json.loads(out, parse_constant=pytest.fail)
    distances = [hit["distance"] for query in found["answers"] for hit in query["hits"]]
    assert len(distances) == 60
    np.testing.assert_allclose(distances, 0, atol=1e-5)


@pytest.mark.parametrize("task", ["classify", "regress"])
def test_a_head_is_trained_on_and_predicts_from_a_file_with_empty_cells(files, capsys, task):
    head = f"head @net @x.csv --labels @y.csv --task {task} --epochs 2 -o @{task} -q"
    ran(files, head, capsys)
    ran(files, f"predict @{task} @x.csv -o @p.npy", capsys)
    assert np.isfinite(np.load(files / "p.npy")).all()
