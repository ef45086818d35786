"""Halves found by a model's codes, by LSA and by TF-IDF: rows, table, advice and commands."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from topics import topic_texts

from narrows import Autoencoder, DocumentAutoencoder, SemanticHasher, load
from narrows.applications.retrieval.baselines import lsa_codes, weighted
from narrows.applications.retrieval.half_comparison import (
    HalvesComparison,
    compare_halves,
    compare_halves_of,
)
from narrows.applications.retrieval.halves import FoundHalves, find_halves, split_words
from narrows.cli import run as cli
from narrows.data.array_sources import SparseSource
from narrows.errors import WeightingWarning
from narrows.estimators.inputs import query_rows
from narrows.model.coding import all_rows, errors
from narrows.model.training_rows import held_out_mask

SMALL = {"hidden": (16,), "max_epochs": 3, "random_state": 0, "validation_fraction": 0.1}


def bags(n: int, seed: int, n_words: int = 80) -> sp.csr_array:
    """Return counts of documents that each have words of their own."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(n_words, 0.05), n)
    return sp.csr_array(rng.poisson(30 * shares + 0.02).astype(np.float32))


@pytest.fixture(scope="module")
def counts() -> sp.csr_array:
    return bags(200, 0)


@pytest.fixture(scope="module")
def fitted(counts):
    return DocumentAutoencoder(5, **SMALL).fit(counts)


def held_out(estimator, counts):
    return held_out_mask(
        estimator.model_,
        SparseSource(counts),
        lambda: all_rows(errors(estimator.model_, SparseSource(counts))),
    )


def test_the_held_out_rows_of_a_fit_are_found_by_their_errors(fitted, counts):
    mask = held_out(fitted, counts)
    assert mask is not None and mask.sum() == 20
    # order by order: another order of the rows marks the same ones
    order = np.random.default_rng(0).permutation(200)
    np.testing.assert_array_equal(held_out(fitted, counts[order]), mask[order])
    assert held_out(fitted, counts[:199]) is None
    assert held_out(fitted, bags(200, 1)) is None


def test_the_rows_that_are_found_are_those_that_fit_was_told_to_hold_out(counts):
    ae = DocumentAutoencoder(5, **SMALL).fit(counts[:150], validation_data=counts[150:])
    np.testing.assert_array_equal(held_out(ae, counts), np.arange(200) >= 150)


def test_every_method_measures_the_same_held_out_halves(fitted, counts):
    model, source = query_rows(fitted, counts)
    found = compare_halves_of(model, source)
    assert found is not None and (found.rows, found.n_fitted) == ("held_out", 180)
    assert list(found.results) == ["this model (5)", "LSA (5)", "TF-IDF (80)"]
    mask = held_out(fitted, counts)
    first, second, _ = split_words(counts[mask], np.random.default_rng(0))
    codes = [fitted.transform(half) for half in (first, second)]
    _, *lsa = lsa_codes(counts[~mask], first, second, n_components=5)
    _, *tfidf = weighted(counts[~mask], first, second, weighting="log_tfidf")
    for name, pair in zip(found.results, (codes, lsa, tfidf), strict=True):
        np.testing.assert_allclose(
            found.results[name].measures, find_halves(*pair).measures, atol=1e-6
        )


def test_a_leak_shows():
    """LSA as wide as the training rows memorizes them: measured on these, it finds more halves."""
    few, others = bags(40, 2, 300), bags(40, 3, 300)
    ae = DocumentAutoencoder(30, **{**SMALL, "validation_fraction": 0.0}).fit(few)
    trained, new = SparseSource(few), SparseSource(others)
    leaked = compare_halves(ae.model_, trained, trained, rows="training")
    fair = compare_halves(ae.model_, trained, new, rows="new")
    assert leaked is not None and fair is not None
    assert leaked.results["LSA (30)"].hit_at_1 > fair.results["LSA (30)"].hit_at_1 + 0.2
    assert "all trained on" in leaked.table() and "trained" not in fair.table()


def test_all_rows_of_a_fit_that_held_none_out_count_as_trained_on(counts):
    ae = DocumentAutoencoder(5, **{**SMALL, "validation_fraction": 0.0}).fit(counts)
    found = ae.compare_halves(counts)
    assert found is not None and found.rows == "training"
    assert "expect smaller shares on new documents" in str(found)
    other = ae.compare_halves(counts[:100])
    assert other is not None and (other.rows, other.n_fitted) == ("new", 80)


def test_of_other_rows_a_fifth_is_measured(fitted):
    found = fitted.compare_halves(bags(120, 1))
    assert found is not None and (found.rows, found.n_fitted) == ("new", 96)
    assert found.results["this model (5)"].n_rows + found.n_short == 24


def test_bits_are_compared_with_bits_of_lsa(counts):
    hasher = SemanticHasher(12, **SMALL).fit(counts)
    found = hasher.compare_halves(bags(300, 1), seed=1)
    assert found is not None
    assert list(found.results) == ["this model (12 bits)", "LSA (12)", "LSA (12 bits)",
                                   "TF-IDF (80)"]  # fmt: skip
    values = {name: each["reciprocal_rank"] for name, each in found.as_dict()["methods"].items()}
    assert values["LSA (12 bits)"] < values["LSA (12)"] < values["TF-IDF (80)"]


