"""y of a part of a source, in another order; and fit does not modify its inputs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from source_rows import split

from narrows import (
    AnomalyDetector,
    Autoencoder,
    CodeClassifier,
    CodeImputer,
    CodeMatcher,
    CodeSegmenter,
    ConvolutionalAutoencoder,
    SemanticHasher,
    load,
)
from narrows.core.slots import Labeled
from narrows.data import DenseSource
from narrows.data.array_sources import array_source
from narrows.errors import InvalidData

X, Y = load_digits(return_X_y=True)
X, Y = X[:240].astype(np.float32), Y[:240]
BACK = torch.arange(239, -1, -1)


@pytest.fixture(scope="module")
def ae() -> Autoencoder:
    return Autoencoder(12, hidden=(32,), max_epochs=10, random_state=0).fit(X)


def backwards() -> DenseSource:
    return array_source(X).subset(BACK)


def test_a_part_of_a_source_keeps_its_y(generator=None):
    source = array_source(X).labeled(torch.arange(240))
    part = source.subset(torch.tensor([7, 3, 200]))
    assert part.targets.tolist() == [7, 3, 200]
    assert part.subset(torch.tensor([2, 0])).targets.tolist() == [200, 7]
    for piece in split(part, 0.4, generator=torch.Generator().manual_seed(0)):
        for row, y in zip(next(piece.in_order(9)), piece.targets_in_order(), strict=True):
            assert torch.equal(row, torch.from_numpy(X[y]))


def test_shuffled_batches_of_a_part_pair_each_row_with_its_y():
    part = array_source(X).subset(BACK).labeled(torch.from_numpy(Y[::-1].copy()))
    of_row = {tuple(row): y for row, y in zip(X.tolist(), Y, strict=True)}
    for batch in part.shuffled(32, generator=torch.Generator().manual_seed(0)):
        assert isinstance(batch, Labeled)
        for row, y in zip(batch.rows.tolist(), batch.y.tolist(), strict=True):
            assert of_row[tuple(row)] == y


@pytest.mark.parametrize(
    "settings",
    [
        {"training": "frozen"},
        {"training": "fine_tuned"},
        {"training": "joint"},
        {"missing_label": -1, "n_neighbors": 8},
    ],
)
def test_a_classifier_learns_the_same_from_a_part_as_from_an_array(ae, settings):
    y = Y.copy()
    if "missing_label" in settings:
        y = (y == 0).astype(int)  # so few errors that the labels are propagated
        y[60:] = -1
    head = CodeClassifier(ae, max_epochs=5, random_state=0, **settings)
    of_part = head.fit(backwards(), y[::-1].copy()).predict_proba(X)
    of_array = head.fit(X[::-1].copy(), y[::-1].copy()).predict_proba(X)
    np.testing.assert_allclose(of_part, of_array, atol=1e-6)


def test_a_matcher_and_a_segmenter_learn_the_same_from_a_part(ae):
    matcher = CodeMatcher(ae, training="fine_tuned", max_epochs=2, random_state=0)
    of_part = matcher.fit(backwards(), Y[::-1].copy()).transform(X)
    of_array = matcher.fit(X[::-1].copy(), Y[::-1].copy()).transform(X)
    np.testing.assert_allclose(of_part, of_array, atol=1e-5)
    images, masks = X.reshape(-1, 8, 8), (X > 7).astype(int)
    conv = ConvolutionalAutoencoder(4, channels=(4, 8), max_epochs=1, random_state=0).fit(images)
    segmenter = CodeSegmenter(conv, max_epochs=2, random_state=0)
    of_part = segmenter.fit(backwards(), masks[::-1].copy()).predict_proba(X)
    of_array = segmenter.fit(X[::-1].copy(), masks[::-1].copy()).predict_proba(X)
    np.testing.assert_allclose(of_part, of_array, atol=1e-5)


def test_neighborhoods_of_a_part_contain_only_its_rows():
    hasher = SemanticHasher(8, hidden=(16,), max_epochs=3, n_neighbors=5, random_state=0)
    of_part = hasher.fit(backwards()).history_
    of_array = hasher.fit(X[::-1].copy()).history_
    assert of_part == pytest.approx(of_array, rel=1e-5)


def test_a_detector_accepts_a_net_trained_on_neighborhoods():
    net = SemanticHasher(8, hidden=(16,), max_epochs=2, n_neighbors=5)
    found = AnomalyDetector(net, n_folds=2, random_state=0).fit(X)
    assert np.isfinite(found.score_samples(X)).all()


def test_fit_leaves_the_given_source_without_y(ae):
    source = array_source(X)
    CodeClassifier(ae, training="fine_tuned", max_epochs=1, random_state=0).fit(source, Y)
    SemanticHasher(8, hidden=(8,), max_epochs=1, n_neighbors=3, random_state=0).fit(source)
    assert source.targets is None


@pytest.mark.parametrize("kind", ["classifier", "segmenter"])
def test_a_parameter_set_after_fit_does_not_change_what_is_saved(ae, tmp_path, kind):
    if kind == "classifier":
        head = CodeClassifier(ae, hidden=(16,), max_epochs=5, random_state=0).fit(X, Y)
    else:
        images = X.reshape(-1, 8, 8)
        net = ConvolutionalAutoencoder(4, channels=(4, 8), max_epochs=1, random_state=0)
        head = CodeSegmenter(net, max_epochs=2, random_state=0).fit(images, images > 7)
    predicted = head.predict_proba(X)
    head.set_params(activation="tanh")
    head.save(tmp_path / "head.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "head.safetensors").predict_proba(X), predicted)


def test_images_of_another_shape_and_the_same_size_are_refused():
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 12, 3), dtype=np.uint8)
    net = ConvolutionalAutoencoder(4, channels=(4, 8), max_epochs=1, random_state=0).fit(images)
    assert net.transform(images.reshape(40, -1)).shape == (40, 4)
    for turned in (images.transpose(0, 3, 1, 2), images.reshape(40, 12, 8, 3)):
        with pytest.raises(InvalidData, match=r"images of shape .* was fitted to 8 x 12 x 3"):
            net.transform(turned)
    segmenter = CodeSegmenter(net, max_epochs=1, random_state=0)
    segmenter.fit(images, images[..., 0] > 128)
    with pytest.raises(InvalidData, match="images of shape"):
        segmenter.predict(images.transpose(0, 3, 1, 2))
    with pytest.raises(InvalidData, match=r"expected masks of shape \(40, 96\), or \(40, 8, 12\)"):
        segmenter.fit(images, np.zeros((40, 12, 8), dtype=int))


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300, float(2**63)])
def test_masks_with_invalid_classes_are_refused(value):
    images = X.reshape(-1, 8, 8)
    masks = (images > 7).astype(float)
    masks[3, 2, 1] = value
    net = ConvolutionalAutoencoder(4, channels=(4, 8), max_epochs=1, random_state=0)
    with pytest.raises(InvalidData, match="masks must be integers below"):
        CodeSegmenter(net, max_epochs=1).fit(images, masks)


def test_an_imputer_refuses_columns_in_another_order():
    pandas = pytest.importorskip("pandas")
    table = np.random.default_rng(0).normal(size=(80, 4))
    table[::5, 1] = np.nan
    frame = pandas.DataFrame(table, columns=list("abcd"))
    net = Autoencoder(3, max_epochs=2, random_state=0).fit(frame.fillna(0))
    filled = CodeImputer(net, random_state=0).fit(frame).transform(frame)  # and warns of nothing
    assert np.isfinite(filled).all()
    with pytest.raises(InvalidData, match="column 0 is 'd', the model was fitted with 'a' there"):
        CodeImputer(net, random_state=0).fit(frame[list("dcba")])


@pytest.mark.parametrize("alpha", [0.05, 0.29, 0.57, 0.58])
def test_a_detector_predicts_an_anomaly_if_p_is_at_most_alpha(alpha):
    rows = np.random.default_rng(0).normal(size=(99, 3))
    found = AnomalyDetector(alpha=alpha, n_folds=2, random_state=0).fit(rows)
    new = np.random.default_rng(1).normal(size=(2000, 3)) * 1.5
    assert ((found.predict(new) == -1) == (found.p_values(new) <= alpha)).all()
