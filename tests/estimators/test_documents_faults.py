"""Regressions of document nets, binary codes and indexes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from topics import topic_texts
from torch import Generator

from narrows import SemanticHasher
from narrows.cli import run as cli
from narrows.core.sparse import dense_rows
from narrows.data.array_sources import array_source, sparse_rows
from narrows.data.scaling import Scaling
from narrows.data.splitting import Split
from narrows.indexing.index import Index
from narrows.model import coding
from narrows.neighbors.nearest import nearest_rows
from narrows.objectives.neighbors import NeighborObjective, neighborhoods
from narrows.objectives.sampled_softmax import SampledSoftmax
from narrows.text import Vocabulary
from narrows.variants.building import build_objective

SMALL = {"hidden": (16,), "max_epochs": 2, "batch_size": 16, "random_state": 0}


def test_an_index_keeps_the_bits_that_hash_packs():
    texts = topic_texts()[0]
    hasher = SemanticHasher(16, **SMALL).fit(texts)
    index = hasher.make_index(texts)
    np.testing.assert_array_equal(
        np.stack([index.code(name) for name in index.names]), hasher.hash(texts)
    )


def test_median_thresholds_cover_all_rows(monkeypatch, rng):
    monkeypatch.setattr(coding, "BATCH", 32)
    rows = rng.normal(size=(100, 6)).astype(np.float32)
    rows[96:] += 5  # the last block is another
    hasher = SemanticHasher(8, threshold="median", validation_fraction=0, **SMALL).fit(rows)
    on = (hasher.transform(rows) > 0).mean(axis=0)
    np.testing.assert_allclose(on, 0.5, atol=0.011)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_no_row_of_a_second_block_is_its_own_neighbor(form, rng):
    rows = rng.random((700, 5)).astype(np.float32)
    found = nearest_rows(form(rows), 3)
    assert (found != np.arange(700)[:, None]).all()


def test_neighborhood_errors_compare_with_the_mean_target(rng):
    rows = rng.random((20, 6)).astype(np.float32)
    source = array_source(rows)
    net = build_objective("hashing", {"n_components": 3}, 6)
    targets = neighborhoods(Split(source, None), Scaling("none"), 3)
    numbers = torch.arange(20)
    found = NeighborObjective(net, targets).error(torch.from_numpy(rows), numbers)
    output = net.decoder(net.encoder(torch.from_numpy(rows)).h)
    wanted = net.loss.per_sample(output.float(), dense_rows(targets(numbers)))
    torch.testing.assert_close(found, wanted)


def word_net(corruption: object = "identity"):
    parameters = {"n_components": 3, "hidden": [6], "loss": "multinomial", "corruption": corruption}
    objective = build_objective("document", parameters, 50, seed=1)
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.normal_(std=0.3, generator=Generator().manual_seed(0))
        objective.encoder.weights[0].mul_(0.02)
    return objective


def word_rows():
    counts = sp.random_array((8, 50), density=0.1, format="csr", rng=0, dtype=np.float32)
    return sparse_rows(counts)


def test_the_sampled_loss_weights_only_the_sampled_words():
    net, x = word_net(), word_rows()
    sampled = SampledSoftmax(net, 4)
    loss = sampled(x, generator=Generator().manual_seed(5)).loss
    words, extra, log_weight = sampled._sample(x, Generator().manual_seed(5))
    assert log_weight > 1
    output = net.decoder(net.encoder(x).h)
    z = output[:, words.long()].exp().sum(1)
    z = z + np.exp(log_weight) * output[:, extra.long()].exp().sum(1)
    dense = dense_rows(x)
    wanted = (dense.sum(1) * z.log() - (dense * output).sum(1)).mean()
    torch.testing.assert_close(loss, wanted)


def test_the_sampled_softmax_drops_words_from_the_input_only():
    net, x = word_net({"name": "masking", "rate": 0.7}), word_rows()
    whole = net(x, generator=Generator().manual_seed(2))
    sampled = SampledSoftmax(net, 1000)(x, generator=Generator().manual_seed(2))
    torch.testing.assert_close(sampled.total, whole.total)


def test_the_fingerprint_covers_the_vocabulary():
    hasher = SemanticHasher(8, **SMALL).fit(topic_texts()[0])
    before, model = hasher.model_.fingerprint(), hasher.model_
    words = model.vocabulary
    model.vocabulary = Vocabulary(
        words.terms[::-1], words.document_frequencies[::-1], words.n_documents, words.analyzer
    )
    assert model.fingerprint() != before
    unstemmed = replace(words.analyzer, stemmer=None)
    model.vocabulary = Vocabulary(
        words.terms, words.document_frequencies, words.n_documents, unstemmed
    )
    assert model.fingerprint() != before
    model.vocabulary = words
    assert model.fingerprint() == before


def test_the_fingerprint_covers_the_scaling():
    model = SemanticHasher(8, **SMALL).fit(topic_texts()[0]).model_
    before = model.fingerprint()
    model.scaling = Scaling(model.scaling.kind, scale=model.scaling.scale * 2)
    assert model.fingerprint() != before


def test_the_fingerprint_covers_the_parameters():
    # bag_of_words changes what the encoder reads and no weight
    model = SemanticHasher(8, **SMALL).fit(topic_texts()[0]).model_
    before = model.fingerprint()
    model.parameters = {**model.parameters, "bag_of_words": False}
    assert model.fingerprint() != before


def test_rows_of_another_model_are_not_added(tmp_path, capsys):
    texts = topic_texts(40)[0]
    for number in (0, 1):
        lines = [f'{{"id": "{number}-{i}", "text": "{text}"}}' for i, text in enumerate(texts)]
        (tmp_path / f"{number}.jsonl").write_text("\n".join(lines))
        hasher = SemanticHasher(16, **{**SMALL, "random_state": number})
        hasher.fit(texts).save(tmp_path / f"{number}.model")
    index = tmp_path / "i.index"
    first = [tmp_path / "0.model", tmp_path / "0.jsonl", "-o", index]
    assert cli(["index", *map(str, first)]) == 0
    before = index.read_bytes()
    other = [tmp_path / "1.model", tmp_path / "1.jsonl", "-o", index, "--add"]
    assert cli(["index", *map(str, other)]) == 4
    assert "made with another model" in capsys.readouterr().err
    assert index.read_bytes() == before


def test_the_length_of_a_bag_of_words_does_not_matter(rng):
    x = torch.from_numpy(rng.random((4, 6)).astype(np.float32))
    for bag in (True, False):
        net = build_objective("hashing", {"n_components": 8, "bag_of_words": bag}, 6)
        same = torch.allclose(
            net.encoder(x).preactivation, net.encoder(3 * x).preactivation, rtol=1e-4
        )
        assert same is bag


def numbered(tmp_path, rng):
    rows = [rng.normal(size=(n, 6)).astype(np.float32) for n in (10, 3)]
    for name, x in zip("ab", rows, strict=True):
        np.save(tmp_path / f"{name}.npy", x)
    SemanticHasher(8, **SMALL).fit(rows[0]).save(tmp_path / "m")
    index = tmp_path / "i.index"
    assert cli(["index", *map(str, (tmp_path / "m", tmp_path / "a.npy", "-o", index))]) == 0
    return index, [*map(str, (tmp_path / "m", tmp_path / "b.npy", "-o", index, "--add"))]


def test_added_rows_of_numbers_continue_the_numbering(tmp_path, rng):
    index, add = numbered(tmp_path, rng)
    assert cli(["index", *add]) == 0
    assert Index.load(index).names == [str(i) for i in range(13)]


def test_rows_of_numbers_can_be_added_after_a_deletion(tmp_path, rng):
    index, add = numbered(tmp_path, rng)
    assert cli(["index", "-o", str(index), "--delete", "3"]) == 0
    assert cli(["index", *add]) == 0
