"""Row weights and class weights of heads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import recall_score

from narrows import (
    CodeClassifier,
    CodeRegressor,
    CodeSegmenter,
    ConvolutionalAutoencoder,
    LinearAutoencoder,
    load,
)
from narrows.cli import run as cli
from narrows.errors import InvalidData, UsageError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 6)).astype(np.float32)
Y = (X[:, 0] + RNG.normal(size=120) > 1).astype(int)
VALUES = 10 + 3 * X[:, 1] + RNG.normal(size=120)
COUNTS = RNG.integers(0, 4, size=120)
FULL: dict[str, Any] = {"batch_size": 1000, "max_epochs": 30, "random_state": 0}


@pytest.fixture(scope="module")
def autoencoder() -> LinearAutoencoder:
    return LinearAutoencoder(4, max_epochs=3, random_state=0).fit(X)


@pytest.mark.parametrize("training", ["frozen", "fine_tuned"])
@pytest.mark.parametrize("cls, y", [(CodeClassifier, Y), (CodeRegressor, VALUES)])
def test_a_weight_equals_a_repetition_if_a_batch_holds_all_rows(cls, y, training, autoencoder):
    # a linear head would start at the solution of a penalized problem, in which counts matter
    hidden = () if training == "frozen" else (8,)
    settings = {**FULL, "training": training, "features": "code", "hidden": hidden}
    weighted = cls(autoencoder, **settings).fit(X, y, sample_weight=COUNTS)
    repeated = cls(autoencoder, **settings).fit(np.repeat(X, COUNTS, axis=0), np.repeat(y, COUNTS))
    alike = cls(autoencoder, **settings).fit(X, y)
    predictions = [head._outputs(X) for head in (weighted, repeated, alike)]
    np.testing.assert_allclose(predictions[0], predictions[1], rtol=1e-3, atol=1e-3)
    assert np.abs(predictions[0] - predictions[2]).max() > 0.01


@pytest.mark.parametrize("cls, y", [(CodeClassifier, Y), (CodeRegressor, VALUES)])
def test_only_the_ratios_of_weights_matter(cls, y, autoencoder):
    heads = [
        cls(autoencoder, max_epochs=3, validation_fraction=0.2, random_state=0).fit(
            X, y, sample_weight=scale * (1 + COUNTS)
        )
        for scale in (1, 1024)
    ]
    np.testing.assert_array_equal(*(head._outputs(X) for head in heads))
    assert heads[0].validation_history_ == heads[1].validation_history_


def test_rows_of_weight_0_are_dropped():
    kept = COUNTS > 0
    spoiled = np.where(kept[:, None], X, 1e6).astype(np.float32)
    y = np.where(kept, Y, 7)
    fits = [
        CodeClassifier(
            LinearAutoencoder(3, max_epochs=2),
            max_epochs=3,
            validation_fraction=0.2,
            random_state=0,
        ).fit(*rows, sample_weight=weights)
        for rows, weights in (((spoiled, y), COUNTS), ((X[kept], Y[kept]), COUNTS[kept]))
    ]
    assert fits[0].classes_.tolist() == [0, 1]
    np.testing.assert_array_equal(*(head.predict_proba(X) for head in fits))
    np.testing.assert_array_equal(
        fits[0].held_out_rows_, np.flatnonzero(kept)[fits[1].held_out_rows_]
    )
    np.testing.assert_array_equal(
        np.sort(np.r_[fits[0].held_out_rows_, fits[0].training_rows_]), np.flatnonzero(kept)
    )


@pytest.mark.parametrize(
    "weights, message",
    [
        (np.zeros(120), "non-zero"),
        (np.full(120, -1.0), "must be >= 0, row 0 .* has -1"),
        (np.full(120, np.nan), "NaN"),
        (np.ones(7), r"shape == \(7,\)"),
    ],
    ids=["all_zero", "negative", "nan", "length"],
)
def test_invalid_weights_are_refused(weights, message, autoencoder):
    with pytest.raises(InvalidData, match=f"sample_weight: .*{message}"):
        CodeClassifier(autoencoder).fit(X, Y, sample_weight=weights)


def rare() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows, y = rng.normal(size=(900, 12)), np.zeros(900, int)
    y[:27] = 1
    rows[:27, :3] += 1.5
    return rows, y


def test_balanced_weights_find_a_rare_class():
    rows, y = rare()
    ae = LinearAutoencoder(6, max_epochs=3, random_state=0).fit(rows)
    found = [
        recall_score(y, CodeClassifier(ae, class_weight=w, **{**FULL, "max_epochs": 200})
                     .fit(rows, y).predict(rows))
        for w in (None, "balanced", {0: 1, 1: 32})
    ]  # fmt: skip
    assert found[0] < 0.4 and min(found[1:]) > 0.8


def test_balanced_equals_weights_of_rows(autoencoder):
    weights = np.where(Y == 1, len(Y) / (2 * Y.sum()), len(Y) / (2 * (1 - Y).sum()))
    settings = {**FULL, "training": "fine_tuned", "features": "code"}
    ours = CodeClassifier(autoencoder, class_weight="balanced", **settings).fit(X, Y)
    theirs = CodeClassifier(autoencoder, **settings).fit(X, Y, sample_weight=weights)
    # weights of rows count in the scale of the features as well
    np.testing.assert_allclose(ours._outputs(X), theirs._outputs(X), rtol=0.02, atol=0.02)


def test_balanced_counts_the_training_rows_alone(autoencoder, monkeypatch):
    from narrows.estimators.heads import classifier

    seen = []

    def counted(class_weight, classes, targets, weights):
        seen.append(len(targets))
        return original(class_weight, classes, targets, weights)

    original = classifier.class_weights
    monkeypatch.setattr(classifier, "class_weights", counted)
    CodeClassifier(
        autoencoder, class_weight="balanced", validation_fraction=0.25, max_epochs=1
    ).fit(X, Y)
    assert set(seen) == {90}


@pytest.mark.parametrize("given", [{0: 1, 1: 3}, "balanced", None])
def test_the_file_keeps_class_weights(given, autoencoder, tmp_path):
    head = CodeClassifier(autoencoder, class_weight=given, max_epochs=1).fit(X, Y)
    head.save(tmp_path / "h.safetensors")
    assert load(tmp_path / "h.safetensors").class_weight == given


@pytest.mark.parametrize(
    "given, message",
    [("even", "None, 'balanced' or a dict"), ({5: 2}, "5 is not a class of y"), ({1: 0}, r"\[1\]")],
)
def test_invalid_class_weights_are_refused(given, message, autoencoder):
    with pytest.raises(UsageError, match=f"class_weight.*{message}"):
        CodeClassifier(autoencoder, class_weight=given).fit(X, Y)


def test_balanced_weights_find_pixels_of_a_rare_class():
    rng = np.random.default_rng(0)
    images = rng.random((40, 6, 6)).astype(np.float32)
    masks = images + 0.2 * rng.normal(size=images.shape) > 1.15
    ae = ConvolutionalAutoencoder(2, channels=(4,), max_epochs=1, random_state=0).fit(images)
    settings = {"width": 4, "max_epochs": 60, "batch_size": 16, "learning_rate": 0.02}
    found = []
    for weights in (None, "balanced"):
        head = CodeSegmenter(ae, class_weight=weights, random_state=0, **settings)
        predictions = head.fit(images, masks).predict(images).reshape(masks.shape)
        found.append(predictions[masks].mean())
    assert found[0] < 0.2 and found[1] > 0.8


def test_the_command_line_weights_rows_and_classes(tmp_path, autoencoder):
    model, data = tmp_path / "m.safetensors", tmp_path / "x.npy"
    autoencoder.save(model)
    np.save(data, X)
    np.save(tmp_path / "y.npy", Y)
    np.save(tmp_path / "w.npy", COUNTS)
    common = [str(model), str(data), "--labels", str(tmp_path / "y.npy"), "--task", "classify"]
    common += ["--epochs", "2", "--seed", "0", "-q", "-o", str(tmp_path / "h.safetensors")]
    more = ["--weights", str(tmp_path / "w.npy"), "--class-weight", "balanced"]
    assert cli(["head", *common, *more]) == 0
    ours = load(tmp_path / "h.safetensors")
    theirs = CodeClassifier(autoencoder, class_weight="balanced", max_epochs=2, random_state=0).fit(
        X, Y, sample_weight=COUNTS
    )
    np.testing.assert_array_equal(ours.predict_proba(X), theirs.predict_proba(X))


@pytest.mark.parametrize("scale", [1e-300, 1e-46, 1e300])
def test_weights_outside_float32_count_by_their_ratios(scale, autoencoder):
    series = pytest.importorskip("pandas").Series
    plain, scaled = (1.0 + COUNTS, series(scale * (1.0 + COUNTS)))
    predictions = [
        CodeRegressor(autoencoder, max_epochs=3, random_state=0).fit(X, VALUES, weights)._outputs(X)
        for weights in (plain, scaled)
    ]
    np.testing.assert_allclose(*predictions, rtol=1e-4, atol=1e-4)
    predictions = [
        CodeClassifier(autoencoder, class_weight=by, max_epochs=3, random_state=0)
        .fit(X, Y)
        ._outputs(X)
        for by in ({0: 1.0, 1: 3.0}, {0: scale, 1: 3 * scale})
    ]
    np.testing.assert_allclose(*predictions, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("weight", [1e300, 1e-300, 10**400])
def test_weights_with_ratios_beyond_float32_are_refused(weight, autoencoder):
    head = CodeClassifier(autoencoder, class_weight={0: weight}, max_epochs=1)
    with pytest.raises(UsageError, match="^class_weight"):
        head.fit(X, Y)
    with pytest.raises(InvalidData, match="^sample_weight"):
        CodeClassifier(autoencoder, max_epochs=1).fit(X, Y, [weight] + [1.0] * 119)