def test_short_documents_are_counted(fitted):
    mixed = bags(100, 1).tolil()
    mixed[:50] = 0
    mixed[:25, 0] = 1
    found = fitted.compare_halves(sp.csr_array(mixed))
    assert found is not None and found.n_short > 0
    assert f"{found.n_short} documents of fewer than two known words left out" in str(found)


def test_what_cannot_be_measured_is_none(fitted, counts):
    assert fitted.compare_halves(counts[:40]) is None  # 8 documents
    assert fitted.compare_halves(counts * 0.5) is None
    empty = sp.csr_array(counts.shape, dtype=np.float32)
    assert compare_halves(fitted.model_, SparseSource(counts), SparseSource(empty)) is None
    table = Autoencoder(2, **SMALL).fit(np.random.default_rng(0).normal(size=(60, 4)))
    assert compare_halves_of(*query_rows(table, np.ones((60, 4)))) is None


def halves(share: float, n: int = 100) -> FoundHalves:
    """Return halves of which a share is found first, the others last."""
    found = np.arange(n) < round(share * n)
    return FoundHalves(np.stack([found, found, np.where(found, 1, 1 / n)], axis=1).astype(float))


def advice(model: float, lsa: float, tfidf: float, name: str = "LSA (10)") -> list[str]:
    results = {"this model (10)": halves(model), name: halves(lsa), "TF-IDF (200)": halves(tfidf)}
    return HalvesComparison(results, "held_out", 900, 0).advice()


def test_a_simple_method_that_wins_is_named_with_its_share():
    assert advice(0.5, 0.4, 0.5) == []
    assert advice(0.5, 0.51, 0.3) == []  # less than a standard error
    (lsa,) = advice(0.28, 0.45, 0.2)
    assert lsa.startswith("LSA with 10 numbers finds 45% of the halves first and 45% among ten, "
                          "this model 28% and 28%:")  # fmt: skip
    assert "TruncatedSVD" in lsa and "--code" in lsa
    first, second = advice(0.28, 0.45, 0.75)
    assert first.startswith("TF-IDF with all 200 words finds 75%") and second == lsa
    (bits,) = advice(0.28, 0.45, 0.2, "LSA (32 bits)")
    assert bits.startswith("LSA with 32 bits finds 45%")


def test_the_table_holds_every_number(fitted, counts):
    found = fitted.compare_halves(counts)
    assert found is not None
    for result in found.results.values():
        assert f"{result.hit_at_1:.1%}" in str(found)
        assert f"+-{result.standard_errors[1]:.1%}" in str(found)
    assert "20 documents held out of training" in str(found)
    assert "fitted to 180 others" in str(found)


def test_global_random_states_are_left_alone(fitted, counts):
    torch.manual_seed(3)
    np.random.seed(3)
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    fitted.compare_halves(counts)
    assert torch.equal(before[0], torch.random.get_rng_state())
    np.testing.assert_array_equal(before[1], np.random.get_state()[1])


def test_fit_and_evaluate_print_the_same_halves(tmp_path, capsys):
    texts, _ = topic_texts(200)
    lines = [json.dumps({"text": text}) for text in texts]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    docs, model = str(tmp_path / "docs.jsonl"), str(tmp_path / "m.safetensors")
    settings = ["--hidden", "16", "--epochs", "2", "--seed", "0", "-q"]
    # a poor code, so that there is advice
    settings += ["--set", "validation_fraction=0.1", "--set", "linear_start=false"]
    command = ["fit", docs, "--variant", "document", "--code", "3", *settings, "-o", model]
    assert cli(command) == 0
    of_fit = capsys.readouterr().out
    assert "halves found" in of_fit and "20 documents held out of training" in of_fit
    assert cli(["evaluate", model, docs]) == 0
    table = of_fit[of_fit.index("halves found") : of_fit.index("model: ")]
    assert table.strip() in capsys.readouterr().out
    assert cli(["evaluate", model, docs, "--json"]) == 0
    values = json.loads(capsys.readouterr().out)["halves"]
    assert values["rows"] == "held_out" and "LSA (3)" in values["methods"]
    assert cli([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["halves"] == values
    of_fit = load(model).compare_halves(texts)
    assert of_fit.as_dict() == values
    assert cli(["index", model, docs, "-o", str(tmp_path / "docs.index")]) == 0
    printed = capsys.readouterr().err
    assert of_fit.advice() and all(sentence in printed for sentence in of_fit.advice())


def test_rows_that_are_tfidf_already_are_not_weighted_again(counts):
    rows = weighted(counts, weighting="tfidf")[0]
    with pytest.warns(WeightingWarning, match="look like tf-idf already"):
        ae = DocumentAutoencoder(5, **SMALL).fit(rows)
    assert torch.equal(ae.model_.scaling.scale, torch.ones(80))
    assert ae.compare_halves(rows) is None
    (again,) = weighted(rows, weighting="log_tfidf")
    np.testing.assert_array_equal(again.toarray(), rows.toarray())
    plain = DocumentAutoencoder(5, **SMALL).fit(counts).model_.scaling.scale
    assert plain.min() < 0.9


def test_an_explained_share_below_0_is_explained(rng):
    hasher = SemanticHasher(4, **SMALL).fit(bags(100, 5))
    result = hasher.evaluate(bags(100, 6))
    worse = replace(result, squared_error=2 * result.variance, comparable=False)
    assert "Explained is below 0" in worse.table()
    better = replace(result, squared_error=0.5 * result.variance, comparable=False)
    assert "Explained is below 0" not in better.table()
