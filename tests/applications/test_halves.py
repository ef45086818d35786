"""Halves of documents that find each other, against loops from the definition."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.sparse as sp

from narrows.applications.retrieval.halves import find_halves, split_words
from narrows.errors import InvalidData


def expected(first, second) -> np.ndarray:
    """Return the three measures of every document, as means over all orders of tied halves."""
    bits = first.dtype == np.uint8
    found = []
    for i in range(len(first)):
        each = []
        for query, base in ((first[i], second), (second[i], first)):
            if bits:
                near = -np.unpackbits(query ^ base, axis=1).sum(axis=1).astype(float)
            else:
                lengths = np.linalg.norm(base, axis=1) * np.linalg.norm(query)
                near = base @ query / np.where(lengths > 0, lengths, 1)
            ranks = []
            nearer = int((near > near[i] + 1e-9).sum())
            tied = np.flatnonzero(np.abs(near - near[i]) <= 1e-9).tolist()
            for order in itertools.permutations(tied):
                ranks.append(nearer + order.index(i) + 1)
            ranks = np.array(ranks)
            each.append([(ranks == 1).mean(), (ranks <= 10).mean(), (1 / ranks).mean()])
        found.append(np.mean(each, axis=0))
    return np.array(found)


@pytest.fixture
def counts(rng) -> sp.csr_array:
    """(60, 30) counts, with an empty document, one of one word, and one of two."""
    dense = rng.poisson(0.7, (60, 30)).astype(np.float32)
    dense[3] = 0
    dense[7] = np.eye(30)[4]
    dense[9] = np.eye(30)[5] + np.eye(30)[6]
    return sp.csr_array(dense)


@pytest.mark.parametrize("sparse", [False, True])
def test_cosines_match_the_definition(rng, sparse):
    first = rng.normal(size=(12, 3))
    second = first + rng.normal(size=(12, 3))
    parts = [(sp.csr_array(part) if sparse else part) for part in (first, second)]
    found = find_halves(*parts)
    np.testing.assert_allclose(found.measures, expected(first, second), atol=1e-6)
    assert found.n_rows == 12


def test_ties_count_as_the_mean_over_all_orders(rng):
    bits = rng.integers(0, 8, (14, 1)).astype(np.uint8)
    other = bits ^ rng.integers(0, 2, (14, 1)).astype(np.uint8)
    few = slice(0, 8)  # 8! orders at most
    np.testing.assert_allclose(
        find_halves(bits[few], other[few]).measures, expected(bits[few], other[few])
    )
    same = np.ones((25, 3), dtype=np.float32)
    found = find_halves(same, same)
    assert found.hit_at_1 == pytest.approx(1 / 25)
    assert found.hit_at_10 == pytest.approx(10 / 25)
    assert found.reciprocal_rank == pytest.approx(np.mean(1 / np.arange(1, 26)))


def test_the_order_of_documents_does_not_matter(rng):
    """Not even for codes that are equal in many documents, in more than one block."""
    first = np.round(rng.normal(size=(700, 2)), 1)
    second = np.round(rng.normal(size=(700, 2)), 1)
    order = rng.permutation(700)
    found, again = find_halves(first, second), find_halves(first[order], second[order])
    np.testing.assert_allclose(found.measures[order], again.measures, atol=1e-9)


def test_codes_of_zeros_find_nothing_better_than_by_chance():
    zeros = np.zeros((20, 4), dtype=np.float32)
    assert find_halves(zeros, zeros).hit_at_1 == pytest.approx(1 / 20)


def test_standard_errors_are_those_of_means_over_documents(rng):
    first, second = rng.normal(size=(2, 50, 2))
    found = find_halves(first, second)
    for error, values in zip(found.standard_errors, found.measures.T, strict=True):
        assert error == pytest.approx(values.std(ddof=1) / np.sqrt(50))
    lead, error = find_halves(first, first).lead_over(found)
    assert lead == pytest.approx(1 - found.reciprocal_rank)
    assert error == pytest.approx(found.standard_errors[2])
    values = found.as_dict()
    assert values["hit_at_1"] == found.hit_at_1
    assert values["reciprocal_rank_error"] == pytest.approx(found.standard_errors[2])


def test_halves_add_up_to_the_documents_and_are_equally_long(counts):
    first, second, kept = split_words(counts, np.random.default_rng(0))
    assert kept.tolist() == [i for i in range(60) if i not in (3, 7)]
    np.testing.assert_array_equal((first + second).toarray(), counts.toarray()[kept])
    assert (np.abs(first.sum(axis=1) - second.sum(axis=1)) <= 1).all()
    assert min(first.data.min(), second.data.min()) >= 1
    assert not np.array_equal(first.toarray(), second.toarray())


def test_words_are_drawn_without_replacement():
    """Of 4 a and 4 b, half has k a by the hypergeometric law; odd words go to either half."""
    counts = np.tile([4, 4], (4000, 1))
    first, _, _ = split_words(counts, np.random.default_rng(0))
    shares = np.bincount(first.toarray()[:, 0].astype(int), minlength=5) / 4000
    np.testing.assert_allclose(shares, np.array([1, 16, 36, 16, 1]) / 70, atol=0.03)
    odd, _, _ = split_words(np.tile([3], (4000, 1)), np.random.default_rng(0))
    assert odd.toarray().mean() == pytest.approx(1.5, abs=0.03)


def test_the_split_depends_on_the_generator_alone(counts):
    first, again, other = (
        split_words(counts, np.random.default_rng(seed))[0].toarray() for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    dense = split_words(counts.toarray(), np.random.default_rng(0))[0].toarray()
    np.testing.assert_array_equal(first, dense)


def test_counts_are_not_changed(counts):
    before = counts.copy()
    split_words(counts, np.random.default_rng(0))
    np.testing.assert_array_equal(before.toarray(), counts.toarray())
    assert before.nnz == counts.nnz


@pytest.mark.parametrize("value", [0.5, -1, np.nan, np.inf])
def test_what_is_no_count_is_refused(value):
    with pytest.raises(InvalidData, match="counts must be whole numbers"):
        split_words(np.array([[1, 2], [value, 3]]), np.random.default_rng(0))


@pytest.mark.parametrize(("first", "second"), [(np.eye(2), np.eye(3)), (np.eye(1), np.eye(1))])
def test_halves_must_be_pairs_of_two_or_more(first, second):
    with pytest.raises(InvalidData, match="two or more"):
        find_halves(first, second)


def test_more_words_in_common_are_found_more_often(counts):
    """The measure orders codes: all words, some of them, and none."""
    first, second, _ = split_words(counts * 6, np.random.default_rng(0))
    whole = find_halves(first, second).reciprocal_rank
    some = find_halves(first[:, :4], second[:, :4]).reciprocal_rank
    none = find_halves(0 * first[:, :1], 0 * second[:, :1]).reciprocal_rank
    assert whole > some > none
