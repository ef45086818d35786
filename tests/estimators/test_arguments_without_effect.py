"""Arguments that have no effect are refused; equivalent forms of arguments are accepted."""

from __future__ import annotations

import numpy as np
import pytest

from narrows import (
    AnomalyDetector,
    Autoencoder,
    CodeClassifier,
    CodeMatcher,
    CodeRegressor,
    DocumentAutoencoder,
)
from narrows.errors import HeldOutClassWarning, InvalidData, UsageError
from narrows.text import Analyzer

DOCS = ["the cat sat down", "a dog ran far", "the dog sat here", "a cat ran there"] * 2
X = np.random.default_rng(0).normal(size=(60, 4))
Y = np.arange(60) % 3


def documents(**settings: object) -> DocumentAutoencoder:
    return DocumentAutoencoder(1, max_epochs=1, min_df=1, max_df=1.0, random_state=0, **settings)  # pyright: ignore[reportArgumentType] -- settings of any kind


@pytest.fixture(scope="module")
def autoencoder() -> Autoencoder:
    return Autoencoder(2, hidden=(), max_epochs=1, random_state=0).fit(X)


def test_a_class_only_in_validation_data_is_refused(autoencoder):
    head = CodeClassifier(autoencoder, max_epochs=1)
    with pytest.raises(InvalidData, match=r"^validation_data: .*\[7\]"):
        head.fit(X, Y, validation_data=(X[:5], np.full(5, 7)))
    assert head.fit(X, Y, validation_data=(X[:5], Y[:5])).classes_.tolist() == [0, 1, 2]


def test_a_class_that_is_wholly_held_out_causes_a_warning(autoencoder):
    head = CodeClassifier(autoencoder, max_epochs=1, validation_fraction=0.3)
    with pytest.warns(HeldOutClassWarning, match=r"class \[\d\]"):
        head.fit(X, Y, groups=Y)


def test_an_analyzer_accepts_ranges_as_arrays_and_lists():
    for given in (np.array([1, 2]), [1, 2]):
        assert Analyzer(ngram_range=given)("cat dog") == ["cat", "dog", "cat dog"]  # pyright: ignore[reportArgumentType] -- an array
    with pytest.raises(UsageError, match="^ngram_range"):
        Analyzer(ngram_range=np.eye(2))  # pyright: ignore[reportArgumentType] -- refused
    for name in ("analyzer", "stemmer"):
        with pytest.raises(UsageError, match=f"^{name}"):
            Analyzer(**{name: np.array(["word", "char"])})  # pyright: ignore[reportArgumentType] -- refused


def test_document_nets_accept_a_range_as_an_array_and_stop_words_as_a_set(tmp_path):
    fitted = documents(ngram_range=np.array([1, 2]), stop_words={"the", "cat"}).fit(DOCS)
    assert "dog" in fitted.vocabulary_.terms and "cat" not in fitted.vocabulary_.terms
    fitted.save(tmp_path / "m.safetensors")
    assert fitted._training_state_.arguments["stop_words"] == ["cat", "the"]


def test_a_y_of_texts_is_refused_and_labels_are_not():
    with pytest.raises(UsageError, match="^y: holds texts"):
        documents().fit(DOCS[:4], DOCS[:4])
    documents().fit(DOCS, ["a cat", "a dog"] * 4)


def test_a_stemmer_has_no_effect_on_characters():
    with pytest.raises(UsageError, match="^stemmer: 'english' has no effect"):
        Analyzer(analyzer="char", stemmer="english")
    Analyzer(analyzer="char", stemmer="porter")  # a default of estimators


@pytest.mark.parametrize("n_groups, n_folds, least", [(2, 5, 3), (2, 2, 4), (3, 2, 4)])
def test_a_detector_with_too_few_groups_names_the_number_needed(n_groups, n_folds, least):
    net = Autoencoder(2, hidden=(), max_epochs=1, validation_fraction=0.1)
    detector = AnomalyDetector(net, n_folds=n_folds)
    with pytest.raises(InvalidData, match=f"^groups: there are {n_groups} groups, but {least} are"):
        detector.fit(X, groups=np.arange(60) % n_groups)


@pytest.mark.parametrize(
    "given",
    [
        {"validation_fraction": 0.2},
        {"patience": 3},
        {"dropout": 0.5},
        {"learning_rate": 0.1},
        {"weight_decay": 0.1},
        {"corruption": "masking:0.5"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_a_frozen_matcher_refuses_arguments_of_training(given, autoencoder):
    (name,) = given
    with pytest.raises(UsageError, match=f"^{name}: has no effect with training='frozen'"):
        CodeMatcher(autoencoder, **given).fit(X, Y)
    fitted = CodeMatcher(autoencoder, training="fine_tuned", max_epochs=1, **given)
    fitted._check_parameters()


@pytest.mark.parametrize("head", [CodeClassifier, CodeRegressor])
def test_a_frozen_code_is_not_corrupted(head, autoencoder):
    with pytest.raises(UsageError, match="^corruption: has no effect with training='frozen'"):
        head(autoencoder, corruption="masking:0.5").fit(X, Y)
    for none in (None, "none", "identity"):
        head(autoencoder, corruption=none, max_epochs=1).fit(X, Y)
