"""Neighborhoods: nearest rows, the mean that is reconstructed, the effect on the code."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from topics import topic_texts

from narrows import DocumentAutoencoder, SemanticHasher, read
from narrows.core.sparse import dense_rows
from narrows.data.array_sources import array_source
from narrows.data.scaling import Scaling
from narrows.data.splitting import Split
from narrows.data.statistics import describe
from narrows.errors import ModelFileError, UsageError
from narrows.estimators.autoencoders.plan import new_plan
from narrows.fitting.builders import minimize
from narrows.fitting.neighbor_model import neighbor_plan
from narrows.neighbors.nearest import nearest_rows
from narrows.objectives.neighbors import OWN, neighborhoods
from narrows.training.checkpoint_folder import Checkpoints
from narrows.training.loop import TrainingStopped


def brute_force(rows: np.ndarray, k: int) -> np.ndarray:
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    return np.argsort(-cosines, axis=1)[:, :k]


def together(rows) -> Split:
    """Rows without held-out rows."""
    return Split(array_source(rows), None)


@pytest.fixture
def counts(rng) -> np.ndarray:
    return rng.poisson(0.7, (70, 30)).astype(np.float32) + rng.random((70, 30)).astype(np.float32)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_nearest_rows_match_a_comparison_of_all_rows(counts, form):
    np.testing.assert_array_equal(nearest_rows(form(counts), 5), brute_force(counts, 5))


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_ties_are_ordered_by_row_number_without_the_row_itself(form):
    rows = np.ones((200, 3), np.float32)
    expected = [[i for i in range(6) if i != row][:5] for row in range(200)]
    np.testing.assert_array_equal(nearest_rows(form(rows), 5), expected)


def test_many_sparse_rows_have_near_rows_found_by_candidates():
    rng = np.random.default_rng(0)
    topics = rng.dirichlet(np.full(300, 0.03), size=40)
    of = rng.integers(40, size=4000)
    rows = np.stack([rng.multinomial(60, topics[topic]) for topic in of]).astype(np.float32)
    found = nearest_rows(sp.csr_array(rows), 10, exact=0)
    assert (found != np.arange(4000)[:, None]).all()
    assert np.mean(of[found] == of[:, None]) > 0.98
    exact = brute_force(rows, 10)
    shared = [len(set(a) & set(b)) / 10 for a, b in zip(found, exact, strict=True)]
    assert np.mean(shared) > 0.8


def test_rows_of_zeros_have_neighbors():
    rows = np.zeros((5, 3), np.float32)
    rows[1:] = np.eye(4, 3)
    for form in (np.asarray, sp.csr_array):
        assert nearest_rows(form(rows), 2).shape == (5, 2)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_the_target_is_the_weighted_mean_of_a_row_and_its_nearest(counts, form):
    around = neighborhoods(together(form(counts)), Scaling("none"), 3)
    nearest = brute_force(counts, 3)
    expected = OWN * counts + (1 - OWN) * counts[nearest].mean(axis=1)
    numbers = torch.tensor([4, 0, 69])
    got = dense_rows(around(numbers)).numpy()
    np.testing.assert_allclose(got, expected[numbers], rtol=1e-5)


def test_with_too_many_neighbors_all_other_rows_are_neighbors(counts):
    around = neighborhoods(together(counts), Scaling("none"), 500)
    others = (counts.sum(0) - counts[3]) / 69
    expected = OWN * counts[3] + (1 - OWN) * others
    np.testing.assert_allclose(around(torch.tensor([3])).numpy()[0], expected, rtol=1e-4)


def test_neighbors_change_the_code_and_a_seed_repeats_it():
    texts, _ = topic_texts()
    arguments = {"hidden": (16,), "max_epochs": 3, "random_state": 0}
    codes = [DocumentAutoencoder(3, n_neighbors=k, **arguments).fit(texts).transform(texts)
             for k in (5, 5, 0)]  # fmt: skip
    np.testing.assert_array_equal(codes[0], codes[1])
    assert np.abs(codes[0] - codes[2]).max() > 1e-3


def test_training_with_neighbors_is_finite_and_keeps_the_parameters():
    texts, _ = topic_texts()
    arguments = {"hidden": (32,), "max_epochs": 30, "random_state": 0, "batch_size": 16}
    plain, shared = (DocumentAutoencoder(3, n_neighbors=k, **arguments).fit(texts) for k in (0, 20))
    assert len(shared.validation_history_) == 30 or shared.n_epochs_ < 30
    assert np.isfinite(shared.history_).all()
    assert plain.model_.parameters == shared.model_.parameters


def test_a_training_with_neighbors_resumes(tmp_path):
    texts, _ = topic_texts()
    arguments = {"n_neighbors": 4, "hidden": (8,), "max_epochs": 4, "random_state": 0}
    whole = SemanticHasher(8, **arguments).fit(texts)
    steps = iter([False] * 20 + [True] * 1000)
    with pytest.raises(TrainingStopped):
        SemanticHasher(8, **arguments).fit(
            texts, checkpoint=tmp_path / "c", stop_requested=lambda: next(steps)
        )
    again = SemanticHasher(8, **arguments).fit(texts, checkpoint=tmp_path / "c", resume=True)
    np.testing.assert_array_equal(again.hash(texts), whole.hash(texts))
    assert again.history_ == whole.history_


def test_few_rows_have_ten_neighbors_by_default(monkeypatch):
    texts, _ = topic_texts()
    arguments = {"hidden": (16,), "max_epochs": 2, "random_state": 0}
    codes = [DocumentAutoencoder(3, n_neighbors=k, **arguments).fit(texts).transform(texts)
             for k in (None, 10)]  # fmt: skip
    np.testing.assert_array_equal(*codes)
    monkeypatch.setattr("narrows.estimators.autoencoders.plan.EXACT", 100)
    codes = [DocumentAutoencoder(3, n_neighbors=k, **arguments).fit(texts).transform(texts)
             for k in (None, 0)]  # fmt: skip
    np.testing.assert_array_equal(*codes)


@pytest.mark.parametrize("k", [-1, 1.5])
def test_an_invalid_number_is_refused(k):
    with pytest.raises(UsageError, match="n_neighbors: must be"):
        DocumentAutoencoder(2, n_neighbors=k).fit(topic_texts()[0])


def test_streamed_rows_are_refused(tmp_path, counts):
    np.save(tmp_path / "x.npy", counts)
    with pytest.raises(UsageError, match="n_neighbors: .*x.npy is streamed; neighbors need rows"):
        SemanticHasher(8, n_neighbors=2).fit(read(tmp_path / "x.npy", stream=True))


def test_codes_define_nearest_rows(counts, rng):
    codes = rng.random((70, 4)).astype(np.float32)
    around = neighborhoods(together(sp.csr_array(counts)), Scaling("none"), 3, codes=codes)
    expected = OWN * counts + (1 - OWN) * counts[brute_force(codes, 3)].mean(axis=1)
    got = dense_rows(around(torch.arange(70))).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_only_counts_have_a_neighbor_model_by_default(rng, monkeypatch):
    texts, _ = topic_texts()
    arguments = {"hidden": (8,), "max_epochs": 2, "random_state": 0, "linear_start": False}
    for net in (SemanticHasher(8, **arguments), DocumentAutoencoder(8, **arguments)):
        assert "neighbor_model" in net.fit(texts).model_.record
    for rows, k in ((rng.random((60, 9)), None), (texts, 0)):
        assert (
            "neighbor_model"
            not in SemanticHasher(8, n_neighbors=k, **arguments).fit(rows).model_.record
        )
    monkeypatch.setattr("narrows.estimators.autoencoders.plan.EXACT", 100)
    assert (
        "neighbor_model"
        not in SemanticHasher(8, n_neighbors=3, **arguments).fit(texts).model_.record
    )


BY_CODE = {
    "n_neighbors": 4, "neighbors_by": "code", "hidden": (8,), "max_epochs": 4, "batch_size": 16,
    "learning_rate": 2e-3, "linear_start": False, "validation_fraction": 0.1, "patience": 10,
}  # fmt: skip


def test_a_neighbor_model_is_a_wide_code_in_groups_and_changes_the_code():
    texts, _ = topic_texts()
    by_code = SemanticHasher(8, random_state=0, **BY_CODE).fit(texts)
    plain = SemanticHasher(8, random_state=0, **{**BY_CODE, "neighbors_by": "rows"}).fit(texts)
    assert (by_code.hash(texts) != plain.hash(texts)).any()
    assert (
        len(by_code.model_.record["neighbor_model"]) == 4
        and "neighbor_model" not in plain.model_.record
    )
    source = array_source(sp.csr_array(np.eye(6)))
    plan = new_plan(by_code, source, describe(source), 0)
    wide = neighbor_plan(plan)
    assert (wide.parameters["n_components"], wide.parameters["n_groups"]) == (128, 4)
    assert wide.parameters["corruption"] == {"name": "masking", "rate": 0.7}
    assert wide.neighbors_by == "rows" and plan.parameters["n_components"] == 8


def test_the_neighbor_model_of_a_hasher_that_starts_at_lsa_has_a_hidden_layer():
    texts, _ = topic_texts()
    net = SemanticHasher(8, n_neighbors=4, neighbors_by="code", max_epochs=2, random_state=0)
    plan = new_plan(net, source := net._source(net._counted(texts), reset=True, min_samples=2),
                    describe(source), 0)  # fmt: skip
    wide = neighbor_plan(plan)
    assert (plan.parameters["hidden"], wide.parameters["hidden"]) == ([], [500])
    assert "linear_path" not in wide.parameters and not wide.linear_start
    assert "neighbor_model" in net.fit(texts).model_.record


def test_the_neighbor_model_of_a_document_net_is_a_separate_hasher():
    texts, _ = topic_texts()
    net = DocumentAutoencoder(2, hidden=(8,), max_epochs=3, weight_decay=0.5, pretrain="denoising")
    source = net._source(net._counted(texts), reset=True, min_samples=2)
    wide = neighbor_plan(new_plan(net, source, describe(source), 0))
    assert (wide.variant, wide.weight_decay, wide.pretraining) == ("hashing", 1.0, None)
    assert wide.parameters["hidden"] == [500] and wide.parameters["bag_of_words"]
    assert (wide.max_epochs, wide.n_neighbors) == (3, 10)


def test_held_out_rows_are_held_out_of_the_neighbor_model(monkeypatch):
    texts, _ = topic_texts(n=40)
    trained_on = []

    def seen(plan, model, objective, rows, watch):
        trained_on.append((rows.training.n_rows, rows.held_out.n_rows))
        return minimize(plan, model, objective, rows, watch)

    monkeypatch.setattr("narrows.fitting.neighbor_model.minimize", seen)
    arguments = {**BY_CODE, "random_state": 0, "validation_fraction": 0.25}
    hasher = SemanticHasher(8, **arguments).fit(texts)
    assert trained_on == [(30, 10)]
    assert all(epoch["validation"] is not None for epoch in hasher.model_.record["neighbor_model"])


def test_many_rows_have_a_neighbor_model_on_request(
    monkeypatch,
):
    monkeypatch.setattr("narrows.estimators.autoencoders.plan.EXACT", 100)
    texts, _ = topic_texts()
    arguments = {"neighbors_by": "code", "hidden": (8,), "max_epochs": 1, "random_state": 0}
    record = SemanticHasher(8, **arguments).fit(texts).model_.record
    assert record["n_neighbors"] == 10 and "neighbor_model" in record


def test_neighbors_by_cannot_change_on_resuming(tmp_path):
    texts, _ = topic_texts()
    rows = {**BY_CODE, "neighbors_by": "rows", "random_state": 0}
    steps = iter([False] * 20 + [True] * 1000)
    with pytest.raises(TrainingStopped):
        SemanticHasher(8, **rows).fit(
            texts, checkpoint=tmp_path / "c", stop_requested=lambda: next(steps)
        )
    with pytest.raises(ModelFileError, match="neighbors_by is None in the checkpoint"):
        SemanticHasher(8, random_state=0, **BY_CODE).fit(
            texts, checkpoint=tmp_path / "c", resume=True
        )


@pytest.mark.parametrize("stop_after", [20, 50])
def test_a_training_with_a_neighbor_model_resumes(tmp_path, stop_after):
    texts, _ = topic_texts()
    steps: list[int] = []
    whole = SemanticHasher(8, random_state=0, **BY_CODE)
    whole.fit(texts, stop_requested=lambda: bool(steps.append(1)))
    stops = iter([False] * stop_after + [True] * 1000)
    with pytest.raises(TrainingStopped):
        SemanticHasher(8, random_state=0, **BY_CODE).fit(
            texts, checkpoint=tmp_path / "c", stop_requested=lambda: next(stops)
        )
    more: list[int] = []
    again = SemanticHasher(8, random_state=0, **BY_CODE)
    again.fit(
        texts, checkpoint=tmp_path / "c", resume=True, stop_requested=lambda: bool(more.append(1))
    )
    assert len(more) == len(steps) - stop_after - 1  # no step of either net is repeated
    np.testing.assert_array_equal(again.hash(texts), whole.hash(texts))
    assert again.history_ == whole.history_
    assert _objectives(again) == _objectives(whole)


def _objectives(hasher: SemanticHasher) -> list[float]:
    return [epoch["objective"] for epoch in hasher.model_.record["neighbor_model"]]


def test_a_drawn_seed_is_restored_from_the_neighbor_model(tmp_path):
    texts, _ = topic_texts()
    steps = iter([False] * 20 + [True] * 1000)
    with pytest.raises(TrainingStopped):
        SemanticHasher(8, **BY_CODE).fit(
            texts, checkpoint=tmp_path / "c", stop_requested=lambda: next(steps)
        )
    with closing(Checkpoints(tmp_path / "c" / "neighbor_model")) as of_neighbors:
        saved = of_neighbors.newest()
    again = SemanticHasher(8, **BY_CODE).fit(texts, checkpoint=tmp_path / "c", resume=True)
    assert saved is not None and again.model_.record["seed"] == saved.spec["identity"]["seed"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_neighbors": 0, "neighbors_by": "code"}, "neighbors_by: .*n_neighbors is 0; give"),
        ({"neighbors_by": "words"}, "neighbors_by: .*'words'.*auto, code, rows"),
    ],
    ids=str,
)
def test_neighbors_by_is_checked(arguments, message):
    with pytest.raises(UsageError, match=message):
        SemanticHasher(8, **arguments).fit(topic_texts()[0])


def test_both_products_of_sparse_rows_give_the_same_neighbors(counts, monkeypatch):
    counts[counts < 1.5] = 0
    found = []
    for share in (0.0, 1.0):
        monkeypatch.setattr("narrows.neighbors.ranking._SPARSE", share)
        found.append(nearest_rows(sp.csr_array(counts), 5))
    np.testing.assert_array_equal(*found)
