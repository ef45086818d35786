"""Autoencoders with row weights: a weight acts like repeating the row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse as sp
import torch
from topics import topic_texts

import narrows
from narrows import Autoencoder, CodeClassifier, LinearAutoencoder, SemanticHasher
from narrows.data.array_sources import DenseSource, array_source
from narrows.data.scaling import Scaling, fit_scaling
from narrows.data.statistics import describe
from narrows.errors import InvalidData, ModelFileError, UsageError
from narrows.estimators.autoencoders.fit import fit_autoencoder, held_out_evaluation
from narrows.estimators.sample_weights import weights_of_parts
from narrows.model.baseline import fit_baseline
from narrows.training.loop import TrainingStopped

RNG = np.random.default_rng(0)
N = 90
X = (RNG.normal(size=(N, 6)) * [5, 3, 1, 1, 1, 1]).astype(np.float32)
COUNTS = RNG.permutation(np.repeat([0, 1, 2, 3], [36, 27, 18, 9]))  # mean 1: tf-idf counts rows
KEPT = COUNTS > 0
REPEATED = np.repeat(X, COUNTS, axis=0)
WORDS = sp.csr_array(RNG.poisson(0.4, size=(N, 30)).astype(np.float32))
FULL: dict[str, Any] = {"batch_size": 1000, "max_epochs": 8, "random_state": 0}
ALL_TRAIN: dict[str, Any] = {**FULL, "validation_fraction": 0}
SMALL: dict[str, Any] = {"hidden": (8,), "max_epochs": 2, "random_state": 0}


def weights_of_source(weights: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(weights / weights.mean()).float()


def repetitions_of(rows: Any) -> Any:
    return rows[np.repeat(np.arange(N), COUNTS)]


PENALTIES = ["l1:0.1", "l2:0.1", "contractive:0.1", "auxiliary:1.0", "weight_decay"]


@pytest.mark.parametrize(
    "kind, settings, rows",
    [
        ("Autoencoder", {"hidden": (8,)}, X),
        *[("Autoencoder", {"hidden": (), "penalties": [p]}, X) for p in PENALTIES],
        ("Autoencoder", {"hidden": (8,), "corruption": "missing:0.0"},
         np.where(X < -1.5, np.nan, X)),
        ("LinearAutoencoder", {"max_epochs": 3}, X),
        ("SparseAutoencoder", {}, X),
        ("SparseAutoencoder", {"sparsity": "top_k", "k": 2}, X),
        ("ContractiveAutoencoder", {}, X),
        ("StackedAutoencoder", {"hidden": (8,), "pretrain_epochs": 3}, X),
        ("DictionaryAutoencoder", {"k": 2, "dead_after": 1}, X),
        (
            "DocumentAutoencoder",
            {"hidden": (8,), "n_neighbors": 0, "scale": "proportions", "corruption": None},
            WORDS,
        ),
        ("Autoencoder", {"hidden": (8,), "loss": "multinomial", "sampled_words": 100}, WORDS),
    ],
)  # fmt: skip
def test_a_weight_equals_a_repetition_if_a_batch_holds_all_rows(kind, settings, rows):
    """These trainings draw nothing at random, so the results differ only by rounding.

    They do not start at the linear code: there the slopes are 0 but for rounding, whose sign is all
    that Adam's steps depend on.
    """
    settings = {**ALL_TRAIN, "n_components": 3, "linear_start": False, **settings}
    if "pretrain_epochs" in settings:
        settings["corruption"] = None
    known = getattr(narrows, kind)._get_param_names()
    settings = {name: value for name, value in settings.items() if name in known}
    y = np.arange(N) % 3
    weighted, repeated, alike = (getattr(narrows, kind)(**settings) for _ in range(3))
    weighted.fit(rows, y, sample_weight=5.0 * COUNTS)
    repeated.fit(repetitions_of(rows), repetitions_of(y))
    alike.fit(rows, y)
    out = [estimator.reconstruct(rows) for estimator in (weighted, repeated, alike)]
    scale = np.nanstd(out[1])
    assert np.abs(out[0] - out[1]).max() < 2e-2 * scale
    assert np.abs(out[0] - out[2]).max() > 4 * np.abs(out[0] - out[1]).max()
    np.testing.assert_allclose(weighted.history_, repeated.history_, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    "kind, settings, rows",
    [
        ("Autoencoder", {}, X),
        ("Autoencoder", {"corruption": "missing:0.0"}, np.where(X < -1.5, np.nan, X)),
        ("Autoencoder", {"loss": "bernoulli", "scale": "unit"}, X - X.min()),
        ("Autoencoder", {"loss": "multinomial"}, WORDS),
        ("SparseAutoencoder", {}, X),
        ("ContractiveAutoencoder", {}, X),
        ("VariationalAutoencoder", {}, X),
    ],
    ids=["plain", "missing", "bernoulli", "multinomial", "sparse", "contractive", "variational"],
)
def test_a_linear_start_equals_that_of_repeated_rows(kind, settings, rows):
    """At a rate near 0 the net stays as it started."""
    settings = {**ALL_TRAIN, "max_epochs": 1, "learning_rate": 1e-12, "hidden": (8,), **settings}
    weighted, repeated, alike = (getattr(narrows, kind)(3, **settings) for _ in range(3))
    weighted.fit(rows, sample_weight=5.0 * COUNTS)
    repeated.fit(repetitions_of(rows))
    alike.fit(rows)
    out = [estimator.reconstruct(rows) for estimator in (weighted, repeated, alike)]
    codes = [estimator.transform(rows) for estimator in (weighted, repeated)]
    assert np.abs(out[0] - out[1]).max() < 2e-2 * np.nanstd(out[1])
    assert np.abs(out[0] - out[2]).max() > 4 * np.abs(out[0] - out[1]).max()
    assert np.abs(codes[0] - codes[1]).max() < 1e-3 * codes[1].std()


def test_equal_weights_do_not_change_the_linear_start():
    settings: dict[str, Any] = {**SMALL, "learning_rate": 1e-12}
    alike, none = (
        Autoencoder(3, **settings).fit(X, sample_weight=w) for w in (np.full(N, 7.0), None)
    )
    np.testing.assert_allclose(alike.transform(X), none.transform(X), atol=1e-4)


def test_pairs_of_rows_may_have_weights():
    clean = X + 1
    weighted, repeated = (
        Autoencoder(3, hidden=(8,), **ALL_TRAIN),
        Autoencoder(3, hidden=(8,), **ALL_TRAIN),
    )
    weighted.fit(X, clean, sample_weight=COUNTS)
    repeated.fit(REPEATED, np.repeat(clean, COUNTS, axis=0))
    np.testing.assert_allclose(weighted.reconstruct(X), repeated.reconstruct(X), atol=1e-3)


def test_equal_weights_change_nothing():
    alike, none = (
        Autoencoder(3, **SMALL, linear_start=False).fit(X, sample_weight=w)
        for w in (np.full(N, 7.0), None)
    )
    np.testing.assert_allclose(alike.transform(X), none.transform(X), atol=1e-5)
    np.testing.assert_allclose(alike.validation_history_, none.validation_history_, rtol=1e-5)


def test_only_the_ratios_of_weights_matter():
    fits = [
        Autoencoder(3, **SMALL, validation_fraction=0.2, linear_start=False).fit(
            X, sample_weight=by * (1 + COUNTS)
        )
        for by in (1, 2.0**40)
    ]
    np.testing.assert_array_equal(*(fit.transform(X) for fit in fits))
    assert fits[0].validation_history_ == fits[1].validation_history_


def test_rows_of_weight_0_are_dropped():
    spoiled = np.where(KEPT[:, None], X, np.nan).astype(np.float32)
    settings: dict[str, Any] = {**SMALL, "validation_fraction": 0.2, "linear_start": False}
    groups = np.arange(N) // 3
    some = Autoencoder(3, **settings).fit(spoiled, sample_weight=COUNTS, groups=groups)
    fewer = Autoencoder(3, **settings).fit(X[KEPT], sample_weight=COUNTS[KEPT], groups=groups[KEPT])
    np.testing.assert_array_equal(some.transform(X), fewer.transform(X))
    assert some.model_.record["n_rows"] == fewer.model_.record["n_rows"]


@pytest.mark.parametrize("rows", [X, WORDS, np.where(X < -1, np.nan, X)],
                         ids=["dense", "sparse", "missing"])  # fmt: skip
def test_statistics_equal_those_of_repeated_rows(rows):
    source = array_source(rows)
    weighted = describe(source.weighted(weights_of_source(COUNTS)), missing=True)
    repeated = describe(array_source(repetitions_of(rows)), missing=True)
    for name in ("mean", "variance"):
        torch.testing.assert_close(
            getattr(weighted, name), getattr(repeated, name), rtol=1e-6, atol=1e-9
        )
    share = weighted.support / N, repeated.support / COUNTS.sum()
    torch.testing.assert_close(*share, rtol=1e-6, atol=0)


def test_a_column_known_only_in_rows_of_small_weight_keeps_its_variance():
    rows = X.copy()
    rows[2:, 0] = np.nan
    source = array_source(rows).weighted(weights_of_source(np.r_[0.01, 0.01, np.ones(N - 2)]))
    found = describe(source, missing=True)
    assert float(found.variance[0]) == pytest.approx(float(X[:2, 0].var()), rel=1e-4)


@pytest.mark.parametrize("rows", [X, WORDS, X[:, :5] @ RNG.normal(size=(5, 5000))],
                         ids=["covariance", "sparse", "wide"])  # fmt: skip
def test_the_baseline_equals_that_of_repeated_rows(rows):
    rows = rows.astype(np.float32)
    weighted = array_source(rows).weighted(weights_of_source(COUNTS))
    both = [
        fit_baseline(source, Scaling("none"), 3, seed=0)
        for source in (weighted, array_source(repetitions_of(rows)))
    ]
    axes = [baseline.components.numpy().T for baseline in both if baseline is not None]
    assert np.degrees(scipy.linalg.subspace_angles(*axes)).max() < 1


def test_a_linear_net_is_certified_against_the_weighted_pca():
    settings: dict[str, Any] = {"max_epochs": 400, "batch_size": 1000, "random_state": 0}
    weighted = LinearAutoencoder(2, **settings).fit(X, sample_weight=COUNTS)
    repeated = LinearAutoencoder(2, **settings).fit(REPEATED)
    assert weighted.pca_angles_.max() < 1
    share = weighted.explained_variance_ratio_, repeated.explained_variance_ratio_
    np.testing.assert_allclose(*share, rtol=1e-4)


def test_held_out_errors_count_by_weights():
    weights = 1.0 + COUNTS
    ae = Autoencoder(2, **SMALL, validation_fraction=0.3, linear_start=False)
    fitted = fit_autoencoder(ae, X, sample_weight=weights)
    [(_, rows)] = fitted.trials
    assert rows.held_out is not None and rows.held_out.weights is not None
    held_out, of_rows = rows.held_out, rows.held_out.weights.numpy()
    error = np.average(-ae.score_samples(np.asarray(held_out)), weights=of_rows)
    assert min(ae.validation_history_) == pytest.approx(error, rel=1e-4)
    measured = held_out_evaluation(fitted)
    assert measured.error == pytest.approx(error, rel=1e-4)
    assert "Rows count by their weights." in measured.table()
    scale = ae.model_.scaling.scale
    assert scale is not None
    centered = np.asarray(held_out) - np.average(np.asarray(held_out), axis=0, weights=of_rows)
    centered = centered / scale.numpy()
    variance = np.average((centered**2).sum(axis=1), weights=of_rows)
    assert measured.variance == pytest.approx(variance, rel=1e-4)


def test_stochastic_objectives_are_validated_with_weights():
    settings: dict[str, Any] = {**SMALL, "validation_fraction": 0.3}
    of_one = np.ones(N)
    ae = narrows.VariationalAutoencoder(2, **settings)
    [(_, rows)] = fit_autoencoder(ae, X).trials
    at = np.abs(X - np.asarray(rows.held_out)[0]).sum(axis=1).argmin()
    of_one[at] = 1e6
    heavy = narrows.VariationalAutoencoder(2, **settings).fit(X, sample_weight=of_one)
    assert heavy.validation_history_[0] != pytest.approx(ae.validation_history_[0], rel=0.05)


def test_weights_of_parts_have_mean_one_in_both():
    from narrows.data.splitting import Selection

    held_out = torch.arange(10) < 3
    weights = weights_of_parts(np.arange(1.0, 11), Selection(~held_out, held_out))
    assert weights is not None
    assert weights[held_out].mean() == pytest.approx(1)
    assert weights[~held_out].mean() == pytest.approx(1)


def test_densities_of_codes_use_weights():
    rows = np.concatenate([X - 20, X + 20]).astype(np.float32)
    light = np.r_[np.full(N, 1e-6), np.ones(N)]
    ae = Autoencoder(2, hidden=(), max_epochs=60, random_state=0).fit(rows, sample_weight=light)
    assert (ae.sample(50, random_state=0).mean(axis=1) > 0).all()


def test_thresholds_of_bits_are_weighted_medians():
    hasher = SemanticHasher(4, hidden=(8,), threshold="median", n_neighbors=0, **ALL_TRAIN)
    bits = hasher.fit(X, sample_weight=COUNTS).transform(X) > 0
    np.testing.assert_allclose(np.average(bits, axis=0, weights=COUNTS), 0.5, atol=0.035)


def test_texts_have_weights():
    texts = topic_texts(30, seed=0)
    texts = texts[0] if isinstance(texts, tuple) else texts
    fits = [
        narrows.DocumentAutoencoder(2, hidden=(4,), max_epochs=2, random_state=0).fit(
            texts, sample_weight=w
        )
        for w in (None, np.linspace(1, 50, len(texts)))
    ]
    assert np.abs(fits[0].transform(texts) - fits[1].transform(texts)).max() > 1e-4


def test_fit_does_not_change_a_source_that_it_weights():
    source = DenseSource(torch.from_numpy(X))
    ae = Autoencoder(2, **SMALL).fit(source, sample_weight=1 + COUNTS)
    assert source.weights is None
    CodeClassifier(ae, max_epochs=1).fit(source, np.arange(N) % 2, 1 + COUNTS)
    assert source.weights is None


def test_a_checkpoint_of_other_weights_is_refused(tmp_path):
    settings: dict[str, Any] = {**SMALL, "max_epochs": 4, "linear_start": False}
    ae = Autoencoder(3, **settings)
    steps = iter(range(100))
    with pytest.raises(TrainingStopped):
        ae.fit(X, sample_weight=COUNTS, checkpoint=tmp_path / "c",
               stop_requested=lambda: next(steps) > 1)  # fmt: skip
    for other in (None, 1 + COUNTS):
        with pytest.raises((ModelFileError, InvalidData)):
            ae.fit(X[KEPT], sample_weight=None if other is None else other[KEPT],
                   checkpoint=tmp_path / "c", resume=True)  # fmt: skip
    resumed = ae.fit(X, sample_weight=3 * COUNTS, checkpoint=tmp_path / "c", resume=True)
    whole = Autoencoder(3, **settings).fit(X, sample_weight=COUNTS)
    np.testing.assert_array_equal(resumed.transform(X), whole.transform(X))


@pytest.mark.parametrize(
    "weights, more, error, message",
    [
        (np.zeros(N), {}, InvalidData, "non-zero"),
        (np.r_[np.ones(N - 1), -1.0], {}, InvalidData, f"must be >= 0, row {N - 1} .* has -1"),
        (np.full(N, np.nan), {}, InvalidData, "NaN"),
        (np.ones(7), {}, InvalidData, r"shape == \(7,\)"),
        (np.arange(N) == 3, {}, InvalidData, "fewer than two rows have a weight above 0"),
        (COUNTS, {"block_length": 5}, UsageError, "must not be 0 .* block_length"),
    ],
)
def test_invalid_weights_are_refused(weights, more, error, message):
    with pytest.raises(error, match=f"^sample_weight: .*{message}"):
        Autoencoder(2, **SMALL).fit(X, sample_weight=weights, **more)


@pytest.mark.parametrize("name, value", [("y", np.zeros(7)), ("groups", np.arange(7))])
def test_y_and_groups_must_have_the_length_of_weighted_rows(name, value):
    with pytest.raises(InvalidData, match=f"^{name}: 7 values for {N} rows"):
        Autoencoder(2, **SMALL).fit(X, sample_weight=COUNTS, **{name: value})


def test_texts_without_weight_are_refused():
    texts = ["a cat sat", "a dog ran", "the cat ran", "the dog sat"]
    with pytest.raises(UsageError, match="^sample_weight: must not be 0 with texts"):
        narrows.DocumentAutoencoder(1, min_df=1).fit(texts, sample_weight=[1, 0, 1, 1])


def test_streamed_rows_have_no_weights(tmp_path):
    np.save(tmp_path / "x.npy", X)
    streamed = narrows.read(tmp_path / "x.npy", stream=True)
    with pytest.raises(UsageError, match="^sample_weight: .* is streamed"):
        Autoencoder(2, **SMALL).fit(streamed, sample_weight=1 + COUNTS)


def test_scaling_uses_weighted_rows():
    source = array_source(X).weighted(weights_of_source(COUNTS))
    scaling = fit_scaling("standard", source, describe(source))
    assert scaling.shift is not None and scaling.scale is not None
    np.testing.assert_allclose(scaling.shift, np.average(X, axis=0, weights=COUNTS), rtol=1e-5)
    np.testing.assert_allclose(scaling.scale, REPEATED.std(axis=0), rtol=1e-5)
    weights = weights_of_source(COUNTS)
    counts = array_source(WORDS).weighted(weights)
    with_word = weights.numpy() @ (WORDS.toarray() != 0)
    idf = fit_scaling("tfidf", counts, describe(counts)).scale
    assert idf is not None
    np.testing.assert_allclose(1 / idf, 1 + np.log((1 + N) / (1 + with_word)), rtol=1e-5)


def test_boltzmann_machines_learn_by_weights():
    settings: dict[str, Any] = {
        **SMALL, "pretrain": "rbm", "activation": "sigmoid", "linear_start": False,
        "validation_fraction": 0.1,
    }  # fmt: skip
    bits = (X > 0).astype(np.float32)
    light = np.where(bits[:, 0] > 0, 1e-3, 1.0)  # the first bit is hardly ever on
    ae = narrows.StackedAutoencoder(3, loss="bernoulli", scale="none", **settings)
    pretrained = ae.set_params(learning_rate=1e-9).fit(bits, sample_weight=light)
    assert pretrained.reconstruct(bits)[:, 0].max() < 0.1


def test_weights_of_rows_of_unknown_y_do_not_matter():
    """Weights have mean 1 over the rows whose y is known."""
    y = np.where(np.arange(N) % 2, X[:, 0] > 0, -1)
    heads = []
    for unknown in (1.0, 100.0):
        net = narrows.Autoencoder(2, hidden=(8,), max_epochs=2, random_state=0).fit(X)
        head = narrows.CodeClassifier(
            net, training="joint", missing_label=-1, max_epochs=3, random_state=0
        )
        heads.append(head.fit(X, y, sample_weight=np.where(y < 0, unknown, 1.0)))
    np.testing.assert_allclose(heads[0].history_, heads[1].history_, rtol=1e-5)
