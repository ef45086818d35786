"""Binary codes: the encoder, its training, thresholds, packing and search."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from topics import TOPICS, topic_texts
from torch import Generator

from narrows import Masking, SemanticHasher, load
from narrows.encoders import BinaryEncoder
from narrows.errors import ModelFileError, UsageError
from narrows.estimators.inputs import query_rows
from narrows.indexing.index import Index
from narrows.variants.building import build_objective

SMALL = {"hidden": (32,), "max_epochs": 20, "batch_size": 16, "learning_rate": 5e-3}


def encoder(**changes) -> BinaryEncoder:
    arguments = {"activation": "silu", "binarization": "noise", "noise": 2.0, **changes}
    return BinaryEncoder([6, 5, 8], **arguments, generator=Generator().manual_seed(0))


@pytest.fixture
def rows(generator) -> torch.Tensor:
    return torch.randn(400, 6, generator=generator)


@pytest.fixture(scope="module")
def texts():
    return topic_texts()


@pytest.fixture(scope="module")
def hasher(texts):
    return SemanticHasher(16, random_state=0, **SMALL).fit(texts[0])


def test_a_bit_is_on_if_its_preactivation_exceeds_the_threshold(rows):
    net = encoder()
    net.thresholds.fill_(0.1)
    code = net(rows)
    torch.testing.assert_close(code.h, 2 * (code.preactivation > 0.1).float() - 1)


def test_training_noise_is_added_inside_tanh(rows):
    net = encoder(noise=0.7)
    code = net(rows, generator=Generator().manual_seed(3))
    e = torch.empty_like(code.preactivation).normal_(generator=Generator().manual_seed(3))
    torch.testing.assert_close(code.h, torch.tanh((code.preactivation + 0.7 * e) / 2))


def test_straight_through_draws_bits_with_the_right_frequency(rows):
    net = encoder(binarization="straight_through")
    z = net(rows).preactivation
    draws = [net(rows, generator=Generator().manual_seed(seed)).h.detach() for seed in range(300)]
    assert set(torch.stack(draws).round(decimals=5).unique().tolist()) == {-1, 1}
    torch.testing.assert_close(torch.stack(draws).mean(0), torch.tanh(z / 2), atol=0.26, rtol=0)


def test_straight_through_has_the_gradient_of_the_mean(rows):
    net = encoder(binarization="straight_through")
    net(rows, generator=Generator().manual_seed(0)).h.sum().backward()
    through = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    torch.tanh(net(rows).preactivation / 2).sum().backward()
    for got, parameter in zip(through, net.parameters(), strict=True):
        torch.testing.assert_close(got, parameter.grad)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"binarization": "noisy"}, "binarization: unknown name 'noisy'.*Did you mean 'noise'"),
        ({"noise": -1.0}, "noise: must be"),
        ({"n_groups": 0}, "n_groups: must be"),
        ({"n_groups": 9}, "n_groups: must be"),
    ],
)
def test_invalid_arguments_are_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        encoder(**changes)


def test_training_keeps_one_group_per_row_scaled_by_the_number_of_groups(rows):
    whole = encoder()(rows, generator=Generator().manual_seed(3)).h
    kept = encoder(n_groups=3)(rows, generator=Generator().manual_seed(3)).h
    groups = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2])  # the most even split of 8 bits
    which = torch.stack([(kept[:, groups == g] != 0).all(dim=1) for g in range(3)], dim=1)
    assert (which.sum(dim=1) == 1).all()
    assert (which.sum(dim=0) > 100).all()
    torch.testing.assert_close(kept, 3 * whole * which[:, groups])


def test_a_code_decodes_to_the_mean_of_its_groups_outputs(rows):
    arguments = {"n_components": 8, "hidden": (5,)}
    net = build_objective("hashing", arguments | {"n_groups": 4}, 6).eval()
    h = net.encode(rows).h
    parts = [h * (torch.arange(8) // 2 == g) * 4 for g in range(4)]
    torch.testing.assert_close(net.decode(h), sum(net.decode(part) for part in parts) / 4)
    torch.testing.assert_close(net.decode(h), 4**-0.5 * h @ net.decoder.weights[0])


@pytest.mark.filterwarnings("ignore::narrows.errors.OutdatedWarning")
def test_pickles_older_than_groups_load_with_one_group():
    fitted = SemanticHasher(16, random_state=0, hidden=(8,), max_epochs=1).fit(load_digits().data)
    objective = fitted.model_.objective
    del objective.decoder.__dict__["_code_scale"], objective.encoder.__dict__["_n_groups"]
    bits = fitted.transform(load_digits().data[:4])
    assert fitted.inverse_transform(bits).shape == (4, 64)
    fitted.partial_fit(load_digits().data)


def test_a_single_group_reconstructs_a_row():
    rows = load_digits().data[:600]

    def explained(n_groups: int) -> float:
        hasher = SemanticHasher(64, n_groups=n_groups, random_state=0, linear_start=False, **SMALL)
        hasher.fit(rows)
        bits = hasher.transform(rows)
        bits[:, 16:] = 0
        rebuilt = hasher.inverse_transform(n_groups * bits)
        return 1 - ((rebuilt - rows) ** 2).mean() / rows.var(axis=0).mean()

    assert explained(4) > 0.4 > explained(1)


@pytest.mark.parametrize("n_groups", [0, 17, 1.5, "two"])
def test_invalid_numbers_of_groups_are_refused(n_groups):
    hasher = SemanticHasher(16, n_groups=n_groups)
    with pytest.raises(UsageError, match="n_groups: must be"):
        hasher.fit(load_digits().data)


def test_noise_moves_preactivations_away_from_the_threshold(digits):
    """Only preactivations far from 0 survive noise (Salakhutdinov, Hinton 2009)."""

    def size(noise: float) -> float:
        h = SemanticHasher(16, noise=noise, random_state=0, **SMALL).fit(digits[:400])
        model, source = query_rows(h, digits[:400])
        x = model.scaling.forward(source.sample(400, generator=Generator()))
        return float(model.objective.encode(x).preactivation.detach().abs().mean())

    assert size(4.0) > 1.5 * size(0.0)


def test_transform_gives_the_bits_that_hash_packs(hasher, texts):
    bits = hasher.transform(texts[0])
    assert set(np.unique(bits)) == {-1, 1}
    packed = hasher.hash(texts[0])
    assert packed.dtype == np.uint8 and packed.shape == (120, 2)
    np.testing.assert_array_equal(np.unpackbits(packed, axis=1), bits > 0)


def test_widths_that_are_not_multiples_of_8_are_padded_with_zeros(texts):
    h = SemanticHasher(11, random_state=0, hidden=(8,), max_epochs=1).fit(texts[0])
    packed = h.hash(texts[0])
    assert packed.shape == (120, 2) and not (packed[:, 1] & 0b11111).any()
    hits = h.search(h.make_index(texts[0]), texts[0][:1], 3)[0]
    assert hits[0].distance == 0


def test_median_thresholds_split_the_training_rows_in_half(texts, tmp_path):
    h = SemanticHasher(16, threshold="median", validation_fraction=0, random_state=0, **SMALL).fit(
        texts[0]
    )
    np.testing.assert_allclose(h.transform(texts[0]).mean(0), 0, atol=0.02)
    h.save(tmp_path / "h.safetensors")
    np.testing.assert_array_equal(load(tmp_path / "h.safetensors").hash(texts[0]), h.hash(texts[0]))


def test_an_unknown_threshold_is_refused(texts):
    with pytest.raises(UsageError, match="threshold: unknown name 'mean'; choose from median, ze"):
        SemanticHasher(threshold="mean").fit(texts[0])


def test_a_texts_bits_do_not_depend_on_its_batch(hasher, texts):
    alone = np.concatenate([hasher.hash([text]) for text in texts[0]])
    np.testing.assert_array_equal(alone, hasher.hash(texts[0]))


def test_nearest_bits_have_the_same_topic(hasher, texts):
    new, labels = topic_texts(30, seed=1)
    answers = hasher.search(hasher.make_index(texts[0]), new, 5)
    for hits, label in zip(answers, labels, strict=True):
        assert all(texts[1][int(hit.name)] == label for hit in hits)


def test_a_code_decodes_to_the_words_of_its_topic(hasher, texts):
    shares = hasher.inverse_transform(hasher.transform(texts[0]))
    terms = np.array(hasher.vocabulary_.terms)
    stems = {label: set(hasher.vocabulary_.analyzer(" ".join(words)))
             for label, words in TOPICS.items()}  # fmt: skip
    for row, label in zip(shares, texts[1], strict=True):
        assert set(terms[np.argsort(-row)[:5]]) <= stems[label]


def test_dense_vectors_are_hashed():
    X, labels = load_digits(return_X_y=True)
    h = SemanticHasher(32, hidden=(64,), max_epochs=20, random_state=0).fit(X[:1500])
    assert h.model_.scaling.kind == "standard"
    answers = h.search(h.make_index(X[:1500]), X[1500:], 5)
    found = np.array([[int(hit.name) for hit in hits] for hits in answers])
    assert np.mean(labels[found] == labels[1500:, None]) > 0.7


def test_bytes_are_hashed_as_images():
    X = np.random.default_rng(0).integers(0, 256, (40, 16), dtype=np.uint8)
    h = SemanticHasher(8, hidden=(8,), max_epochs=1, corruption=Masking(0.1), random_state=0)
    assert h.fit(X).hash(X).shape == (40, 1)


def test_a_reranked_search_is_ordered_by_cosine(hasher, texts):
    index = hasher.make_index(texts[0], rerank=True)
    hits = hasher.search(index, texts[0][:1], 10, rerank=True)[0]
    cosines = [hit.cosine for hit in hits]
    assert cosines == sorted(cosines, reverse=True) and cosines[0] > 0.99


def test_re_ranking_needs_an_index_with_vectors(hasher, texts):
    with pytest.raises(UsageError, match="rerank: this index keeps no vectors to re-rank by"):
        hasher.search(hasher.make_index(texts[0]), texts[0][:1], 3, rerank=True)


def test_another_models_index_is_refused(hasher, texts, tmp_path):
    other = SemanticHasher(16, random_state=1, **{**SMALL, "max_epochs": 1}).fit(texts[0])
    index = other.make_index(texts[0])
    with pytest.raises(ModelFileError, match="made with another model"):
        hasher.search(index, texts[0][:1])
    index.save(tmp_path / "i.index")
    with pytest.raises(ModelFileError, match="made with another model"):
        Index.load(tmp_path / "i.index", model_digest=hasher.model_.fingerprint())


def test_hits_have_their_names_and_metadata(hasher, texts):
    names = [f"text {i}" for i in range(120)]
    index = hasher.make_index(texts[0], names, [{"label": str(label)} for label in texts[1]])
    hit = hasher.search(index, [texts[0][7]], 120)[0]
    found = {h.name: h.metadata["label"] for h in hit}
    assert found == dict(zip(names, map(str, texts[1]), strict=True))


def test_a_tie_at_the_threshold_gives_no_bit(rows):
    """With an odd number of rows the median is the value of one row, whose bit is off."""
    net = encoder()
    net.thresholds.copy_(net(rows[7:8]).preactivation.detach()[0])
    assert bool((net(rows[7:8]).h == -1).all()) and bool((net.layers(rows[7:8])[-1] == -1).all())
    assert bool((net.project(torch.zeros(1, 8)) == -1).all())
    X = rows[:21].numpy()
    hasher = SemanticHasher(
        8, threshold="median", scale="none", hidden=(), max_epochs=1, validation_fraction=0,
        random_state=0,
    ).fit(X)  # fmt: skip
    assert ((hasher.transform(X) > 0).sum(axis=0) == 10).all()
