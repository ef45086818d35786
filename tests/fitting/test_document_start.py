"""Document nets and hashers start at LSA, and are trained from there."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfTransformer

from narrows import Autoencoder, DocumentAutoencoder, SemanticHasher
from narrows.applications.retrieval.baselines import lsa_codes
from narrows.applications.retrieval.halves import find_halves, split_words
from narrows.applications.retrieval.metrics import measure_retrieval
from narrows.cli.demo import _docstrings
from narrows.core.sparse import SparseRows
from narrows.encoders import DenseEncoder
from narrows.encoders.dense import rows_of_length
from narrows.encoders.rotation import UnitRotation, rotation_to_signs
from narrows.estimators.autoencoders.fit import fit_autoencoder
from narrows.model.measured import sorted_errors
from narrows.objectives import neighbors

WIDTH = 6
BOTH = pytest.mark.parametrize("cls", [DocumentAutoencoder, SemanticHasher])


@pytest.fixture(scope="module")
def documents():
    """Documents to fit, then others."""
    found = _docstrings()
    order = np.random.default_rng(0).permutation(len(found))
    return [[found[i] for i in part] for part in (order[:240], order[240:500])]


@pytest.fixture(scope="module")
def texts(documents):
    return [[document.text for document in part] for part in documents]


@pytest.fixture(scope="module")
def counts(rng_of_module):
    return sp.csr_array(rng_of_module.poisson(0.3, size=(60, 40)).astype(np.float32))


@pytest.fixture(scope="module")
def rng_of_module():
    return np.random.default_rng(0)


def start(cls, x, **arguments):
    """Return the estimator fitted at a rate at which no weight moves: its start."""
    settings = {"learning_rate": 1e-30, "max_epochs": 1, "validation_fraction": 0.0}
    return cls(WIDTH, random_state=0, **settings, **arguments).fit(x)


def lsa(x):
    rows = TfidfTransformer().fit_transform(sp.csr_array(x).log1p())
    return TruncatedSVD(WIDTH, n_iter=30, random_state=0).fit_transform(rows)


def cosines(codes):
    unit = codes / np.linalg.norm(codes, axis=1, keepdims=True)
    return unit @ unit.T


@pytest.mark.parametrize("hidden", [(), (16,), "auto"])
@pytest.mark.parametrize("form", [sp.csr_array, lambda x: x.toarray()], ids=["csr", "dense"])
def test_a_document_net_starts_at_lsa(counts, hidden, form):
    net = start(DocumentAutoencoder, form(counts), hidden=hidden)
    np.testing.assert_allclose(cosines(net.transform(counts)), cosines(lsa(counts)), atol=0.02)


def test_the_decoder_starts_at_the_mean_row(counts):
    net = start(DocumentAutoencoder, counts)
    mean = net.model_.scaling.forward(torch.from_numpy(counts.toarray())).mean(dim=0)
    found = net.model_.objective.decode(torch.randn(1, WIDTH))[0]
    torch.testing.assert_close(found, mean / mean.sum(), atol=1e-5, rtol=1e-3)


def test_bits_start_at_signs_of_the_direction_of_lsa(counts):
    net = start(SemanticHasher, counts).model_.objective
    rows = TfidfTransformer().fit_transform(counts.log1p()).toarray()
    code = net.encode(torch.from_numpy(rows).float())
    assert float(code.preactivation.detach().std()) == pytest.approx(2.0, rel=0.05)
    shares = (code.h > 0).double().mean(dim=0)
    assert 0.2 < float(shares.min()) and float(shares.max()) < 0.8
    longer = torch.from_numpy(rows * 7).float()  # only directions count
    assert torch.equal(net.encode(longer).h, code.h)


def test_a_rotation_brings_codes_nearer_to_their_signs(rng):
    z = torch.from_numpy(rng.normal(size=(300, 5)) * [5, 3, 2, 1, 1]).float()
    rotation = rotation_to_signs(z)
    torch.testing.assert_close(rotation @ rotation.t(), torch.eye(5), atol=1e-5, rtol=0)

    def left(turned):
        return float((turned - turned.sign() * turned.abs().mean()).square().sum())

    assert left(z @ rotation) < 0.7 * left(z)


def test_a_turn_ignores_the_length_of_a_code(rng):
    turn, z = UnitRotation(3), torch.from_numpy(rng.normal(size=(20, 3))).float()
    turn.start_at(z, deviation=2.0)
    torch.testing.assert_close(turn(5 * z), turn(z))
    torch.testing.assert_close(turn(z).mean(dim=0), torch.zeros(3), atol=1e-5, rtol=0)
    assert bool(torch.isfinite(turn(torch.zeros(1, 3))).all())


def test_the_path_reads_rows_of_length_1_and_layers_longer_ones(rng):
    generator = torch.Generator().manual_seed(0)
    encoder = DenseEncoder(
        [5, 4, 3], activation="tanh", row_length=100.0, linear_path=True, generator=generator
    )
    for parameter in encoder.path.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    x = torch.from_numpy(rng.random((6, 5))).float()
    hidden = torch.tanh(rows_of_length(x, 100.0) @ encoder.weights[0] + encoder.biases[0])
    z, path = hidden @ encoder.weights[1] + encoder.biases[1], encoder.path
    expected = path.gate * z + rows_of_length(x, 1.0) @ path.matrix + path.bias
    torch.testing.assert_close(encoder(x).h, expected)


def test_training_finds_more_halves_of_new_documents_than_lsa(texts):
    ae = DocumentAutoencoder(10, random_state=0).fit(texts[0])
    count = ae.vocabulary_.count
    *halves, _ = split_words(count(texts[1]), np.random.default_rng(0))
    found = find_halves(*(ae.transform(half) for half in halves))
    _, *codes = lsa_codes(count(texts[0]), *halves, n_components=10)
    assert found.reciprocal_rank > find_halves(*codes).reciprocal_rank + 0.02


def test_trained_bits_find_more_documents_of_the_same_module_than_signs_of_lsa(documents):
    train, new = documents
    hasher = SemanticHasher(32, random_state=0).fit([d.text for d in train])
    labels = [np.array([d.labels[0] for d in part]) for part in (new, train)]

    def precision(codes):
        found = measure_retrieval(*codes, *labels, cutoffs=(7,), ties="random")
        return found.precision[0]

    counts = [hasher.vocabulary_.count([d.text for d in part]) for part in (new, train)]
    base, of_new = lsa_codes(counts[1], counts[0], n_components=32)
    signs = [np.packbits(code > np.median(base, axis=0), axis=1) for code in (of_new, base)]
    assert precision([hasher.hash(part) for part in counts]) > precision(signs) + 0.03


@BOTH
@pytest.mark.parametrize("n", [2, 5, 10, 30])
def test_few_documents_can_be_fitted(cls, n, texts):
    net = cls(16, random_state=0, max_epochs=3).fit(texts[0][:n])
    codes = net.transform(texts[0][:50])
    assert codes.shape == (50, 16) and np.isfinite(codes).all()
    assert len(np.unique(codes[:n], axis=0)) > 0.7 * n


@BOTH
@pytest.mark.filterwarnings("ignore::narrows.errors.EmptyDocumentWarning")
def test_documents_of_one_word_or_none_can_be_fitted(cls):
    documents = ["apple", "pear", "apple", "", "plum", "the", "pear", "apple"] * 3
    net = cls(4, random_state=0, max_epochs=3).fit(documents)
    codes = net.transform([*documents, "unheard"])
    assert np.isfinite(codes).all()
    np.testing.assert_array_equal(codes[0], codes[2])


def test_documents_without_any_two_words_in_common_have_codes():
    x = np.eye(6, dtype=np.float32)
    assert np.isfinite(DocumentAutoencoder(3, random_state=0).fit(x).transform(x)).all()


@BOTH
def test_sparse_counts_are_never_densified(cls, counts, monkeypatch):
    def refuse(*_):
        raise AssertionError("densified")

    monkeypatch.setattr(SparseRows, "to_dense", refuse)
    cls(WIDTH, random_state=0, max_epochs=2).fit(counts).transform(counts)


def test_without_a_linear_start_layers_begin_at_random():
    x = np.random.default_rng(0).poisson(0.3, size=(30, 20))
    settings = {"max_epochs": 1, "validation_fraction": 0.0, "random_state": 0}
    for more in ({"linear_start": False}, {"pretrain": "denoising", "pretrain_epochs": 1}):
        model = DocumentAutoencoder(2, **settings, **more).fit(x).model_
        assert model.parameters["hidden"] == [500, 250, 125]
        assert "linear_path" not in model.parameters
        assert model.record["learning_rate"] == 2e-3


def test_rows_that_are_not_counts_keep_their_hidden_layer():
    x = np.random.default_rng(0).normal(size=(30, 8))
    hasher = SemanticHasher(4, max_epochs=1, validation_fraction=0.0, random_state=0).fit(x)
    assert hasher.model_.parameters["hidden"] == [500]
    assert hasher.model_.objective.encoder.turn is None  # not about directions
    assert hasher.model_.record["learning_rate"] == 2e-3


@pytest.mark.parametrize("n", [60, 240])
def test_errors_that_calibrate_are_those_of_rows_not_of_neighborhoods(n, texts):
    ae = DocumentAutoencoder(4, random_state=0, max_epochs=4)
    fitted = fit_autoencoder(ae, texts[0][:n])
    assert len(fitted.trials) == (5 if n < 200 else 1)
    errors = [sorted_errors(model, rows.held_out) for model, rows in fitted.trials]
    assert ae.model_.record["n_neighbors"] == 10
    torch.testing.assert_close(ae.model_.calibration, torch.cat(errors).sort().values)


def test_means_of_neighborhoods_are_the_same_if_computed_in_every_batch(counts, monkeypatch):
    def codes():
        return DocumentAutoencoder(3, random_state=0, max_epochs=2).fit(counts).transform(counts)

    kept = codes()
    monkeypatch.setattr(neighbors, "_KEPT_VALUES", 0)
    np.testing.assert_array_equal(codes(), kept)


def test_other_nets_on_counts_still_start_at_the_best_decoder(counts):
    net = start(Autoencoder, counts, loss="multinomial", scale="proportions")
    assert float(net.model_.objective.decoder.path.matrix.detach().abs().max()) > 0
