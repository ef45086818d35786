"""The values of held-out rows do not affect what fit learns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from topics import topic_texts

from narrows import (
    Autoencoder,
    DocumentAutoencoder,
    LinearAutoencoder,
    SemanticHasher,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from narrows.core.sparse import dense_rows
from narrows.data.array_sources import array_source
from narrows.data.scaling import Scaling
from narrows.data.splitting import Selection, Split, held_out_mask
from narrows.data.statistics import describe
from narrows.errors import InvalidData
from narrows.estimators.parameters import seed_from
from narrows.objectives.neighbors import OWN, neighborhoods

N = 60
SMALL = {"hidden": (6,), "max_epochs": 1, "random_state": 0}
# one epoch, because held-out rows select the best epoch


def held_out(n_rows: int, fraction: float = 0.2) -> np.ndarray:
    generator = torch.Generator().manual_seed(seed_from(0))
    return held_out_mask(n_rows, fraction, generator=generator).numpy()


def selection(apart: np.ndarray) -> Selection:
    mask = torch.from_numpy(apart)
    return Selection(~mask, mask)


def learned(estimator) -> dict[str, np.ndarray]:
    """The content of the model file of a fitted estimator, without the held-out errors."""
    found = estimator.model_.to_artefact(estimator._artefact_extra())
    tensors = {k: v.numpy() for k, v in found.tensors.items() if not k.startswith("calibration.")}
    vocabulary = estimator.model_.vocabulary
    if vocabulary is not None:
        tensors["terms"] = np.array(vocabulary.terms)
    for name in ("explained_variance_", "pca_angles_"):
        if hasattr(estimator, name):
            tensors[name] = getattr(estimator, name)
    return tensors


def same(first, second) -> bool:
    one, other = learned(first), learned(second)
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def table() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N, 9)).astype(np.float32) * np.arange(1, 10)


def counts() -> np.ndarray:
    return np.random.default_rng(0).poisson(1.0, (N, 30)).astype(np.float32)


def nets() -> Iterator[tuple[str, object, np.ndarray]]:
    split = {**SMALL, "validation_fraction": 0.2}
    linear = {k: v for k, v in split.items() if k != "hidden"}
    for scale in ("standard", "center", "unit"):
        yield scale, Autoencoder(3, scale=scale, **split), table()
    yield "auto", Autoencoder(3, **split), table()
    yield "linear", LinearAutoencoder(3, **linear), table()
    yield "variational", VariationalAutoencoder(3, **split), table()
    for pretrain in ("denoising", "rbm"):
        net = StackedAutoencoder(3, pretrain=pretrain, pretrain_epochs=2, **split)
        yield f"stacked {pretrain}", net, table()
    tfidf = {"scale": "tfidf", "loss": "multinomial"}
    yield "idf", Autoencoder(3, **tfidf, **split), sp.csr_array(counts())
    yield "idf, dense", Autoencoder(3, **tfidf, **split), counts()
    rows = {"n_neighbors": 4, "neighbors_by": "rows"}
    yield "rows are near", SemanticHasher(4, **rows, **split), sp.csr_array(counts())
    codes = {"n_neighbors": 4, "neighbors_by": "code"}
    yield "codes are near", SemanticHasher(4, **codes, **split), sp.csr_array(counts())
    yield "medians", SemanticHasher(4, threshold="median", **split), sp.csr_array(counts())
    net = DocumentAutoencoder(3, n_neighbors=0, pretrain="denoising", pretrain_epochs=2, **split)
    yield "documents", net, sp.csr_array(counts())


NETS = {name: (net, rows) for name, net, rows in nets()}


@pytest.mark.parametrize("name", NETS)
def test_held_out_rows_do_not_affect_the_fit(name):
    net, rows = NETS[name]
    apart = held_out(N)
    dense = rows.toarray() if sp.issparse(rows) else rows
    other = dense.copy()
    other[apart] = 7 * dense[apart] + 3  # integers stay integers, and every held-out row changes
    form = sp.csr_array if sp.issparse(rows) else np.asarray
    first = type(net)(**net.get_params()).fit(form(dense))
    second = type(net)(**net.get_params()).fit(form(other))
    assert same(first, second)
    assert first.model_.record["n_validation_rows"] == apart.sum()
    assert first.validation_history_ != second.validation_history_  # but they are measured
    kept = np.flatnonzero(~apart)
    other = dense.copy()
    other[kept[0]] = 7 * dense[kept[0]] + 3
    assert not same(first, type(net)(**net.get_params()).fit(form(other)))


@pytest.mark.parametrize("net", [DocumentAutoencoder, SemanticHasher])
def test_the_vocabulary_is_learned_from_training_documents(net):
    texts, _ = topic_texts(n=40)
    apart = held_out(len(texts))
    arguments = {**SMALL, "validation_fraction": 0.2, "max_features": 30}
    first = net(3, **arguments).fit(texts)
    others = [
        f"zebra {text} zebra" if out else text for text, out in zip(texts, apart, strict=True)
    ]
    second = net(3, **arguments).fit(others)
    assert "zebra" not in second.vocabulary_.terms and same(first, second)
    assert first.vocabulary_.n_documents == (~apart).sum()
    few = net(3, **{**arguments, "validation_fraction": 0.0}).fit(others)
    assert "zebra" in few.vocabulary_.terms


def test_words_only_in_held_out_documents_are_not_in_the_vocabulary():
    texts, _ = topic_texts(n=40)
    texts[int(held_out(len(texts)).argmax())] += " aardvark"
    arguments = {**SMALL, "validation_fraction": 0.2, "min_df": 0.0, "stemmer": None}
    terms = DocumentAutoencoder(3, **arguments).fit(texts).vocabulary_.terms
    assert "aardvark" not in terms


def test_neighborhoods_hold_training_rows_only():
    rows = counts() + np.random.default_rng(1).random((N, 30)).astype(np.float32)
    apart = held_out(N)
    split = Split.of(array_source(rows), selection(apart))
    around = neighborhoods(split, Scaling("none"), 3)
    ordered = np.concatenate([rows[~apart], rows[apart]])
    unit = ordered / np.linalg.norm(ordered, axis=1, keepdims=True)
    n = int((~apart).sum())
    cosines = unit @ unit[:n].T
    cosines[np.arange(n), np.arange(n)] = -2
    nearest = np.argsort(-cosines, axis=1)[:, :3]
    expected = OWN * ordered + (1 - OWN) * ordered[nearest].mean(axis=1)
    got = dense_rows(around(torch.arange(N))).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_nan_is_named_by_its_row_in_training_and_held_out_rows():
    for row in (int(held_out(N).argmax()), int(held_out(N).argmin())):
        rows = table()
        rows[row, 4] = np.nan
        with pytest.raises(InvalidData, match=f"NaN at row {row}, column 4"):
            Autoencoder(3, validation_fraction=0.2, **SMALL).fit(rows)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_statistics_cover_training_rows_and_the_range_covers_all_rows(form):
    rows, apart = counts(), held_out(N)
    rows[np.flatnonzero(apart)[2], 5] = 99
    got = describe(array_source(form(rows)), held_out=torch.from_numpy(apart))
    wanted = describe(array_source(form(rows[~apart])))
    for name in ("mean", "variance", "support"):
        torch.testing.assert_close(getattr(got, name), getattr(wanted, name))
    assert (got.low, got.high, got.n_rows) == (wanted.low, wanted.high, wanted.n_rows)
    assert (got.lowest, got.highest) == (0.0, 99.0)


def test_range_checks_of_the_loss_cover_all_rows():
    """The largest row may be held out; fit must not fail."""
    rows = np.abs(table())
    rows[int(held_out(N).argmax()), 2] = 1e4
    net = Autoencoder(3, loss="bernoulli", validation_fraction=0.2, **SMALL).fit(rows)
    assert float(net.model_.scaling.scale) == pytest.approx(1e4, rel=1e-3)
    shares = counts()
    shares[int(held_out(N).argmax()), 2] = -1
    with pytest.raises(InvalidData, match="Negative values in data"):
        Autoencoder(3, scale="tfidf", validation_fraction=0.2, **SMALL).fit(shares)


@pytest.mark.parametrize("n_rows", [1, 4, 9, 10, 1000])
@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 0.999])
def test_the_given_fraction_is_held_out(n_rows, fraction):
    mask = held_out(n_rows, fraction)
    wanted = int(n_rows * fraction)
    assert mask.sum() == (wanted if 1 <= wanted < n_rows else 0)


def test_held_out_rows_come_from_all_over_a_large_table(monkeypatch):
    monkeypatch.setattr("narrows.data.splitting._STRATUM", 64)
    mask = held_out(1000, 0.1)
    assert mask.sum() == 100
    assert all(4 <= part.sum() <= 9 for part in np.split(mask[:960], 15))
