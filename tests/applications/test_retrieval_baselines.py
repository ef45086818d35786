"""The linear baselines of a code: weightings against formulas, codes against dense SVD."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from narrows.applications.retrieval.baselines import WEIGHTINGS, lsa_codes, pca_codes, weighted
from narrows.errors import InvalidData, UsageError


@pytest.fixture
def counts(rng) -> np.ndarray:
    """(80, 30) counts of three topics, a row of zeros among them."""
    topics = rng.dirichlet(np.full(30, 0.1), 3)
    made = rng.poisson(20 * topics[np.arange(80) % 3])
    made[5] = 0
    return made


def by_hand(counts, weighting, train):
    x = counts.astype(float)
    if weighting == "proportions":
        return x / np.maximum(x.sum(axis=1, keepdims=True), 1)
    if weighting != "tfidf":
        x = np.log(1 + x)
    if weighting == "log":
        return x
    x = x * (1 + np.log((1 + len(train)) / (1 + (train > 0).sum(axis=0))))
    lengths = np.sqrt((x**2).sum(axis=1, keepdims=True))
    return x / np.where(lengths > 0, lengths, 1)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_weighting_matches_its_formula_with_frequencies_of_the_training_rows(counts, weighting):
    train, other = weighted(counts[:50], sp.csr_matrix(counts[50:]), weighting=weighting)
    for found, rows in ((train, counts[:50]), (other, counts[50:])):
        expected = by_hand(rows, weighting, counts[:50])
        np.testing.assert_allclose(found.toarray(), expected, rtol=1e-5, atol=1e-7)
        assert found.dtype == np.float32


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_lsa_keeps_the_cosines_of_the_best_subspace(counts, weighting):
    """Eckart and Young: the leading right singular vectors of the training rows, uncentered."""
    x = by_hand(counts[:50], weighting, counts[:50])
    y = by_hand(counts[50:], weighting, counts[:50])
    basis = np.linalg.svd(x)[2][:2]
    train_codes, other_codes = lsa_codes(
        counts[:50], counts[50:], n_components=2, weighting=weighting
    )
    np.testing.assert_allclose(
        train_codes @ train_codes.T, x @ basis.T @ basis @ x.T, rtol=1e-3, atol=1e-5
    )
    np.testing.assert_allclose(
        other_codes @ train_codes.T, y @ basis.T @ basis @ x.T, rtol=1e-3, atol=1e-5
    )


def test_the_first_columns_of_a_wide_lsa_are_the_narrow_lsa(counts):
    (long,), (short,) = (lsa_codes(counts, n_components=k) for k in (3, 2))
    np.testing.assert_allclose(np.abs(long[:, :2]), np.abs(short), rtol=1e-2, atol=1e-4)


def test_pca_matches_pca_of_centered_log_counts(counts):
    train_codes, other_codes = pca_codes(sp.csr_array(counts[:50]), counts[50:])
    x, y = np.log(1 + counts[:50]), np.log(1 + counts[50:])
    basis = np.linalg.svd(x - x.mean(axis=0))[2][:2]
    np.testing.assert_allclose(
        np.abs(train_codes), np.abs((x - x.mean(axis=0)) @ basis.T), atol=1e-3
    )
    np.testing.assert_allclose(
        np.abs(other_codes), np.abs((y - x.mean(axis=0)) @ basis.T), atol=1e-3
    )


@pytest.mark.parametrize("method", [lsa_codes, pca_codes])
def test_a_seed_repeats_bit_by_bit(counts, method):
    first, second = (method(counts, n_components=2, seed=3)[0] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("method", [lsa_codes, pca_codes])
def test_the_global_random_state_is_left_alone(counts, method):
    before = np.random.get_state()[1].copy()
    method(counts, n_components=2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (-np.ones((4, 3)), "counts: must be finite and not negative"),
        (np.full((4, 3), np.nan), "counts: must be finite"),
        (np.ones((4, 2)), r"of the same words, got \[2, 3\] columns"),
    ],
)
def test_invalid_counts_are_refused(rows, message):
    with pytest.raises(InvalidData, match=message):
        weighted(np.ones((4, 3)), rows, weighting="log")


def test_an_unknown_weighting_suggests_the_nearest_name():
    with pytest.raises(UsageError, match="weighting: unknown name 'tf-idf'.*mean 'tfidf'"):
        weighted(np.ones((4, 3)), weighting="tf-idf")


@pytest.mark.parametrize("method", [lsa_codes, pca_codes])
@pytest.mark.parametrize(
    ("n", "message"),
    [
        (3, "less than the number of features.*got 3 for 9"),
        (0, "n_components: must be an integer >= 1"),
    ],
)
def test_an_impossible_width_is_refused(method, n, message):
    with pytest.raises(UsageError, match=message):
        method(np.ones((9, 3)), n_components=n)
