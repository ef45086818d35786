"""Estimators of documents: texts and counts, codes by topic, and model files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from sklearn.neighbors import KNeighborsClassifier
from topics import topic_texts

from narrows import (
    Autoencoder,
    CodeClassifier,
    DocumentAutoencoder,
    LinearAutoencoder,
    SemanticHasher,
    load,
    read_documents,
)
from narrows.errors import EmptyDocumentWarning, InvalidData, UsageError
from narrows.text import Documents, as_documents

SMALL = {"hidden": (32,), "max_epochs": 15, "batch_size": 16, "learning_rate": 5e-3}
KINDS = [DocumentAutoencoder, SemanticHasher]


@pytest.fixture(scope="module")
def texts():
    return topic_texts()


@pytest.fixture(scope="module", params=KINDS, ids=lambda cls: cls.__name__)
def fitted(request, texts):
    return request.param(8, random_state=0, **SMALL).fit(texts[0])


def test_codes_cluster_texts_by_topic(fitted, texts):
    new, labels = topic_texts(60, seed=1)
    nearest = KNeighborsClassifier(3).fit(fitted.transform(texts[0]), texts[1])
    assert nearest.score(fitted.transform(new), labels) > 0.95


@pytest.mark.parametrize(
    "form",
    [tuple, np.array, lambda x: np.array(x, dtype=object), pd.Series, pl.Series, as_documents],
    ids=["tuple", "array", "objects", "pandas", "polars", "documents"],
)
def test_texts_in_any_column_give_the_same_codes(fitted, texts, form):
    np.testing.assert_array_equal(
        fitted.transform(form(texts[0][:5])), fitted.transform(texts[0][:5])
    )


def test_texts_and_their_counts_give_the_same_codes(fitted, texts):
    counts = fitted.vocabulary_.count(texts[0])
    np.testing.assert_array_equal(fitted.transform(counts), fitted.transform(texts[0]))


def test_fitting_counts_equals_fitting_texts(fitted, texts):
    again = type(fitted)(8, random_state=0, **SMALL).fit(fitted.vocabulary_.count(texts[0]))
    np.testing.assert_array_equal(again.transform(fitted.vocabulary_.count(texts[0])),
                                  fitted.transform(texts[0]))  # fmt: skip


def test_a_file_keeps_the_vocabulary_and_the_codes(fitted, texts, tmp_path):
    fitted.save(tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.vocabulary_.terms == fitted.vocabulary_.terms
    np.testing.assert_array_equal(
        again.vocabulary_.document_frequencies, fitted.vocabulary_.document_frequencies
    )
    np.testing.assert_array_equal(again.transform(texts[0]), fitted.transform(texts[0]))
    assert again.model_.fingerprint() == fitted.model_.fingerprint()


@pytest.mark.filterwarnings("ignore::narrows.errors.CopiesWarning")  # of 7 words
@pytest.mark.filterwarnings("ignore::narrows.errors.EmptyDocumentWarning")
def test_the_vocabulary_follows_its_parameters(texts):
    ae = DocumentAutoencoder(
        2, max_features=7, stop_words=["speak"], stemmer=None, random_state=0, max_epochs=1
    ).fit(texts[0])
    assert len(ae.vocabulary_) == 7 == ae.n_features_in_
    assert "often" in ae.vocabulary_.terms
    assert "speak" not in ae.vocabulary_.terms


@pytest.mark.parametrize("blank", ["", "   \n", "zzz qqq"])
def test_a_text_without_a_known_word_has_a_finite_code_and_a_warning(fitted, blank):
    with pytest.warns(
        EmptyDocumentWarning, match="1 document.* position 1: all of them get the same"
    ):
        codes = fitted.transform(["ship sail", blank])
    assert np.isfinite(codes).all()
    with pytest.warns(EmptyDocumentWarning):
        np.testing.assert_array_equal(fitted.transform([""])[0], codes[1])


def test_the_length_of_a_document_does_not_matter():
    texts, _ = topic_texts()
    ae = DocumentAutoencoder(3, random_state=0, scale="proportions", **SMALL).fit(texts)
    doubled = ae.vocabulary_.count([texts[0]]) * 3
    np.testing.assert_allclose(ae.transform(doubled), ae.transform([texts[0]]), atol=1e-5)


def test_reconstructions_keep_a_documents_number_of_words(texts):
    for scale in ("tfidf", "proportions"):
        ae = DocumentAutoencoder(3, random_state=0, scale=scale, **SMALL).fit(texts[0])
        counts = ae.vocabulary_.count(texts[0])
        rebuilt = ae.reconstruct(texts[0])
        np.testing.assert_allclose(rebuilt.sum(1), counts.sum(1), rtol=1e-4)
        decoded = ae.inverse_transform(ae.transform(texts[0]))
        np.testing.assert_allclose(decoded.sum(1), 1, rtol=1e-4)


def test_texts_for_a_numeric_estimator_are_refused_with_the_way_out():
    with pytest.raises(InvalidData, match="holds texts, which Autoencoder cannot read; use"):
        Autoencoder().fit(as_documents(["a b", "c d"]))


def test_texts_for_an_estimator_fitted_to_counts_are_refused():
    X = sp.random_array((30, 6), density=0.5, format="csr", rng=0)
    ae = DocumentAutoencoder(2, max_epochs=1, random_state=0).fit(X)
    with pytest.raises(
        UsageError, match="holds texts, but DocumentAutoencoder was fitted to counts"
    ):
        ae.transform(["a text"])
    with pytest.raises(AttributeError, match="was not fitted to texts"):
        ae.vocabulary_  # noqa: B018


def test_one_string_is_refused(fitted):
    with pytest.raises(InvalidData, match=r"got one string; pass \[text\]"):
        fitted.transform("ship sail")


def test_negative_counts_are_refused_at_transform(texts):
    ae = DocumentAutoencoder(2, max_epochs=1, random_state=0).fit(texts[0])
    X = np.zeros((2, ae.n_features_in_))
    X[1, 1] = -1
    with pytest.raises(InvalidData, match="got -1 in X, .* fitted to counts or shares"):
        ae.transform(X)


def test_a_classifier_reads_texts_through_the_code(texts):
    new, labels = topic_texts(60, seed=1)
    for training in ("frozen", "fine_tuned"):
        ae = DocumentAutoencoder(3, random_state=0, **SMALL)
        head = CodeClassifier(ae, training=training, max_epochs=30, random_state=0)
        assert head.fit(*texts).score(new, labels) > 0.95


def test_documents_are_read_again_at_every_pass(texts):
    passes = []
    held = as_documents(texts[0])

    def read():
        passes.append(1)
        return iter(held)

    ae = DocumentAutoencoder(2, max_epochs=2, random_state=0).fit(Documents(read))
    assert len(passes) == 1  # one to learn the words and count them
    ae.transform(Documents(read))
    assert len(passes) == 2


def test_a_folder_of_texts_trains_and_encodes(texts, tmp_path):
    for i, (text, label) in enumerate(zip(*texts, strict=True)):
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{i}.txt").write_text(text)
    documents = read_documents(tmp_path)
    ae = DocumentAutoencoder(2, max_epochs=1, random_state=0).fit(documents)
    assert ae.transform(documents).shape == (120, 2)


def test_partial_fit_keeps_the_words_of_the_first_call(texts):
    ae = DocumentAutoencoder(2, random_state=0, hidden=(8,))
    ae.partial_fit(texts[0][:60])
    words = ae.vocabulary_.terms
    ae.partial_fit(["ship unheard words", *texts[0][60:]])
    assert ae.vocabulary_.terms == words
    assert ae.n_epochs_ == 2


def test_a_linear_net_accepts_the_same_scale(texts):
    ae = DocumentAutoencoder(2, max_epochs=1, random_state=0).fit(texts[0])
    counts = ae.vocabulary_.count(texts[0])
    linear = LinearAutoencoder(2, scale="tfidf", max_epochs=1, random_state=0).fit(counts)
    assert linear.transform(counts).shape == (120, 2)


@pytest.mark.parametrize(
    ("pretrain", "activation"),
    [("denoising", "silu"), ("rbm", "sigmoid"), ("denoising", "sigmoid")],
)
def test_pretrained_layers_start_better_than_chance(texts, pretrain, activation):
    arguments = {"hidden": (32,), "max_epochs": 1, "batch_size": 16, "random_state": 0,
                 "activation": activation, "learning_rate": 1e-6, "linear_start": False,
                 "code_activation": "sigmoid" if pretrain == "rbm" else "linear"}  # fmt: skip
    chance, ready = (
        DocumentAutoencoder(4, pretrain=p, pretrain_epochs=20, **arguments).fit(texts[0])
        for p in (None, pretrain)
    )
    assert ready.score(texts[0]) > chance.score(texts[0]) + 0.1


def test_an_unknown_pretraining_is_refused(texts):
    with pytest.raises(UsageError, match="pretrain: unknown name 'rmb'.*Did you mean 'rbm'"):
        DocumentAutoencoder(2, pretrain="rmb").fit(texts[0])
