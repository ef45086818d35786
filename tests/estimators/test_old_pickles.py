"""Old pickles get defaults for newer parameters."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
from code_heads import classifier
from sklearn.base import clone

import narrows
from narrows import CodeSegmenter, ConvolutionalAutoencoder, load

ESTIMATORS = [
    kind
    for name in narrows.__all__
    if inspect.isclass(kind := getattr(narrows, name)) and hasattr(kind, "get_params")
]


def older_pickle(estimator, name):
    """Return the estimator as unpickled from a version without this parameter."""
    old = type(estimator).__new__(type(estimator))
    state = pickle.loads(pickle.dumps(estimator.__getstate__()))
    del state[name]
    old.__setstate__(state)
    return old


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_newer_parameters_get_their_defaults(kind):
    defaults = kind().get_params(deep=False)
    assert len(ESTIMATORS) > 15 and defaults
    for name in defaults:
        old = older_pickle(kind(), name)
        np.testing.assert_equal(old.get_params(deep=False), defaults)  # NaN equals NaN
        assert repr(old) == repr(kind())
        np.testing.assert_equal(clone(old).get_params(deep=False), defaults)


def test_an_old_segmenter_without_max_classes_can_be_saved(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (20, 8, 8), dtype=np.uint8)
    ae = ConvolutionalAutoencoder(2, channels=(3,), max_epochs=1, random_state=0).fit(images)
    fitted = CodeSegmenter(ae, max_epochs=1, random_state=0).fit(images, images > 120)
    older_pickle(fitted, "max_classes").save(tmp_path / "s.safetensors")
    predicted = load(tmp_path / "s.safetensors").predict(images)
    np.testing.assert_array_equal(predicted, fitted.predict(images))


def test_an_old_head_without_max_epochs_can_be_saved(autoencoder, rows, classes, tmp_path):
    fitted = classifier(autoencoder, max_epochs=3).fit(rows, classes)
    older_pickle(fitted, "max_epochs_").save(tmp_path / "h.st")
    assert load(tmp_path / "h.st").max_epochs_ == 3
